"""What is missing from the log: the questions that bytes alone, however well kept, do not answer.

    sequences   each source numbers what it says of a case from 1 without a gap
    causes      what led to an event is in the log
    invalid     a record that could not be read, or trusted, was retried or discarded by somebody
    offsets     every record of a partition from 0 to the last one stored
    indexes     every index from 0 to the last one given
    lost        every record stored is still on its topic
    lag         every record on the topics is stored

The last four are no reason against one case: what is missing there may be anybody's. Duplicates and open cases are
told, but are no fault. Each list has its full count beside its first items.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chassis.database import Connection, Database
from services.audit.broker import Ends
from services.audit.views import SHOWN

_SEQUENCES = """
SELECT l.case_id, l.source, l.sequence - 1 AS until, l.index AS before_index,
       coalesce((SELECT max(e.sequence) FROM log e
                  WHERE e.case_id = l.case_id AND e.source = l.source AND e.sequence < l.sequence), 0) + 1 AS since
  FROM log l
 WHERE l.valid AND l.duplicate_of IS NULL AND l.sequence > 1
   AND NOT EXISTS (SELECT FROM log p
                    WHERE p.case_id = l.case_id AND p.source = l.source AND p.sequence = l.sequence - 1)
"""
_CAUSES = """
SELECT l.case_id, l.causation_id, l.index, l.topic, l.source, l.event_id
  FROM log l
 WHERE l.valid AND l.duplicate_of IS NULL AND l.causation_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM log c WHERE c.event_id = l.causation_id)
"""
# Nobody but audit reads Progressed, so nobody parks what is wrong there: it is told, but there is nothing to settle.
_INVALID = """
SELECT l.index, l.topic, l.partition, l."offset", l.case_id, l.source, l.stored_at, l.reason,
       EXISTS (SELECT FROM log s WHERE s.settles = l.coordinates) AS settled
  FROM log l
 WHERE NOT l.valid
"""
_DUPLICATES = """
SELECT count(*) AS count, count(*) FILTER (WHERE f.body <> l.body) AS differing
  FROM log l JOIN log f ON f.index = l.duplicate_of
 WHERE l.duplicate_of IS NOT NULL
"""
_OPEN = f"SELECT {SHOWN} FROM cases l WHERE l.status <> 'closed'"
_SIZE = "SELECT count(*) AS stored, coalesce(max(index), -1) + 1 AS size FROM log"
_INDEX_GAPS = """
SELECT since, until FROM (
    SELECT lag(index, 1, -1::bigint) OVER (ORDER BY index) + 1 AS since, index - 1 AS until FROM log) g
 WHERE since <= until
"""
_PARTITIONS = """
SELECT topic, partition, count(*) AS stored, max("offset") + 1 AS next FROM log GROUP BY topic, partition
 ORDER BY topic, partition
"""
_OFFSET_GAPS = """
SELECT topic, partition, since, until FROM (
    SELECT topic, partition, "offset" - 1 AS until,
           lag("offset", 1, -1::bigint) OVER (PARTITION BY topic, partition ORDER BY "offset") + 1 AS since FROM log) g
 WHERE since <= until
"""


async def completeness(
    database: Database, case_id: str | None, limit: int, ask: Callable[[], Awaitable[Ends]]
) -> dict[str, Any]:
    """The verdict, its reasons, and what each question found, `limit` items a list. `ask` gives the topics' ends."""
    ends, unknown = await _asked(ask)

    async def work(connection: Connection) -> dict[str, Any]:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return await _answers(connection, case_id, limit)

    found = await database.transact(work)
    stored = {(row["topic"], row["partition"]): row["next"] for row in found.pop("partitions")}
    if ends is not None and any(end < stored.get(at, 0) for at, end in ends.items()):
        ends, unknown = await _asked(ask)  # what came in between is no sign of loss
    found["lag"] = None if ends is None else _lag(ends, stored)
    found["lag_unknown"] = unknown
    found["lost"] = [] if ends is None else [f"{at[0]}/{at[1]}" for at, end in ends.items() if end < stored.get(at, 0)]
    reasons = _reasons(found, whole=case_id is None)
    return {"verdict": "incomplete" if reasons else "complete", "reasons": reasons, "case_id": case_id, **found}


