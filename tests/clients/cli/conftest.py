"""Runs the `dragoman` command in the test's own process, and in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dragoman_client.cli import command


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def dragoman(capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Runs the command here: fast, without the start of a process."""

    def run(*arguments: str) -> Finished:
        with pytest.raises(SystemExit) as ended:
            command()(list(arguments), prog_name="dragoman")
        out, err = capfd.readouterr()
        return Finished(code=int(ended.value.code or 0), out=out, err=err)

    return run


@pytest.fixture
def dragoman_process() -> Callable[..., Finished]:
    """Runs the command in a process of its own, with bytes as its standard input."""

    def run(
        *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None
    ) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "dragoman_client", *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
        return Finished(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    return run
