"""Compile a function to machine code when it is first called, by numba.

The machine code is kept on disk, beside the source or in numba's cache folder. It is compiled again
when the function's own file changes; after a change of another file that it calls into, delete the
`*.nb?` files.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from dragoman_models.embeddings.code_cache import keep_on_disk

Function = TypeVar("Function", bound=Callable[..., Any])

# The order of a sum may change and a product may fuse with its addition; NaN and infinity keep
# their meaning.
_REORDERED_SUMS = {"reassoc", "contract", "nsz"}


def compiled(function: Function) -> Function:
    """`function` in machine code, without the interpreter's lock; exact IEEE arithmetic."""
    return _compile(function, fastmath=False)


def compiled_with_reordered_sums(function: Function) -> Function:
    """As `compiled`, but sums may be added up in any order, so that they use vector registers."""
    return _compile(function, fastmath=_REORDERED_SUMS)


def _compile(function: Function, *, fastmath: bool | set[str]) -> Function:
    decorate = numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)
    dispatcher = decorate(function)
    keep_on_disk(dispatcher, function)
    return cast(Function, dispatcher)
