"""What is missing from the log: the questions that bytes alone, however well kept, do not answer.

    sequences   each source numbers what it says of a case from 1, without a gap and without repetition; a partner may
    ids         an event's id comes again with the same bytes only, and in one case only
    causes      what led to an event is named, is in the log, and may lead to such an event
    requests    each has exactly one answer, or was discarded by an operator
    invalid     a record that could not be read, or was forged, was retried or discarded by somebody
    offsets     every record of a partition from 0 to the last one stored
    indexes     every index from 0 to the last one given
    lost        every record stored is still on its topic
    lag         every record on the topics is stored

The last four are not asked of one case: what is missing there may be anybody's. Duplicates and open cases are told, but
are no fault. Each list has its full count beside its first items.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chassis.database import Connection, Database
from services.audit.broker import Ends
from services.audit.questions import DUPLICATES, QUESTIONS, WAITING, Question

_NEXT = "SELECT coalesce(max(index), -1) + 1 AS size FROM log"
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
_NOT_ASKED = dict.fromkeys(("index_gaps", "offset_gaps", "lag", "lag_unknown", "lost"))


async def of_case(database: Database, case_id: str, limit: int) -> dict[str, Any]:
    """The verdict on one case, its reasons, and what each question found, `limit` items a list."""

    async def work(connection: Connection) -> dict[str, Any]:
        await _begin(connection)
        size = await connection.fetchval(_NEXT)
        return {"size": size, **await _found(connection, lambda question: question.of_case, limit, case_id)}

    found = await database.transact(work)
    return _judged(case_id, found | _NOT_ASKED, _reasons(found))


async def of_all(database: Database, limit: int, ask: Callable[[], Awaitable[Ends]]) -> dict[str, Any]:
    """The same of the whole log. `ask` gives the topics' ends."""
    ends, unknown = await _asked(ask)

    async def work(connection: Connection) -> dict[str, Any]:
        await _begin(connection)
        return {
            **await _whole(connection, limit),
            **await _found(connection, lambda question: question.of_all, limit),
        }

    found = await database.transact(work)
    stored = {(row["topic"], row["partition"]): row["next"] for row in found.pop("partitions")}
    if ends is not None and any(end < stored.get(at, 0) for at, end in ends.items()):
        ends, unknown = await _asked(ask)  # what came in between is no sign of loss
    found["lag"] = None if ends is None else _lag(ends, stored)
    found["lag_unknown"] = unknown
    found["lost"] = [] if ends is None else [f"{at[0]}/{at[1]}" for at, end in ends.items() if end < stored.get(at, 0)]
    return _judged(None, found, _reasons(found) + _reasons_of_all(found))


def _judged(case_id: str | None, found: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
    return {"verdict": "incomplete" if reasons else "complete", "reasons": reasons, "case_id": case_id, **found}


async def _asked(ask: Callable[[], Awaitable[Ends]]) -> tuple[Ends | None, str | None]:
    """The ends, or why they are unknown. Asked before the log is read: what comes in between is not missing."""
    try:
        return await ask(), None
    except OSError as fault:
        return None, str(fault)


async def _begin(connection: Connection) -> None:
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def _found(connection: Connection, text: Callable[[Question], str], limit: int, *case: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: await _list(connection, text(question), question.order, limit, *case)
        for name, question in QUESTIONS.items()
    }
    found["invalid"]["waiting"] = await connection.fetchval(text(WAITING), *case)
    found["duplicates"] = {"count": await connection.fetchval(text(DUPLICATES), *case)}
    return found


async def _whole(connection: Connection, limit: int) -> dict[str, Any]:
    size = await connection.fetchrow(_SIZE)
    partitions = await connection.fetch(_PARTITIONS)
    assert size is not None
    gaps = size["stored"] != size["size"]
    holes = any(row["stored"] != row["next"] for row in partitions)
    return {
        "size": size["size"],
        "partitions": partitions,
        "index_gaps": await _list(connection, _INDEX_GAPS, "since", limit) if gaps else _none(),
        "offset_gaps": await _list(connection, _OFFSET_GAPS, "topic, partition, since", limit) if holes else _none(),
    }


async def _list(connection: Connection, query: str, order: str, limit: int, *arguments: str) -> dict[str, Any]:
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


def _reasons(found: Mapping[str, Any]) -> list[str]:
    counts = [(found[name]["count"], question.fault) for name, question in QUESTIONS.items() if question.fault]
    counts.append((found["invalid"]["waiting"], "invalid records that nobody has retried or discarded"))
    return _told(counts)


def _reasons_of_all(found: Mapping[str, Any]) -> list[str]:
    counts = [
        (found["index_gaps"]["count"], "gaps in the log's index"),
        (found["offset_gaps"]["count"], "gaps in the offsets of partitions"),
        (len(found["lost"]), "partitions end before the log does: the broker lost records, or they are others"),
        (sum((found["lag"] or {}).values()), "records on the topics that are not stored yet"),
    ]
    return _told(counts) + ([found["lag_unknown"]] if found["lag"] is None else [])


def _told(counts: list[tuple[int, str]]) -> list[str]:
    return [f"{count} {words}" for count, words in counts if count]
