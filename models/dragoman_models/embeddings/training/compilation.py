"""How the loops of training are compiled; see `dragoman_models.embeddings.compiled`."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from dragoman_models.embeddings.code_cache import keep_on_disk

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be regrouped and products contracted; NaN and infinity keep their meaning.
_FAST_MATH = {"reassoc", "contract", "arcp", "nsz"}


def compiled(function: Function) -> Function:
    """`function` as machine code, without Python's lock; its types are those of the first call."""
    return _compile(function, inline=False)


def inlined(function: Function) -> Function:
    """As `compiled`, and put into each of its callers, without the price of a call."""
    return _compile(function, inline=True)


def _compile(function: Function, *, inline: bool) -> Function:
    decorate = numba.njit(nogil=True, error_model="numpy", fastmath=_FAST_MATH, forceinline=inline)
    dispatcher = decorate(function)
    keep_on_disk(dispatcher, function)
    return cast(Function, dispatcher)
