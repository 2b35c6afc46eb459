"""The streams touched in one transaction: loaded in one query, folded in memory, written in one statement a table
(events and outbox by COPY: half the cost of INSERT).

Every event of a stream, received or its own, has a version; a writer that saw an older version gets `Conflict` and
nothing is written. Envelope bytes are built here, once.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from chassis.database import Conflict, Connection
from chassis.decider import Decider
from chassis.ids import uuid7
from chassis.views import View
from contracts import causes
from contracts.envelope import AnyEvent
from contracts.fields import Fact
from contracts.wire import build, reread

S = TypeVar("S")

_LOAD = """
SELECT s.stream_id, s.version, s.sequence, e.topic, e.body
  FROM streams s JOIN events e USING (stream_id)
 WHERE s.stream_id = ANY($1::text[])
 ORDER BY s.stream_id, e.version
"""
_BEGIN = """
INSERT INTO streams (stream_id, version, sequence, due_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[])
ON CONFLICT (stream_id) DO NOTHING
"""
_ADVANCE = """
UPDATE streams s SET version = u.version, sequence = u.sequence, due_at = u.due_at
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[])
       AS u (stream_id, version, sequence, due_at, expected)
 WHERE s.stream_id = u.stream_id AND s.version = u.expected
"""
_VERSIONS = "SELECT stream_id, version FROM streams WHERE stream_id = ANY($1::text[])"
_EVENTS = ("stream_id", "version", "own", "topic", "event_id", "body")
_OUTBOX = ("id", "aggregatetype", "aggregateid", "type", "payload", "traceparent")
_WAKE = "SELECT pg_notify(current_schema() || '_outbox', '')"
_ANNOUNCE = "SELECT pg_notify(current_schema() || '_changed', $1)"


@dataclass(slots=True)
class Stream(Generic[S]):
    """A case as one service knows it. `loaded` is the version in the database."""

    stream_id: str
    loaded: int
    version: int
    sequence: int
    state: S
    marks: causes.Marks = field(default_factory=dict)
    """The events that later ones may name as their cause."""


@dataclass(frozen=True, slots=True)
class _Entry:
    stream_id: str
    version: int
    own: bool
    topic: str
    event: Any
    raw: bytes
    traceparent: str | None


class Cache(Generic[S]):
    """The streams last written by this process, so that a worker need not fold again what it has just folded.

    Never the authority: a stale entry makes `Journal.write` a `Conflict`, also where nothing is written of it, and is
    forgotten.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._entries: OrderedDict[str, tuple[int, int, S, causes.Marks]] = OrderedDict()

    def get(self, stream_id: str) -> tuple[int, int, S, causes.Marks] | None:
        """(version, sequence, state, marks) as last written here."""
        return self._entries.get(stream_id)

    def put(self, streams: Iterable[Stream[S]]) -> None:
        """Remembers streams whose transaction has been committed."""
        for stream in streams:
            self._entries[stream.stream_id] = (stream.version, stream.sequence, stream.state, stream.marks)
            self._entries.move_to_end(stream.stream_id)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drops what may be stale."""
        for stream_id in stream_ids:
            self._entries.pop(stream_id, None)


@dataclass
class Journal(Generic[S]):
    """Open, then any number of `take` and `publish`, then `write` once, all inside the caller's transaction."""

    source: str
    decider: Decider[Any, S]
    views: Sequence[View[S]]
    now: datetime
    announces: bool = False
    cache: Cache[S] | None = None
    streams: dict[str, Stream[S]] = field(default_factory=dict)
    _remembered: set[str] = field(default_factory=set)
    """The streams that came from the cache."""
    _entries: list[_Entry] = field(default_factory=list)

    async def open(self, connection: Connection, stream_ids: Iterable[str]) -> None:
        """Loads and folds these streams; one that does not exist yet begins at version 0."""
        missing = []
        for stream_id in set(stream_ids) - self.streams.keys():
            known = self.cache.get(stream_id) if self.cache else None
            if known is None:
                missing.append(stream_id)
            else:
                self.streams[stream_id] = Stream(stream_id, known[0], *known)
                self._remembered.add(stream_id)
        if not missing:
            return
        for stream_id in missing:
            self.streams[stream_id] = Stream(stream_id, 0, 0, 0, self.decider.initial)
        for stream_id, version, sequence, topic, body in await connection.fetch(_LOAD, missing):
            stream = self.streams[stream_id]
            stream.loaded = stream.version = version
            stream.sequence = sequence
            event = reread(topic, body)
            stream.state = self.decider.evolve(stream.state, event)
            stream.marks = causes.marked(stream.marks, event, version)

    def begin(self) -> str:
        """Opens a stream that is not there yet, under an id that nobody could know before."""
        stream_id = uuid7(self.now)
        self.streams[stream_id] = Stream(stream_id, 0, 0, 0, self.decider.initial)
        return stream_id

    def take(self, stream_id: str, topic: str, event: Any, raw: bytes) -> None:
        """Records an event received from elsewhere."""
        stream = self.streams[stream_id]
        stream.state = self.decider.evolve(stream.state, event)
        stream.version += 1
        stream.marks = causes.marked(stream.marks, event, stream.version)
        self._entries.append(_Entry(stream_id, stream.version, False, topic, event, raw, None))

    def publish(
        self,
        stream_id: str,
        facts: Sequence[Fact],
        *,
        at: datetime,
        cause: AnyEvent | None = None,
        actor: str | None = None,
        traceparent: str | None = None,
    ) -> list[Any]:
        """Records the service's own facts, to be sent to their topics. Raises `TooLarge`; then none is recorded.

        `cause` is the event they follow from, where there is one. Which fact names what, contracts.causes says.
        """
        stream = self.streams[stream_id]
        state, sequence, marks = stream.state, stream.sequence, stream.marks
        first = stream.version + 1
        built = []
        for place, fact in enumerate(facts, start=first):
            sequence += 1
            event, raw = build(
                event_id=uuid7(self.now),
                source=self.source,
                subject=stream_id,
                time=at,
                recorded=self.now,
                sequence=sequence,
                data=fact,
                cause=causes.cause(fact, marks, since=first, given=cause),
                actor=actor,
                traceparent=traceparent,
            )
            state = self.decider.evolve(state, event)
            marks = causes.marked(marks, event, place)
            built.append((event, raw))
        for event, raw in built:
            stream.version += 1
            self._entries.append(_Entry(stream_id, stream.version, True, event.data.topic, event, raw, traceparent))
        stream.state, stream.sequence, stream.marks = state, sequence, marks
        return [event for event, _ in built]

    def mark(self, stream: Stream[S]) -> tuple[Any, ...]:
        """Where a stream and the journal stand, for `restore`."""
        return (stream.version, stream.sequence, stream.state, stream.marks, len(self._entries))

    def restore(self, stream: Stream[S], mark: tuple[Any, ...]) -> None:
        """Takes back what was recorded of this stream since `mark`; of no other stream may anything have been."""
        stream.version, stream.sequence, stream.state, stream.marks, count = mark
        del self._entries[count:]

    @property
    def touched(self) -> list[Stream[S]]:
        """The streams that have something to write."""
        return [stream for stream in self.streams.values() if stream.version != stream.loaded]

    async def write(self, connection: Connection) -> None:
        """Appends everything: streams, events, outbox, views. Raises `Conflict` where another writer was faster."""
        await self._verify(connection)
        touched = sorted(self.touched, key=lambda stream: stream.stream_id)
        if not touched:
            return
        begun = [s for s in touched if s.loaded == 0]
        grown = [s for s in touched if s.loaded > 0]
        if begun:
            status = await connection.execute(_BEGIN, *self._columns(begun))
            self._expect(status, begun)
        if grown:
            status = await connection.execute(_ADVANCE, *self._columns(grown), [s.loaded for s in grown])
            self._expect(status, grown)
        entries = self._entries
        await connection.copy_records_to_table(
            "events",
            columns=_EVENTS,
            records=[(e.stream_id, e.version, e.own, e.topic, e.event.id, e.raw) for e in entries],
        )
        for view in self.views:
            await view.write(connection, [(s.stream_id, s.state) for s in touched])
        if self.announces:
            await connection.execute(_ANNOUNCE, ",".join(s.stream_id for s in touched) if len(touched) <= 200 else "*")
        own = [e for e in entries if e.own]
        if own:
            await connection.copy_records_to_table(
                "outbox",
                columns=_OUTBOX,
                records=[(e.event.id, e.topic, e.stream_id, e.event.type, e.raw, e.traceparent) for e in own],
            )
            await connection.execute(_WAKE)

    async def _verify(self, connection: Connection) -> None:
        """Raises `Conflict` where something was judged by a remembered state that has changed since.

        A stream that is written is checked by its version; one of which nothing is written (what came was parked, or
        answered apart, or meant nothing to it) is checked here.
        """
        unwritten = {
            stream_id: stream.loaded
            for stream_id in self._remembered
            if (stream := self.streams[stream_id]).version == stream.loaded
        }
        if not unwritten:
            return
        assert self.cache is not None
        rows = await connection.fetch(_VERSIONS, list(unwritten))
        stale = [row["stream_id"] for row in rows if row["version"] != unwritten[row["stream_id"]]]
        if stale:
            self.cache.forget(stale)
            raise Conflict(f"{len(stale)} streams are cached as they were, and have changed since")

    def _columns(self, streams: list[Stream[S]]) -> tuple[list[Any], ...]:
        return (
            [s.stream_id for s in streams],
            [s.version for s in streams],
            [s.sequence for s in streams],
            [self.decider.due(s.state) for s in streams],
        )

    def _expect(self, status: str, streams: list[Stream[S]]) -> None:
        if int(status.rpartition(" ")[2]) != len(streams):
            if self.cache:
                self.cache.forget(s.stream_id for s in streams)
            raise Conflict(f"one of {len(streams)} streams was appended to by another writer")
