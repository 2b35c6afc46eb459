"""The streams of one transaction: loaded in one query, folded in memory, written together at its end.

Every event of a stream, received or its own, has a version. A writer that saw an older version gets `Conflict`, and
nothing is written. Envelope bytes are built here, once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from chassis.ids import uuid7
from chassis.store.derived import NOTE
from chassis.store.streams import Cache, Fold, Stream, row
from chassis.store.transaction import Connection, Transaction, Write
from chassis.store.views import View
from chassis.telemetry import published_under
from contracts import causes
from contracts.envelope import AnyEvent
from contracts.fields import FROM, Fact
from contracts.times import ahead
from contracts.wire import Circumstances, build, reread

S = TypeVar("S")

_LOAD = """
SELECT stream_id, version, own, topic, body FROM events WHERE stream_id = ANY($1::text[]) ORDER BY stream_id, version
"""
_BEGIN = """
INSERT INTO streams (stream_id, version, sequence, due_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[])
ON CONFLICT (stream_id) DO NOTHING RETURNING true
"""
_ADVANCE = """
UPDATE streams s SET version = u.version, sequence = u.sequence, due_at = u.due_at
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[])
       AS u (stream_id, version, sequence, due_at, expected)
 WHERE s.stream_id = u.stream_id AND s.version = u.expected RETURNING true
"""
_UNCHANGED = """
SELECT FROM streams JOIN unnest($1::text[], $2::bigint[]) AS u (stream_id, version) USING (stream_id, version)
"""
_READ = "streams are at the version that was read"
# A transaction has its id before it takes a position: so the relay knows who may still fill a gap (store/outbox.py).
_EVENTS = """
INSERT INTO events (stream_id, version, own, topic, event_id, body, traceparent, position)
SELECT u.*, CASE WHEN u.own AND pg_current_xact_id() IS NOT NULL THEN nextval('events_position') END
  FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::text[], $5::text[], $6::bytea[], $7::text[])
       AS u (stream_id, version, own, topic, event_id, body, traceparent)
"""
_RETURN = """
INSERT INTO events (stream_id, version, own, topic, event_id, body, traceparent, position)
SELECT u.*, NULL
  FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::text[], $5::text[], $6::bytea[], $7::text[])
       AS u (stream_id, version, own, topic, event_id, body, traceparent)
"""
_EVENT = ("stream_id", "version", "own", "topic", "event_id", "body", "traceparent")
_RECEIVED = (*_EVENT, "position")
"""Without a position. That of an own event, by which it is published, is the column's default, as above."""
_WAKE = "pg_notify(current_schema() || '_outbox', '')"
_ANNOUNCE = "pg_notify(current_schema() || '_changed', $1)"


_Row = tuple[str, int, bool, str, str, bytes, str | None]
"""As the columns above."""


