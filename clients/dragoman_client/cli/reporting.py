"""How the command reports: UTF-8 always, errors on standard error, and its exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from dragoman_client.errors import DragomanClientError, InvalidRequestError, ServerError

FAILED = 1
INTERRUPTED = 130  # as for a process that SIGINT ended
_READER_WENT_AWAY = 141  # as for a process that SIGPIPE ended


class CommandError(Exception):
    """Something that the user can mend; the message says how."""


class ReportingGroup(TyperGroup):
    """Turns errors of subcommands into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        with reported_errors():
            result = super().invoke(ctx)
            sys.stdout.flush()
        return result


def use_utf8() -> None:
    """Makes all standard streams UTF-8, whatever the locale says."""
    for stream, errors in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


def report(message: str) -> None:
    """Writes a message to standard error."""
    sys.stderr.write(f"dragoman: {message}\n")


@contextmanager
def reported_errors() -> Iterator[None]:
    """Reports what went wrong and ends the command with its exit code."""
    try:
        yield
    except (DragomanClientError, CommandError) as error:
        report(described(error))
        raise typer.Exit(FAILED) from error
    except BrokenPipeError as error:
        _forget_output()
        raise typer.Exit(_READER_WENT_AWAY) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except OSError as error:
        if error.filename is None:
            _forget_output()
        what = error.filename or "the output"
        report(f"cannot read or write {what}: {error.strerror or error}")
        raise typer.Exit(FAILED) from error


def described(error: Exception) -> str:
    """The message of an error; for a fault of the server, with what its log is searched by."""
    if isinstance(error, ServerError) and error.request_id not in str(error):
        return f"{error} (request {error.request_id})"
    return str(error)


def described_item(error: DragomanClientError) -> str:
    """The message of the error of one text, for where the command itself says which text it is."""
    if isinstance(error, InvalidRequestError) and error.violations:
        return "; ".join(violation.description for violation in error.violations)
    return described(error)


def _forget_output() -> None:
    # What is still in the buffer cannot be written; Python would try again when it ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
