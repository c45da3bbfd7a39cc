"""What must not be imported before the port is open."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("dragoman_server.app", ("grpc", "numpy", "torch", "sacrebleu")),
        ("dragoman_server.config", ("grpc", "numpy", "torch", "sacrebleu")),
        ("dragoman_server.lifecycle", ("torch", "sacrebleu", "sentencepiece")),
    ],
)
def test_heavy_libraries_wait(module: str, heavy: tuple[str, ...]) -> None:
    # numpy reads its thread count from the environment when it is imported, and run() sets that.
    program = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "[]"
