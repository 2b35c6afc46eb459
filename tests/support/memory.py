"""How much memory objects hold."""

import gc
import sys
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_LASTING = (type, ModuleType, FunctionType, BuiltinFunctionType)


def held_by(roots: Iterable[Any], known: set[int]) -> int:
    """The bytes of all that these objects hold and that is not known yet; it is known afterwards."""
    found, rest = 0, list(roots)
    while rest:
        one = rest.pop()
        if id(one) in known or isinstance(one, _LASTING):
            continue
        known.add(id(one))
        found += sys.getsizeof(one)
        rest += gc.get_referents(one)
    return found