async def load(connection: Connection, fold: Fold[S], stream_ids: Collection[str]) -> dict[str, Stream[S]]:
    """These streams, folded; one that does not exist has version 0."""
    streams = {stream_id: Stream(stream_id, 0, 0, 0, fold.initial) for stream_id in stream_ids}
    received: dict[str, list[tuple[str, str]]] = {}
    for stream_id, version, own, topic, body in await connection.fetch(_LOAD, list(streams)):
        stream = streams[stream_id]
        stream.loaded = stream.version = version
        event = reread(topic, body)
        if own:
            stream.sequence = int(event.sequence)  # not their number: what is lost for good leaves a gap
        stream.state = fold.evolve(stream.state, event)
        stream.marks = causes.marked(stream.marks, event, version)
        stream.size += len(body)
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
    _received: list[_Row] = field(default_factory=list)
    _own: list[_Row] = field(default_factory=list)
    _returned: list[_Row] = field(default_factory=list)

    async def open(self, connection: Connection, stream_ids: Iterable[str]) -> None:
        """Loads and folds these streams; one that does not exist yet begins at version 0."""
        missing = []
        for stream_id in set(stream_ids) - self.streams.keys():
            known = self.cache.take(stream_id) if self.cache else None
            if known is None:
                missing.append(stream_id)
            else:
                self.streams[stream_id] = Stream(stream_id, known.version, *known)
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
        stream.size += len(raw)
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
        Where `at` lies further ahead than a reader takes, as after what a clock that was wrong has said, it is now.
        """
        at = self.now if ahead(at, self.now) else at
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
            stream.size += len(raw)
            self._own.append((stream_id, stream.version, True, event.topic, event.id, raw, header))
        stream.state, stream.sequence, stream.marks = state, sequence, marks
        return [event for event, _ in built]

    def take_back(self, stream_id: str, event: Any, raw: bytes, traceparent: str | None) -> None:
        """Records an event of the service's own that was published already. It is not sent again."""
        stream = self.streams[stream_id]
        stream.state = self.fold.evolve(stream.state, event)
        stream.version += 1
        stream.sequence = int(event.sequence)
        stream.marks = causes.marked(stream.marks, event, stream.version)
        self._returned.append((stream_id, stream.version, True, event.topic, event.id, raw, traceparent))

    def mark(self, stream: Stream[S]) -> tuple[Any, ...]:
        """Where a stream and the journal stand, for `restore`."""
        known = (stream.version, stream.sequence, stream.state, stream.marks, stream.received, stream.size)
        return (*known, len(self._received), len(self._own))

    def restore(self, stream: Stream[S], mark: tuple[Any, ...]) -> None:
        """Undoes what was recorded of this stream since `mark`; no other stream may have been appended to since."""
        stream.version, stream.sequence, stream.state, stream.marks, stream.received, stream.size, received, own = mark
        del self._received[received:]
        del self._own[own:]

    @property
    def touched(self) -> list[Stream[S]]:
        """The streams with something to write."""
        return [stream for stream in self.streams.values() if stream.version != stream.loaded]

    def write(self, transaction: Transaction) -> None:
        """Appends everything: streams, events, views. The transaction ends with `Conflict` if another writer was faster
        than any decision that was made here, also one on a stream of which nothing is written: what came was parked,
        answered under another subject, or had no effect. Only a stream that was not there may have begun meanwhile.
        """
        kept = [s for s in self.streams.values() if s.version == s.loaded > 0]
        transaction.write(Write(_UNCHANGED, [(s.stream_id, s.loaded) for s in kept], exactly=_READ))
        touched = sorted(self.touched, key=lambda stream: stream.stream_id)
        if not touched:
            return
        begun = [row(self.fold, s) for s in touched if s.loaded == 0]
        grown = [(*row(self.fold, s), s.loaded) for s in touched if s.loaded > 0]
        transaction.write(Write(_BEGIN, begun, exactly=_READ))
        transaction.write(Write(_ADVANCE, grown, exactly=_READ))
        transaction.write(Write(_EVENTS, [*self._received, *self._own], bulk=self._copy))
        transaction.write(Write(_RETURN, self._returned))
        self._write_views(transaction, touched)
        names = [s.stream_id for s in touched]
        transaction.write(Write(NOTE, [(name,) for name in names]))
        if self.announces:
            transaction.call(_ANNOUNCE, ",".join(names) if len(names) <= 200 else "*")
        if self._own:
            transaction.call(_WAKE)

    async def _copy(self, connection: Connection) -> None:
        if self._received:
            rows = [(*row, None) for row in self._received]
            await connection.copy_records_to_table("events", columns=_RECEIVED, records=rows)
        if self._own:
            await connection.copy_records_to_table("events", columns=_EVENT, records=self._own)

    def _write_views(self, transaction: Transaction, touched: Sequence[Stream[S]]) -> None:
        """Writes the rows of these streams that are not as this process wrote them last."""
        written = [{view.table: tuple(view.rows(s.stream_id, s.state)) for view in self.views} for s in touched]
        for view in self.views:
            changed = [
                row
                for stream, rows in zip(touched, written, strict=True)
                for row in rows[view.table]
                if row not in stream.rows.get(view.table, ())
            ]
            transaction.write(view.written(changed))
        for stream, rows in zip(touched, written, strict=True):
            stream.rows = rows
