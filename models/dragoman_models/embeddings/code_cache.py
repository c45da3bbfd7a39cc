"""Machine code that is kept on disk between processes, and read without numba's compiler.

Before it reads a function, numba's own cache makes sure that it could compile one: it imports and
registers all that it knows of Python and numpy, and compiles what counts references. That takes
a second and 80 MB. Code that is there needs none of it but the addresses of numba's own functions
in C; where there is none yet, compiling does all of it first.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import llvmlite.binding
from numba.core.caching import FunctionCache
from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]


class _CodeCache(FunctionCache):
    def load_overload(self, sig: Any, target_context: Any) -> Any:
        _name_runtime_functions()
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def _name_runtime_functions() -> None:
    """Makes known where the functions of numba's runtime are, as `numba.core.runtime.nrt` does."""
    for name, address in _nrt_python.c_helpers.items():
        is_internal = name.startswith("_")
        llvmlite.binding.add_symbol(name if is_internal else f"NRT_{name}", address)


def keep_on_disk(dispatcher: Any, function: Callable[..., Any]) -> None:
    """Makes a compiled function read its code, and write what it had to compile. It compiles in
    each process where neither the package's folder nor the user's cache can be written."""
    with suppress(RuntimeError):
        dispatcher._cache = _CodeCache(function)  # type: ignore[no-untyped-call]
