"""Rebuilds what is derived from a service's events: its views, and the version and deadline of its streams."""

from collections.abc import Iterable, Sequence
from typing import Any

from chassis.engine.model import Model
from chassis.store.checksums import Progress, TableRebuilt, checksum
from chassis.store.database import Connection, Database
from chassis.store.journal import load
from chassis.store.migrations import mark_rebuilt
from chassis.store.streams import Stream

_BATCH = 500

_COUNT = "SELECT count(DISTINCT stream_id) FROM events"
_NEXT = "SELECT DISTINCT stream_id FROM events WHERE stream_id > $1 ORDER BY stream_id LIMIT $2"
_STREAMS = """
INSERT INTO streams (stream_id, version, sequence, due_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[])
    ON CONFLICT (stream_id) DO UPDATE
   SET version = excluded.version, sequence = excluded.sequence, due_at = excluded.due_at
 WHERE (streams.version, streams.sequence, streams.due_at)
       IS DISTINCT FROM (excluded.version, excluded.sequence, excluded.due_at)
"""


async def rebuild(model: Model, database: Database, progress: Progress) -> list[TableRebuilt]:
    """Makes views and streams anew in one transaction; returns each table's checksum before and after.

    Readers see the old rows until it commits. Writers wait, so a service that runs meanwhile loses nothing. A deadline
    that was stopped because its case met a defect is set again.
    """

    async def run(connection: Connection) -> list[TableRebuilt]:
        tables = ["streams", *(view.table for view in model.views)]
        await connection.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE", timeout=None)
        before = [await checksum(connection, table) for table in tables]
        for view in model.views:
            await connection.execute(f"DELETE FROM {view.table}", timeout=None)
        await _refill(model, connection, progress)
        after = [await checksum(connection, table) for table in tables]
        await mark_rebuilt(connection)
        return [TableRebuilt(*found) for found in zip(tables, before, after, strict=True)]

    return await database.transact(run)


async def _refill(model: Model, connection: Connection, progress: Progress) -> None:
    total, done, last = await connection.fetchval(_COUNT, timeout=None), 0, ""
    while names := [row["stream_id"] for row in await connection.fetch(_NEXT, last, _BATCH)]:
        last = names[-1]
        streams = list((await load(connection, model.decider, names)).values())
        await connection.execute(_STREAMS, *_columns(model, streams))
        for view in model.views:
            await view.write(connection, [(stream.stream_id, stream.state) for stream in streams])
        done += len(names)
        progress(done, total)


def _columns(model: Model, streams: Sequence[Stream[Any]]) -> Iterable[list[Any]]:
    return (
        [stream.stream_id for stream in streams],
        [stream.version for stream in streams],
        [stream.sequence for stream in streams],
        [model.decider.due(stream.state) for stream in streams],
    )
