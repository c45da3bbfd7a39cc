"""What is left of a Ray ends with its server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dragoman_server.ray_engine import ray_reaper

HOLDER = """
import sys, time
file = open(sys.argv[1], "w")
print("open", flush=True)
time.sleep(600)
"""
pytestmark = pytest.mark.timeout(300)


def holder(file: Path) -> subprocess.Popen[bytes]:
    """A process that has the file open."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, str(file)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def ignores_sigterm(process: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("SigIgn:")]
    return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_who_has_a_file_open_is_killed_when_the_pipe_closes(tmp_path: Path) -> None:
    folder, other = tmp_path / "ray", tmp_path / "ray-of-another"
    for one in (folder, other):
        (one / "logs").mkdir(parents=True)
    ours, theirs = holder(folder / "logs" / "out"), holder(other / "logs" / "out")
    kept = (folder / "logs" / "driver").open("w")  # as the server has its own log there
    try:
        assert list(ray_reaper.users(folder)) == [ours.pid]  # which leaves out who asks
        reaper = subprocess.Popen(
            [sys.executable, "-S", ray_reaper.__file__, str(folder)], stdin=subprocess.PIPE
        )
        while not ignores_sigterm(reaper.pid):
            time.sleep(0.01)
        reaper.terminate()  # a SIGTERM of the whole group is for the server
        with pytest.raises(subprocess.TimeoutExpired):
            reaper.wait(0.5)
        assert ours.poll() is None
        reaper.communicate()
        assert (reaper.returncode, ours.wait(60), theirs.poll()) == (0, -9, None)
        assert not folder.exists()
        assert other.exists()
    finally:
        kept.close()
        for process in (ours, theirs):
            process.kill()
            process.communicate()
