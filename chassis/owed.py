"""What other cases are to hear of an event: a bounded number in its own transaction, the rest paid off in batches.

A debt is a row: this case is still to hear of that event of another case. It is written with the event and deleted with
what follows from it, so a process that dies in between leaves neither a gap nor a repetition.
"""

from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.database import Connection, Database
from chassis.deciding import Deciding, opened
from chassis.service import Service
from chassis.telemetry import hop
from contracts.wire import reread

AT_ONCE = 50
"""The most other cases that hear of one event in its own transaction, and of any in a batch of debts."""

_OWE = """
INSERT INTO owed (stream_id, event_stream, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING
"""
_NEXT = "SELECT position FROM owed WHERE fault IS NULL ORDER BY position LIMIT $1"
_TAKE = """
DELETE FROM owed WHERE position IN (
    SELECT position FROM owed WHERE position = ANY($1::bigint[]) ORDER BY position FOR UPDATE SKIP LOCKED)
RETURNING stream_id, event_stream, event_id, position
"""
# What partners asked is left out: they choose its ids, and could choose one of these.
_EVENTS = """
SELECT stream_id, event_id, topic, body FROM events
 WHERE stream_id = ANY($1::text[]) AND event_id = ANY($2::text[]) AND topic NOT LIKE 'from.%'
"""

Heard = Sequence[tuple[Any, str]]
"""(event, case that is to hear of it) each."""


def divided(heard: Heard) -> tuple[Heard, Heard]:
    """Who hears now, and who later: of each event the first `AT_ONCE`."""
    now: list[tuple[Any, str]] = []
    later: list[tuple[Any, str]] = []
    counts: dict[str, int] = {}
    for event, other in heard:
        counts[event.id] = counts.get(event.id, 0) + 1
        (now if counts[event.id] <= AT_ONCE else later).append((event, other))
    return now, later


def hear(service: Service, deciding: Deciding[Any], event: Any, other: str) -> list[tuple[Any, str]]:
    """Records what another case's event means to this one, which is open in the journal; who hears of that again."""
    journal, stream, inputs = deciding.journal, deciding.journal.streams[other], deciding.inputs(other)
    facts = service.decider.hear(event, stream.state, inputs)
    published = []
    if facts:
        traceparent = hop(f"{service.name} hears of {event.subject}", event.traceparent)
        published = journal.publish(other, facts, at=journal.now, cause=event, traceparent=traceparent)
    return [pair for fact in published for pair in service.decider.heard(fact, stream.state, inputs)]


async def owe(connection: Connection, heard: Heard) -> None:
    """Writes down who is still to hear of what."""
    if heard:
        await connection.execute(
            _OWE,
            [other for _, other in heard],
            [event.subject for event, _ in heard],
            [event.id for event, _ in heard],
        )


async def debts(database: Database) -> list[int]:
    """The next few to be paid, by their positions."""
    return [row["position"] for row in await database.fetch(_NEXT, AT_ONCE)]


async def leave(database: Database, position: int, fault: str) -> None:
    """Leaves a debt that cannot be paid, until a worker begins anew: perhaps the defect is mended then."""
    await database.fetch("UPDATE owed SET fault = $2 WHERE position = $1", position, fault)


async def take_up(database: Database) -> None:
    """Has what was left asked again."""
    await database.fetch("UPDATE owed SET fault = NULL WHERE fault IS NOT NULL")


async def pay(service: Service, database: Database, clock: Clock, positions: Sequence[int]) -> list[str]:
    """Lets cases hear of what they are owed; which cases. Several workers may do so at once."""

    async def work(connection: Connection) -> list[str]:
        rows = await connection.fetch(_TAKE, positions)
        if not rows:
            return []
        rows.sort(key=lambda row: row["position"])
        streams = [row["stream_id"] for row in rows]
        stored = await connection.fetch(
            _EVENTS, [row["event_stream"] for row in rows], [row["event_id"] for row in rows]
        )
        events = {(row["stream_id"], row["event_id"]): reread(row["topic"], row["body"]) for row in stored}
        deciding = await opened(service, connection, clock(), streams)
        further: list[tuple[Any, str]] = []
        for row in rows:
            further += hear(service, deciding, events[row["event_stream"], row["event_id"]], row["stream_id"])
        await deciding.journal.write(connection)
        await owe(connection, further)
        return streams

    return await database.transact(work)
