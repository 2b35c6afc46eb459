"""A service's streams in memory: one case as one service knows it, and the cache of the streams written last."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from contracts import causes

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


def row(fold: Fold[S], stream: Stream[S]) -> tuple[Any, ...]:
    """Its row in the table `streams`: id, version, sequence and deadline."""
    return stream.stream_id, stream.version, stream.sequence, fold.due(stream.state)


class Cache(Generic[S]):
    """The streams this process worked on last, so that a worker need not fold them again.

    It is never the authority: a stale entry ends a transaction with `Conflict`, even if nothing of it is written.
    Whoever works on a stream takes it out, and puts it back after the commit, so what failed is not there any more.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._entries: OrderedDict[str, tuple[int, int, S, causes.Marks, Rows, Identities]] = OrderedDict()

    def take(self, stream_id: str) -> tuple[int, int, S, causes.Marks, Rows, Identities] | None:
        """(version, sequence, state, marks, rows, received) as this process left it."""
        return self._entries.pop(stream_id, None)

    def put(self, streams: Iterable[Stream[S]]) -> None:
        """Stores the streams of a transaction that has been committed, but for those that do not exist, and those that
        somebody else has taken further meanwhile.
        """
        for stream in streams:
            known = self._entries.get(stream.stream_id)
            if stream.version == 0 or (known is not None and known[0] > stream.version):
                continue
            self._entries[stream.stream_id] = (
                stream.version,
                stream.sequence,
                stream.state,
                stream.marks,
                stream.rows,
                stream.received,
            )
            self._entries.move_to_end(stream.stream_id)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drops entries that may be stale."""
        for stream_id in stream_ids:
            self._entries.pop(stream_id, None)
