"""The streams of one transaction: loaded in one query, folded in memory, written with few statements (events by COPY,
which costs half of INSERT).

Every event of a stream, received or its own, has a version. A writer that saw an older version gets `Conflict`, and
nothing is written. Envelope bytes are built here, once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from chassis.ids import uuid7
from chassis.store.database import Conflict, Connection
from chassis.store.derived import NOTE
from chassis.store.streams import Cache, Fold, Stream, columns
from chassis.store.views import View
from chassis.telemetry import published_under
from contracts import causes
from contracts.envelope import AnyEvent
from contracts.fields import FROM, Fact
from contracts.wire import Circumstances, build, reread

S = TypeVar("S")

_LOAD = """
SELECT stream_id, version, own, topic, body FROM events WHERE stream_id = ANY($1::text[]) ORDER BY stream_id, version
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
_EVENT = ("stream_id", "version", "own", "topic", "event_id", "body")
_RECEIVED = (*_EVENT, "position")
_OWN = (*_EVENT, "traceparent")
"""The next position, by which it is published, is the column's default."""
_END = f"WITH noted AS ({NOTE}) SELECT pg_notify(current_schema() || '_outbox', '') WHERE $2"
"""Wakes the relay if there is something to send; one statement for two, because every transaction ends with it."""
_ANNOUNCE = "SELECT pg_notify(current_schema() || '_changed', $1)"


_Row = tuple[str, int, bool, str, str, bytes, str | None]
"""As the columns above."""


async def load(connection: Connection, fold: Fold[S], stream_ids: Collection[str]) -> dict[str, Stream[S]]:
    """These streams, folded; one that does not exist has version 0."""
    streams = {stream_id: Stream(stream_id, 0, 0, 0, fold.initial) for stream_id in stream_ids}
    received: dict[str, list[tuple[str, str]]] = {}
    for stream_id, version, own, topic, body in await connection.fetch(_LOAD, list(streams)):
        stream = streams[stream_id]
        stream.loaded = stream.version = version
        stream.sequence += own
        event = reread(topic, body)
        stream.state = fold.evolve(stream.state, event)
        stream.marks = causes.marked(stream.marks, event, version)
        if not own and not topic.startswith(FROM):
            received.setdefault(stream_id, []).append((event.source, event.id))
    for stream_id, identities in received.items():
        streams[stream_id].received = frozenset(identities)
    return streams


