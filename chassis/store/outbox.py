"""The outbox: own events in the order in which they are published, and how far that has come.

Events are published from the table `events` by their positions. A transaction that commits late has lower positions
than what others have committed meanwhile: its positions are gaps, and a gap is read again until it is filled, or until
every transaction that could fill it has ended. Nothing waits for a gap, not even in a case, because the next event of a
case gets its position after the commit of the one before. The table `published` names the position below the first gap,
so whoever begins anew reads some events again, and misses none. Beside it stands what was sent beyond that gap, so that
any process of the service can tell how old the oldest unsent fact is.
"""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import asyncpg

from chassis.store.database import Database

R = TypeVar("R")

_COLUMNS = "topic, stream_id, version, body, traceparent"
_CURSOR = "SELECT position FROM published"
_READ = f"""
SELECT position, {_COLUMNS} FROM events WHERE own AND position > $1 ORDER BY position LIMIT $2
"""
_READ_GAPS = f"""
SELECT position, {_COLUMNS} FROM events JOIN unnest($1::bigint[], $2::bigint[]) AS gap (first, last)
    ON own AND position BETWEEN first AND last
 ORDER BY position
"""
_READ_UNSENT = f"""
SELECT number, {_COLUMNS}, CASE WHEN own THEN stream_id ELSE convert_from(body, 'UTF8')::json ->> 'subject' END AS key
  FROM (SELECT * FROM unsent WHERE topic <> ALL($1::text[]) ORDER BY number LIMIT $2) u
  JOIN (SELECT stream_id, version, own, body, traceparent FROM events) e USING (stream_id, version)
 ORDER BY number
"""
_TOPICS_UNSENT = "SELECT DISTINCT topic FROM unsent"
_OLDEST = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NEXT = "SELECT pg_current_xact_id()::text::bigint"
"""An id of one's own: above all that were given before. The end of a snapshot is only above those that have ended."""
_NOTE = """
UPDATE published SET position = greatest(position, $1), sent = greatest(sent, $2),
                     missing = CASE WHEN sent <= $2 THEN $3::int8multirange ELSE missing END
"""
"""What another relay has noted since stays: nothing goes back."""
_SET_APART = f"""
WITH later AS (
    INSERT INTO unsent (topic, stream_id, version) SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[])
)
{_NOTE}
"""
_FORGET_APART = "DELETE FROM unsent WHERE number = ANY($1::bigint[])"
_OLDEST_UNSENT = """
SELECT extract(epoch FROM clock_timestamp() - min(recorded_at))::float8 AS seconds FROM (
    (SELECT recorded_at FROM events
      WHERE own AND position > (SELECT greatest(position, sent) FROM published) ORDER BY position LIMIT 1)
    UNION ALL
    SELECT recorded_at FROM (SELECT position AS low, unnest(missing) AS gap FROM published) AS noted
      JOIN events ON own AND position BETWEEN greatest(lower(gap), low + 1) AND upper(gap) - 1
) AS waiting
"""


class Watched(Protocol):
    """`Database.watched`: the outcome of a statement, or `NotNow` if the server hangs."""

    def __call__(self, connection: asyncpg.Connection, statement: Awaitable[R], /) -> Awaitable[R]: ...


class Unpublished(NamedTuple):
    """An event that is to be sent. `key` is its case; `number` is its place among those sent apart, if it is one."""

    position: int | None
    number: int | None
    topic: str
    key: str
    stream_id: str
    version: int
    body: bytes
    traceparent: str | None


