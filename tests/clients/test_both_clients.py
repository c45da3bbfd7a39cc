"""The two clients offer the same: methods, parameters, defaults and answers."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from dragoman_client import AsyncClient, Client


def methods(client: type) -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(client, inspect.isfunction)
    return {name: one for name, one in found if not name.startswith("_") or name == "__init__"}


@pytest.mark.parametrize("name", sorted(methods(Client)))
def test_a_method_is_called_alike(name: str) -> None:
    ours, theirs = (
        inspect.signature(methods(client)[name]).parameters for client in (Client, AsyncClient)
    )
    assert list(ours) == list(theirs)
    for parameter in ours.values():
        other = theirs[parameter.name]
        assert parameter.kind is other.kind
        # The annotations are texts here; a stream may take an asynchronous iterable as well.
        assert str(other.annotation).startswith(str(parameter.annotation))
        if inspect.isfunction(parameter.default):
            assert inspect.isfunction(other.default)
        else:
            assert parameter.default == other.default


def test_neither_has_a_method_of_its_own() -> None:
    assert methods(Client).keys() == methods(AsyncClient).keys()