@dataclass
class Journal(Generic[S]):
    """Call `open`, then `receive` and `append` any number of times, then `write` once, in one transaction."""

    source: str
    fold: Fold[S]
    views: Sequence[View[S]]
    now: datetime
    announces: bool = False
    cache: Cache[S] | None = None
    streams: dict[str, Stream[S]] = field(default_factory=dict)
    _cached: set[str] = field(default_factory=set)
    """The streams that came from the cache."""
    _received: list[_Row] = field(default_factory=list)
    _own: list[_Row] = field(default_factory=list)

    async def open(self, connection: Connection, stream_ids: Iterable[str]) -> None:
        """Loads and folds these streams; one that does not exist yet begins at version 0."""
        missing = []
        for stream_id in set(stream_ids) - self.streams.keys():
            known = self.cache.get(stream_id) if self.cache else None
            if known is None:
                missing.append(stream_id)
            else:
                self.streams[stream_id] = Stream(stream_id, known[0], *known)
                self._cached.add(stream_id)
        if not missing:
            return
        self.streams |= await load(connection, self.fold, missing)

    def begin(self) -> str:
        """Opens a new stream under an id that nobody could know before."""
        stream_id = uuid7(self.now)
        self.streams[stream_id] = Stream(stream_id, 0, 0, 0, self.fold.initial)
        return stream_id

    def receive(self, stream_id: str, topic: str, event: Any, raw: bytes) -> None:
        """Records an event received from elsewhere."""
        stream = self.streams[stream_id]
        stream.state = self.fold.evolve(stream.state, event)
        stream.version += 1
        stream.marks = causes.marked(stream.marks, event, stream.version)
        if not topic.startswith(FROM):
            stream.received |= {(event.source, event.id)}
        self._received.append((stream_id, stream.version, False, topic, event.id, raw, None))

    def append(
        self,
        stream_id: str,
        facts: Sequence[Fact],
        *,
        at: datetime,
        cause: AnyEvent | None = None,
        actor: str | None = None,
    ) -> list[Any]:
        """Records the service's own facts, to be sent to their topics. Raises `TooLarge`; then none is recorded.

        `cause` is the event they follow from, if there is one. contracts.causes decides which fact names which cause.
        """
        stream = self.streams[stream_id]
        state, sequence, marks = stream.state, stream.sequence, stream.marks
        first = stream.version + 1
        header, traceparent = published_under(cause.traceparent if cause is not None else None)
        built = []
        for place, fact in enumerate(facts, start=first):
            sequence += 1
            event, raw = build(
                fact,
                Circumstances(
                    event_id=uuid7(self.now),
                    source=self.source,
                    subject=stream_id,
                    time=at,
                    recorded=self.now,
                    sequence=sequence,
                    cause=causes.cause(fact, marks, since=first, given=cause),
                    actor=actor,
                    traceparent=traceparent,
                ),
            )
            state = self.fold.evolve(state, event)
            marks = causes.marked(marks, event, place)
            built.append((event, raw))
        for event, raw in built:
            stream.version += 1
            self._own.append((stream_id, stream.version, True, event.topic, event.id, raw, header))
        stream.state, stream.sequence, stream.marks = state, sequence, marks
        return [event for event, _ in built]

    def mark(self, stream: Stream[S]) -> tuple[Any, ...]:
        """Where a stream and the journal stand, for `restore`."""
        known = (stream.version, stream.sequence, stream.state, stream.marks, stream.received)
        return (*known, len(self._received), len(self._own))

    def restore(self, stream: Stream[S], mark: tuple[Any, ...]) -> None:
        """Undoes what was recorded of this stream since `mark`; no other stream may have been appended to since."""
        stream.version, stream.sequence, stream.state, stream.marks, stream.received, received, own = mark
        del self._received[received:]
        del self._own[own:]

    @property
    def touched(self) -> list[Stream[S]]:
        """The streams with something to write."""
        return [stream for stream in self.streams.values() if stream.version != stream.loaded]

    async def write(self, connection: Connection) -> None:
        """Appends everything: streams, events, views. Raises `Conflict` if another writer was faster."""
        await self._verify(connection)
        touched = sorted(self.touched, key=lambda stream: stream.stream_id)
        if not touched:
            return
        begun = [s for s in touched if s.loaded == 0]
        grown = [s for s in touched if s.loaded > 0]
        if begun:
            status = await connection.execute(_BEGIN, *columns(self.fold, begun))
            self._expect(status, begun)
        if grown:
            status = await connection.execute(_ADVANCE, *columns(self.fold, grown), [s.loaded for s in grown])
            self._expect(status, grown)
        if self._received:
            await connection.copy_records_to_table("events", columns=_RECEIVED, records=self._received)
        if self._own:
            await connection.copy_records_to_table("events", columns=_OWN, records=self._own)
        await self._write_views(connection, touched)
        if self.announces:
            await connection.execute(_ANNOUNCE, ",".join(s.stream_id for s in touched) if len(touched) <= 200 else "*")
        await connection.execute(_END, [s.stream_id for s in touched], bool(self._own))

    async def _write_views(self, connection: Connection, touched: Sequence[Stream[S]]) -> None:
        """Writes the rows of these streams that are not as this process wrote them last."""
        written = [{view.table: tuple(view.rows(s.stream_id, s.state)) for view in self.views} for s in touched]
        for view in self.views:
            changed = [
                row
                for stream, rows in zip(touched, written, strict=True)
                for row in rows[view.table]
                if row not in stream.rows.get(view.table, ())
            ]
            await view.write_rows(connection, changed)
        for stream, rows in zip(touched, written, strict=True):
            stream.rows = rows

    async def _verify(self, connection: Connection) -> None:
        """Raises `Conflict` if a decision was made on a cached state that has changed since.

        The write itself checks the version of every stream that is written. This checks the cached streams of which
        nothing is written: what came was parked, answered under another subject, or had no effect.
        """
        unwritten = {
            stream_id: stream.loaded
            for stream_id in self._cached
            if (stream := self.streams[stream_id]).version == stream.loaded
        }
        if not unwritten:
            return
        assert self.cache is not None
        rows = await connection.fetch(_VERSIONS, list(unwritten))
        stale = [row["stream_id"] for row in rows if row["version"] != unwritten[row["stream_id"]]]
        if stale:
            self.cache.forget(stale)
            raise Conflict(f"{len(stale)} cached streams are stale")

    def _expect(self, status: str, streams: list[Stream[S]]) -> None:
        if int(status.rpartition(" ")[2]) != len(streams):
            if self.cache:
                self.cache.forget(s.stream_id for s in streams)
            raise Conflict(f"one of {len(streams)} streams was appended to by another writer")
