"""What is derived from the events of a service that decides: its views, and the version and deadline of its streams."""

from collections.abc import Sequence

from chassis.engine.model import Model
from chassis.store.database import Connection
from chassis.store.derived import Derived
from chassis.store.journal import load
from chassis.store.streams import row

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


_HOLD = "SELECT FROM streams WHERE stream_id = ANY($1::text[]) ORDER BY stream_id FOR UPDATE"


def derived(model: Model) -> Derived:
    """The tables of a model. A deadline that was stopped because its case met a defect is set again with them."""
    views = [view.table for view in model.views]
    tables = ["streams", *views]

    async def hold(connection: Connection, names: Sequence[str] | None) -> None:
        if names is None:
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        else:
            await connection.execute(_HOLD, names)

    async def refill(connection: Connection, names: Sequence[str]) -> None:
        streams = list((await load(connection, model.decider, names)).values())
        await connection.execute(_STREAMS, *zip(*(row(model.decider, one) for one in streams), strict=True))
        for view in model.views:
            await view.write(connection, [(stream.stream_id, stream.state) for stream in streams])

    return Derived(tables, views, hold, _COUNT, _NEXT, refill)
