"""A set that only grows, for states that are folded event by event."""

from collections.abc import Iterator


class Ids:
    """Ids seen so far. One more costs the same however many there are; what was before stays as it was.

    States that follow one another share one table, of which each knows its first part; only who goes on from an older
    state a second time copies it.
    """

    __slots__ = ("_count", "_places")

    def __init__(self, places: dict[str, int] | None = None, count: int = 0) -> None:
        self._places = {} if places is None else places
        self._count = count

    def plus(self, one: str) -> "Ids":
        """These and that one."""
        if one in self:
            return self
        places = self._places if len(self._places) == self._count else {name: n for n, name in enumerate(self)}
        places[one] = self._count
        return Ids(places, self._count + 1)

    def __contains__(self, one: object) -> bool:
        place = self._places.get(one) if isinstance(one, str) else None
        return place is not None and place < self._count

    def __iter__(self) -> Iterator[str]:
        return (name for name, place in self._places.items() if place < self._count)

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self._count == other._count and all(one in other for one in self)

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return f"Ids({sorted(self)})"
