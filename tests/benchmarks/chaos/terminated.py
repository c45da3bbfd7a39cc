"""SIGTERM while calls are in flight."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.server_process import new_server
from tests.benchmarks.serving.mixed_calls import NEVER_AGAIN, mixed_call

from dragoman_client import AsyncClient, DragomanClientError, UnavailableError

_CALLERS = 30
_DRAIN = "drain_seconds = 300\n"


async def terminated(bench: Bench) -> FaultReport:
    """Whatever was sent before the signal and taken on is answered; the rest is refused with the
    advice to go elsewhere."""
    report = FaultReport(fault="SIGTERM under load")
    async with new_server(_DRAIN) as server:
        watch = _Watch()
        tasks = [asyncio.create_task(watch.caller(server.address, n)) for n in range(_CALLERS)]
        await asyncio.sleep(max(2.0, 8.0 * bench.scale))
        open_then = len(watch.open)
        watch.signalled = time.monotonic()
        code = await server.end(signal.SIGTERM)
        took = time.monotonic() - watch.signalled
        await asyncio.gather(*tasks)
        tracebacks = server.tracebacks()
    report.tried.append(
        f"{_CALLERS} callers, {open_then} calls open at the signal; before it "
        f"{watch.answered_before}, after it {watch.answered_after} answered and "
        f"{watch.refused} refused"
    )
    report.survived.append(f"ended {took:.1f} s after the signal")
    report.expect("no call that was open at the signal is lost", not watch.lost, watch.lost[:3])
    report.expect("it ends with 0", code == 0, code)
    report.expect("no traceback is logged", not tracebacks, tracebacks)
    return report


class _Watch:
    """What became of the calls of all callers."""

    def __init__(self) -> None:
        self.signalled = float("inf")
        self.answered_before = self.answered_after = self.refused = 0
        self.open: set[int] = set()
        self.lost: list[str] = []

    async def caller(self, address: str, first: int) -> None:
        """One call after the other, until one is refused."""
        async with AsyncClient(address, retries=NEVER_AGAIN) as client:
            for number in range(first, first + 100_000, _CALLERS):
                began = time.monotonic()
                self.open.add(number)
                try:
                    await mixed_call(number).make(client, number % 100, 300.0)
                except UnavailableError as error:
                    self._refused(error, number, began)
                    return
                except DragomanClientError as error:
                    self.lost.append(f"{mixed_call(number).name}: {error.code.name} {error}")
                    return
                finally:
                    self.open.discard(number)
                if time.monotonic() < self.signalled:
                    self.answered_before += 1
                else:
                    self.answered_after += 1

    def _refused(self, error: UnavailableError, number: int, began: float) -> None:
        self.refused += 1
        # A call that reached a server which stops is told when to come back. One that found no
        # server any more was never accepted; one that was open before can only have been lost,
        # unless it was still on its way at that moment.
        if error.retry_after is None and began < self.signalled - 1.0:
            self.lost.append(f"{mixed_call(number).name}: {error}")
