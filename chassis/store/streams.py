"""A service's streams in memory: one case as one service knows it, and the cache of the streams written last."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from contracts import causes

CACHE_BYTES = 128 * 1024 * 1024
"""What the cache of a process may weigh."""
_WEIGHT, _WEIGHT_OF_A_BYTE = 2_000, 6
"""Bytes that a stream takes: in any case, and for each byte of its events."""

S = TypeVar("S")


Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""View -> the rows of a case."""
Identities = frozenset[tuple[str, str]]
"""(source, id) of events."""


class Fold(Protocol[S]):
    """How events become a state; a service's decider is one."""

    @property
    def initial(self) -> S:
        """The state of a stream without events."""
        ...

    @property
    def evolve(self) -> Callable[[S, Any], S]:
        """(state, event) -> the state after the event."""
        ...

    @property
    def due(self) -> Callable[[S], datetime | None]:
        """state -> its next deadline."""
        ...


@dataclass(slots=True)
class Stream(Generic[S]):
    """A case as one service knows it. `loaded` is the version in the database, `version` counts all its events,
    `sequence` those that the service published itself.
    """

    stream_id: str
    loaded: int
    version: int
    sequence: int
    state: S
    marks: causes.Marks = field(default_factory=dict)
    """The events that later ones may name as their cause."""
    rows: Rows = field(default_factory=dict)
    """Its rows as this process wrote them last; a view is missing where that is not known."""
    received: Identities = frozenset()
    """The other services' facts that have taken effect in it."""
    size: int = 0
    """The bytes of its events."""


def row(fold: Fold[S], stream: Stream[S]) -> tuple[Any, ...]:
    """Its row in the table `streams`: id, version, sequence and deadline."""
    return stream.stream_id, stream.version, stream.sequence, fold.due(stream.state)


class Entry(NamedTuple, Generic[S]):
    """A stream as the cache has it; the names are those of `Stream`."""

    version: int
    sequence: int
    state: S
    marks: causes.Marks
    rows: Rows
    received: Identities
    size: int

    @property
    def weight(self) -> int:
        """About the bytes of memory that it takes: what state and rows hold, they took from events. A test compares."""
        return _WEIGHT + self.size * _WEIGHT_OF_A_BYTE


class Cache(Generic[S]):
    """The streams this process worked on last, so that a worker need not fold them again.

    It is never the authority: a stale entry ends a transaction with `Conflict`, even if nothing of it is written.
    Whoever works on a stream takes it out, and puts it back after the commit, so what failed is not there any more.
    """

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, Entry[S]] = OrderedDict()

    def health(self) -> dict[str, int]:
        """How many streams there are, about how many bytes they take, and how many they may."""
        return {"streams": len(self._entries), "bytes": self._bytes, "most": self._most_bytes}

    def take(self, stream_id: str) -> Entry[S] | None:
        """The stream as this process left it."""
        entry = self._entries.pop(stream_id, None)
        if entry is not None:
            self._bytes -= entry.weight
        return entry

    def put(self, streams: Iterable[Stream[S]]) -> None:
        """Stores the streams of a transaction that has been committed, but for those that do not exist, and those that
        somebody else has taken further meanwhile. Drops those that were used longest ago if all weigh too much.
        """
        for stream in streams:
            known = self._entries.get(stream.stream_id)
            if stream.version == 0 or (known is not None and known.version > stream.version):
                continue
            self.take(stream.stream_id)
            entry = Entry(
                stream.version,
                stream.sequence,
                stream.state,
                stream.marks,
                stream.rows,
                stream.received,
                stream.size,
            )
            self._entries[stream.stream_id] = entry
            self._bytes += entry.weight
        while self._bytes > self._most_bytes:
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.weight

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drops entries that may be stale."""
        for stream_id in stream_ids:
            self.take(stream_id)
