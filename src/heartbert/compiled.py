"""Whether hot loops run compiled: numba is used where it is installed, and every compiled loop has a plain path."""

from functools import cache
from importlib.util import find_spec


@cache
def has_numba() -> bool:
    """Return True if numba can be imported; modules with compiled loops are imported only then."""
    return find_spec("numba") is not None