async def _asked(ask: Callable[[], Awaitable[Ends]]) -> tuple[Ends | None, str | None]:
    """The ends, or why they are unknown. Asked before the log is read: what comes in between is not missing."""
    try:
        return await ask(), None
    except OSError as fault:
        return None, str(fault)


async def _answers(connection: Connection, case_id: str | None, limit: int) -> dict[str, Any]:
    size = await connection.fetchrow(_SIZE)
    partitions = await connection.fetch(_PARTITIONS)
    assert size is not None
    # Two texts instead of one with "or $1 is null": a plan for one case must not scan the log.
    only, arguments = ("", ()) if case_id is None else (" AND l.case_id = $1", (case_id,))
    duplicates = await connection.fetchrow(_DUPLICATES + only, *arguments)
    assert duplicates is not None
    invalid = await _list(connection, _INVALID + only, "index", limit, *arguments)
    invalid["waiting"] = await connection.fetchval(
        f"SELECT count(*) FROM ({_INVALID + only}) i WHERE NOT settled AND topic <> 'Progressed'", *arguments
    )
    gaps = size["stored"] != size["size"]
    holes = any(row["stored"] != row["next"] for row in partitions)
    return {
        "size": size["size"],
        "missing_sequences": await _list(connection, _SEQUENCES + only, "before_index", limit, *arguments),
        "open_causes": await _list(connection, _CAUSES + only, "index", limit, *arguments),
        "invalid": invalid,
        "duplicates": dict(duplicates),
        "open_cases": await _list(connection, _OPEN + only, "first_index", limit, *arguments),
        "index_gaps": await _list(connection, _INDEX_GAPS, "since", limit) if gaps else _none(),
        "offset_gaps": await _list(connection, _OFFSET_GAPS, "topic, partition, since", limit) if holes else _none(),
        "partitions": partitions,
    }


async def _list(connection: Connection, query: str, order: str, limit: int, *arguments: Any) -> dict[str, Any]:
    rows = await connection.fetch(f"{query} ORDER BY {order} LIMIT {limit}", *arguments)
    items = [dict(row) for row in rows]
    count = len(items)
    if count == limit:
        count = await connection.fetchval(f"SELECT count(*) FROM ({query}) q", *arguments)
    return {"count": count, "items": items}


def _none() -> dict[str, Any]:
    return {"count": 0, "items": []}


def _lag(ends: Ends, stored: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """Records not stored yet, per topic."""
    found = {topic: 0 for topic, _ in ends}
    for at, end in ends.items():
        found[at[0]] += max(0, end - stored.get(at, 0))
    return found


def _reasons(found: dict[str, Any], *, whole: bool) -> list[str]:
    counts = [
        (found["missing_sequences"]["count"], "gaps in the sequences of sources"),
        (found["open_causes"]["count"], "events whose cause is not in the log"),
        (found["invalid"]["waiting"], "invalid records that nobody has retried or discarded"),
        (found["duplicates"]["differing"], "events that came again with other bytes"),
    ]
    unknown = []
    if whole:
        counts += [
            (found["index_gaps"]["count"], "gaps in the log's index"),
            (found["offset_gaps"]["count"], "gaps in the offsets of partitions"),
            (len(found["lost"]), "partitions end before the log does: the broker lost records, or they are others"),
            (sum((found["lag"] or {}).values()), "records on the topics that are not stored yet"),
        ]
        unknown = [found["lag_unknown"]] if found["lag"] is None else []
    return [f"{count} {words}" for count, words in counts if count] + unknown
