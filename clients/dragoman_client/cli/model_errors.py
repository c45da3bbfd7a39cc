"""Errors of models that a subcommand runs in this process, and choices that it knows by name."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer

from dragoman_client.cli.reporting import CommandError

Choice = TypeVar("Choice", bound=enum.Enum)


@contextmanager
def reported_model_errors() -> Iterator[None]:
    """Turns an error of the models into the command's message and exit code."""
    from dragoman_models.errors import DragomanError

    try:
        yield
    except DragomanError as error:
        raise CommandError(str(error)) from error


def chosen(kind: type[Choice], value: str, flag: str) -> Choice:
    """The member of `kind` that `value` names; another is wrong usage of `flag`."""
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(str(member.value) for member in kind)
        raise typer.BadParameter(f"must be one of {known}", param_hint=flag) from error
