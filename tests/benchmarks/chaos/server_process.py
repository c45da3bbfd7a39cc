"""A real server in a process of its own: started, looked at from outside, and ended."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_PATIENCE = 300.0  # seconds: a machine may be busy


class ServerProcess:
    """`dragoman_server` with the shipped models and, where given, a repository of its own."""

    def __init__(
        self, folder: Path, *, settings: str = "", prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None, port: int | None = None,
    ) -> None:  # fmt: skip
        """Starts it; it is of use after `wait_until_ready`.

        Args:
            folder: for its settings and its log.
            settings: TOML.
            prefix: a command that starts it, such as `unshare`.
        """
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._metrics_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "dragoman.toml"
        config.write_text(settings, encoding="utf-8")
        self.log = folder / "server.log"
        command = [
            *prefix, sys.executable, "-m", "dragoman_server", "--address", self.address,
            "--config", str(config),
        ]  # fmt: skip
        metrics = {"DRAGOMAN_METRICS_ADDRESS": f"127.0.0.1:{self._metrics_port}"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, **metrics, **(environment or {})},
            )  # fmt: skip

    async def wait_until_ready(self) -> None:
        """Until all models are loaded or refused; raises RuntimeError where it ends before."""
        async with asyncio.timeout(_PATIENCE):
            for _ in range(2):
                line = await asyncio.to_thread(self._next_line)
                if not line:
                    raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def _next_line(self) -> str:
        return "" if self.process.stdout is None else self.process.stdout.readline()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        return [pid for pid in children_of(self.process.pid) if "worker_main" in _command(pid)]

    def memory_megabytes(self) -> float:
        """Of it and its workers; pages that several share count once."""
        kilobytes = 0
        for pid in (self.process.pid, *self.workers()):
            with suppress(OSError, StopIteration):  # it may end while it is looked at
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kilobytes += next(int(x.split()[1]) for x in lines if x.startswith("Pss:"))
        return kilobytes / 1024

    def open_files(self) -> int:
        """How many descriptors its own process has."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    async def gauge(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = await asyncio.to_thread(_metrics, self._metrics_port)
        lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    async def idle(self, seconds: float = 60.0) -> bool:
        """Whether nothing waits or runs any more within that time."""
        names = ("dragoman_calls_in_flight", "dragoman_queued_calls", "dragoman_running_batches")
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any([await self.gauge(name) > 0 for name in names]):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
                return True
        return False

    def tracebacks(self) -> list[str]:
        """Those that its log holds, each cut short: defects, which no fault excuses."""
        parts = self.log.read_text(encoding="utf-8", errors="replace").split("Traceback (most")
        return [before[-200:] + after[:2_000] for before, after in itertools.pairwise(parts)]

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after that signal."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, _PATIENCE)


@asynccontextmanager
async def running(server: ServerProcess) -> AsyncIterator[ServerProcess]:
    """Waits until it is ready, and ends it at last by force."""
    try:
        await server.wait_until_ready()
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@asynccontextmanager
async def new_server(
    settings: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """A server for one fault alone, in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="dragoman-chaos-") as folder:
        server = ServerProcess(Path(folder), settings=settings, environment=environment)
        async with running(server):
            yield server


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def children_of(pid: int) -> list[int]:
    """The processes that any of its threads has started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _metrics(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
