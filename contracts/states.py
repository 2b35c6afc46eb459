"""States that are folded event by event: how the next one is made of the last."""

from typing import Any, TypeVar

S = TypeVar("S")


def altered(state: S, **changes: Any) -> S:
    """`dataclasses.replace` at a fifth of its cost, because every event passes here several times in every service.

    `state` is a frozen dataclass without slots and without `__post_init__`, all of whose fields are set by its
    constructor. Raises `TypeError` for a change of what is no field.
    """
    new = object.__new__(type(state))
    known = state.__dict__
    new.__dict__.update(known, **changes)
    if len(new.__dict__) != len(known):
        raise TypeError(f"{type(state).__name__} has no field {', '.join(changes.keys() - known.keys())}")
    return new
