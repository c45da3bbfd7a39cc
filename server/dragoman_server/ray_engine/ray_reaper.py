"""Ends what is left of a Ray of its own once the server is gone, in whatever way.

    python ray_reaper.py FOLDER < pipe

Ray ties most of its processes to the one that started them, but its agents outlive one that was
killed. This process waits until nobody holds the other end of its pipe, kills every process but the
server that has a file below FOLDER open, and removes FOLDER.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GRACE_SECONDS = 2.0  # for those that are about to end by themselves
_ROUNDS = 20


def main() -> None:
    """Waits, and then does it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder, server = Path(sys.argv[1]), os.getppid()
    while sys.stdin.buffer.read(1):
        pass
    reap(folder, spared=server)


def reap(folder: Path, *, spared: int) -> None:
    """Kill whoever uses `folder`, but for one process, and remove it."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while set(users(folder)) - {spared} and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(_ROUNDS):
        found = set(users(folder)) - {spared}
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        if not found:
            break
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def users(folder: Path) -> Iterator[int]:
    """Processes that have a file below `folder` open, but for this one."""
    below = f"{folder}{os.sep}"
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) != os.getpid() and any(one.startswith(below) for one in _open(entry)):
            yield int(entry.name)


def _open(process: Path) -> Iterator[str]:
    with suppress(OSError):  # it has ended, or is somebody else's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                yield str(descriptor.readlink())


if __name__ == "__main__":
    main()