class Covered(NamedTuple):
    """All positions up to `low`, and those up to `high` that lie in no gap."""

    low: int
    high: int
    gaps: Sequence[asyncpg.Range]


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions from `first` to `last` of which no event was there; transactions below `horizon` could add one."""

    first: int
    last: int
    horizon: int


class Positions:
    """Which positions have been read, and which are still missing among them."""

    def __init__(self, read_up_to: int) -> None:
        self.high = read_up_to
        """The highest position that was read."""
        self.gaps: list[Gap] = []

    @property
    def low(self) -> int:
        """Everything up to here was read, or will never be there."""
        return min((gap.first - 1 for gap in self.gaps), default=self.high)

    @property
    def covered(self) -> "Covered":
        """Which positions were read, as it is noted."""
        gaps = [asyncpg.Range(gap.first, gap.last, upper_inc=True) for gap in self.gaps]
        return Covered(self.low, self.high, gaps)

    def missing(self, positions: Iterable[int]) -> list[tuple[int, int]]:
        """The ranges between these positions, all above the highest one, that were not read."""
        found, before = [], self.high
        for position in positions:
            if position > before + 1:
                found.append((before + 1, position - 1))
            before = position
        return found

    def read(self, positions: Sequence[int], horizon: int) -> None:
        """Notes positions above the highest one. What is missing can only come of transactions below `horizon`."""
        self.gaps += [Gap(first, last, horizon) for first, last in self.missing(positions)]
        if positions:
            self.high = positions[-1]

    def filled(self, positions: Iterable[int], oldest: int) -> None:
        """Notes positions of gaps; all gaps were looked at after no transaction below `oldest` was running any more."""
        for position in positions:
            self.gaps = [part for gap in self.gaps for part in _without(gap, position)]
        self.gaps = [gap for gap in self.gaps if gap.horizon > oldest]


def _without(gap: Gap, position: int) -> list[Gap]:
    if not gap.first <= position <= gap.last:
        return [gap]
    parts = [Gap(gap.first, position - 1, gap.horizon), Gap(position + 1, gap.last, gap.horizon)]
    return [part for part in parts if part.first <= part.last]


class Outbox:
    """Reads what is to be published, in order, and notes what was. Made for one relay, and anew with each start."""

    def __init__(
        self, connection: asyncpg.Connection, watched: Watched, read_up_to: int, topics: Iterable[str]
    ) -> None:
        self._connection = connection
        self._watched = watched
        self._positions = Positions(read_up_to)
        self._acknowledged = self._noted = self._positions.covered
        self.apart = set(topics)
        """Topics of which events wait in `unsent`: later events of theirs go behind those."""

    @classmethod
    async def open(cls, connection: asyncpg.Connection, watched: Watched) -> "Outbox":
        """The outbox of the connection's schema, where it was left."""
        cursor = await watched(connection, connection.fetch(_CURSOR))
        topics = await watched(connection, connection.fetch(_TOPICS_UNSENT))
        return cls(connection, watched, cursor[0]["position"], [row["topic"] for row in topics])

    async def read(self, limit: int) -> list[Unpublished]:
        """The next events, and those of gaps that have been filled since. Each is read once, unless `Outbox` is made
        anew before it was noted.
        """
        rows = await self._fetch(_READ, self._positions.high, limit)
        # Looked at afterwards: what a case said before one of these rows was committed before it, and is found here.
        late = await self._read_gaps() if self._positions.gaps else []
        positions = [row["position"] for row in rows]
        horizon = await self._value(_NEXT) if self._positions.missing(positions) else 0
        self._positions.read(positions, horizon)
        return [_unpublished(row, row["stream_id"]) for row in (*late, *rows)]

    async def read_apart(self, but: Sequence[str], limit: int) -> list[Unpublished]:
        """The next events of `unsent`, of other topics than these."""
        return [_unpublished(row, row["key"]) for row in await self._fetch(_READ_UNSENT, but, limit)]

    def acknowledge(self) -> None:
        """All that `read` has given was acknowledged. The database is told by `note`, or by `set_apart`."""
        self._acknowledged = self._positions.covered

    @property
    def is_noted(self) -> bool:
        """Whether the database knows how far this has come. The last gap may go long after the last event was sent."""
        return self._noted == self._acknowledged

    async def note(self) -> None:
        """Notes what was acknowledged: whoever begins anew begins there, and reads again what came after it."""
        covered = self._acknowledged
        await self._watched(self._connection, self._connection.execute(_NOTE, *covered))
        self._noted = covered

    async def set_apart(self, later: Sequence[Unpublished]) -> None:
        """Notes what was acknowledged, and that these are to be sent apart, once their topic is there."""
        covered = self._positions.covered
        columns = zip(*((one.topic, one.stream_id, one.version) for one in later), strict=True)
        await self._watched(self._connection, self._connection.execute(_SET_APART, *covered, *columns))
        self._acknowledged = self._noted = covered
        self.apart.update(one.topic for one in later)

    async def forget_apart(self, sent: Sequence[Unpublished]) -> None:
        """Notes that these, which were sent apart, were acknowledged."""
        await self._watched(self._connection, self._connection.execute(_FORGET_APART, [one.number for one in sent]))

    async def settle_apart(self) -> None:
        """Looks which topics still have events in `unsent`."""
        self.apart = {row["topic"] for row in await self._fetch(_TOPICS_UNSENT)}

    async def _read_gaps(self) -> list[asyncpg.Record]:
        oldest = await self._value(_OLDEST)  # before the gaps are looked at: what has ended by then is visible
        gaps = self._positions.gaps
        rows = await self._fetch(_READ_GAPS, [gap.first for gap in gaps], [gap.last for gap in gaps])
        self._positions.filled([row["position"] for row in rows], oldest)
        return rows

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        return await self._watched(self._connection, self._connection.fetch(query, *arguments))

    async def _value(self, query: str) -> int:
        return (await self._fetch(query))[0][0]


def _unpublished(row: asyncpg.Record, key: str) -> Unpublished:
    return Unpublished(
        row.get("position"),
        row.get("number"),
        row["topic"],
        key,
        row["stream_id"],
        row["version"],
        row["body"],
        row["traceparent"],
    )


async def oldest_unsent(database: Database) -> float | None:
    """For how many seconds the oldest own event has waited that the broker has not acknowledged, by the database's
    clock and as of a second ago; None where none waits. What waits for a topic that is not there is left out.
    """
    return (await database.fetch(_OLDEST_UNSENT))[0]["seconds"]
