"""What a subcommand needs beyond the light install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dragoman_client.cli.reporting import CommandError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around imports that only an extra of the package provides.

    Raises:
        CommandError: something is not installed; the message says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"this needs the package {error.name}, which is not installed: "
            f"pip install 'dragoman[{extra}]'"
        ) from error
