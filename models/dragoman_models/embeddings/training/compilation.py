"""How the loops of training are compiled; see `dragoman_models.embeddings.compiled`."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

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
    def compile_it(*, cache: bool) -> Function:
        decorate = numba.njit(
            cache=cache, nogil=True, error_model="numpy", fastmath=_FAST_MATH, forceinline=inline
        )
        return cast(Function, decorate(function))

    try:
        return compile_it(cache=True)
    except RuntimeError:
        # No folder for the cache can be written: compile in each process.
        return compile_it(cache=False)
