"""Makes the asynchronous client's methods from the synchronous ones, or checks that they are so.

    python scripts/generate_async_client.py            write clients/dragoman_client/aio_methods
    python scripts/generate_async_client.py --check    write nothing; exit code 1 where one differs

The methods that send one request and read one answer differ between the clients only in that one
waits and the other awaits, but each needs its signatures in full for type checkers and editors: so
they are written once. Streams differ in more, and are written in both.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CLIENT = REPOSITORY / "clients" / "dragoman_client"
SOURCE = CLIENT / "methods"
TARGET = CLIENT / "aio_methods"
_HEADER = """\
# Made from methods/{name} by scripts/generate_async_client.py.
# Change that file, then run `make async-client`.
# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""
_PACKAGE = '"""The methods of the asynchronous client, made from those in ``methods``."""\n'
_REPLACED = (
    (r"^    def ", "    async def "),
    (r"(?<!def )self\.(_\w+)\(", r"await self.\1("),
    (r"\b(Calling|\w+Methods)\b", r"Async\1"),
    (r"\bdragoman_client\.methods\b", "dragoman_client.aio_methods"),
)


def asynchronous(source: str, name: str) -> str:
    """The module ``name`` for asyncio: every method a coroutine function, every call awaited."""
    for pattern, replacement in _REPLACED:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    source = _ruff(_HEADER.format(name=name) + source, "check", "--fix-only", "--select", "I")
    return _ruff(source, "format")


def _ruff(source: str, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--config", REPOSITORY / "pyproject.toml", "-"],
        input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def generated() -> dict[str, str]:
    """The text of each module of ``aio_methods``, by file name."""
    made = {"__init__.py": _PACKAGE}
    for path in sorted(SOURCE.glob("[!_]*.py")):
        made[path.name] = asynchronous(path.read_text(encoding="utf-8"), path.name)
    return made


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(description="Makes the methods of the asynchronous client.")
    parser.add_argument("--check", action="store_true", help="only report what is not up to date")
    check: bool = parser.parse_args().check
    made = generated()
    present = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.py")}
    outdated = sorted(n for n in made.keys() | present.keys() if made.get(n) != present.get(n))
    if check:
        for name in outdated:
            print(f"{TARGET / name} is not up to date: run `make async-client`")
        return 1 if outdated else 0
    TARGET.mkdir(exist_ok=True)
    for name in outdated:
        if name in made:
            (TARGET / name).write_text(made[name], encoding="utf-8")
        else:
            (TARGET / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
