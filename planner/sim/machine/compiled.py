"""Compiles the simulator's functions where numba (extra `fast`) is there; else leaves them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def _numba_compiler() -> Callable[..., Any] | None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    try:
        from numba import njit
    except ImportError:
        return None
    compiler: Callable[..., Any] = njit
    return compiler


_COMPILER = _numba_compiler()
IS_COMPILED = _COMPILER is not None
"""Whether state has to be numpy records; plain objects are quicker for plain Python."""

# Nothing here owns memory, so no references need counting: without that it is six times as fast.
_CHOICES: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}

_KEPT: list[Any] = []
"""What `compiled_once` made."""

SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Changes with any of the functions: what was compiled of others must not be taken for them."""


def compiled(function: F) -> F:
    """Return *function* compiled; its callers compile it into themselves."""
    if _COMPILER is None:
        return function
    result: F = _COMPILER(**_CHOICES, no_cpython_wrapper=True)(function)
    return result


def compiled_once(function: F) -> F:
    """Return *function* compiled and kept on disk; it has to close over `SOURCES`."""
    if _COMPILER is None:
        return function
    result: F = _COMPILER(**_CHOICES, cache=True)(function)
    _KEPT.append(result)
    return result


def compiles_first() -> bool:
    """Return whether nothing compiled is on disk yet, so that the first use takes longer."""
    return any(
        not list(Path(kept.stats.cache_path).glob(f"*.{kept.__name__}-*.nbi")) for kept in _KEPT
    )
