"""What is missing from the log: faults that exact bytes, however well kept, do not show.

    sequences   each source numbers its events of a case from 1, without gaps or repetitions; a partner need not
    ids         an event's id comes again only with the same bytes and in the same case
    facts       what a case has once only (contracts.once) is said by one event
    ahead       no event was recorded further ahead than its readers take (contracts.times)
    partitions  what a service writes lies in the partition of its key, and all of a case on one topic lies in one
    causes      each event names its cause, which is in the log and may be the cause of such an event
    requests    each has exactly one answer, or an operator discarded it
    forged      no service has named a record that bears its name and is not its own
    invalid     an operator retried or discarded each record that was unreadable or from a source that does not
                write its topic, and audit failed with none
    offsets     every record of a partition is stored, from 0 to the last one, but for offsets at which none lies:
                markers of transactions, and those behind the first of a batch that cannot be read
    indexes     every index is there, from 0 to the last one
    lost        every stored record is still on its topic
    lag         every record on the topics is stored

The last four are asked of the whole log only, because what is missing there may belong to any case. A forgery is never
settled: the log has a lie in it from then on. Duplicates and open cases are listed, but are no fault. Each list has its
full count beside its first items.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chassis.store.database import Connection, Database
from services.audit.broker import EndOffsets
from services.audit.questions import DUPLICATES, NOT_TAKEN_IN, QUESTIONS, Question
from services.audit.records import SIZE

_INDEX_GAPS = """
SELECT since, until FROM (
    SELECT lag(index, 1, -1::bigint) OVER (ORDER BY index) + 1 AS since, index - 1 AS until FROM log) g
 WHERE since <= until
"""
_PARTITIONS = """
SELECT topic, partition, coalesce(indexes, 0) AS indexes, coalesce(stored, 0) + coalesce(unrecorded, 0) AS stored,
       greatest(l.next, u.next) AS next
  FROM (SELECT topic, partition, count(*) AS indexes, count(*) FILTER (WHERE reread_of IS NULL) AS stored,
               max("offset") + 1 AS next FROM log GROUP BY topic, partition) l
  FULL JOIN (SELECT topic, partition, sum(until - since + 1)::bigint AS unrecorded, max(until) + 1 AS next
               FROM unrecorded GROUP BY topic, partition) u USING (topic, partition)
 ORDER BY topic, partition
"""
_OFFSET_GAPS = """
SELECT topic, partition, before + 1 AS since, first - 1 AS until FROM (
    SELECT topic, partition, first,
           coalesce(max(last) OVER (PARTITION BY topic, partition ORDER BY first, last
                                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1) AS before
      FROM (SELECT topic, partition, "offset" AS first, "offset" AS last FROM log
             UNION ALL SELECT topic, partition, since, until FROM unrecorded) o) g
 WHERE before + 1 < first
"""
_KNOWN = "SELECT EXISTS (SELECT FROM cases WHERE case_id = $1)"
_OF_LOG_ONLY = dict.fromkeys(("index_gaps", "offset_gaps", "lag", "lag_unknown", "lost"))


async def of_case(database: Database, case_id: str, limit: int) -> dict[str, Any] | None:
    """The verdict on one case, its reasons, and what each question found, `limit` items a list.

    None if the log holds no fact of the case, unless something is wrong with records with its id.
    """

    async def work(connection: Connection) -> tuple[bool, dict[str, Any]]:
        await _begin(connection)
        size = await connection.fetchval(SIZE)
        found = await _findings(connection, lambda question: question.of_case, limit, case_id)
        return await connection.fetchval(_KNOWN, case_id), {"size": size, **found}

    known, found = await database.transact(work)
    reasons = _reasons(found)
    return _verdict(case_id, found | _OF_LOG_ONLY, reasons) if known or reasons else None


async def of_log(database: Database, limit: int, end_offsets: Callable[[], Awaitable[EndOffsets]]) -> dict[str, Any]:
    """The same of the whole log. `end_offsets` asks the broker where the topics end."""
    # Asked before the log is read, so that records which come in between do not count as missing.
    ends, unknown = await _ends_or_reason(end_offsets)

    async def work(connection: Connection) -> dict[str, Any]:
        await _begin(connection)
        return {
            **await _gaps(connection, limit),
            **await _findings(connection, lambda question: question.of_log, limit),
        }

    found = await database.transact(work)
    stored = {(row["topic"], row["partition"]): row["next"] for row in found.pop("partitions")}
    if ends is not None and _lost(ends, stored):
        ends, unknown = await _ends_or_reason(end_offsets)  # records that came in between are no sign of a loss
    found["lag"] = None if ends is None else _lag(ends, stored)
    found["lag_unknown"] = unknown if ends is None else _not_asked(ends, stored)
    found["lost"] = None if ends is None else _lost(ends, stored)
    return _verdict(None, found, _reasons(found) + _reasons_of_log(found))


def _verdict(case_id: str | None, found: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
    return {"verdict": "incomplete" if reasons else "complete", "reasons": reasons, "case_id": case_id, **found}


async def _ends_or_reason(
    end_offsets: Callable[[], Awaitable[EndOffsets]],
) -> tuple[EndOffsets | None, str | None]:
    try:
        return await end_offsets(), None
    except OSError as fault:
        return None, str(fault)


async def _begin(connection: Connection) -> None:
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def _findings(connection: Connection, sql: Callable[[Question], str], limit: int, *case: str) -> dict[str, Any]:
    """Question -> its findings; `sql` chooses between the question's two texts."""
    found: dict[str, Any] = {
        name: await _list(connection, sql(question), question.order, limit, *case)
        for name, question in QUESTIONS.items()
    }
    found["invalid"] |= dict((await connection.fetch(sql(NOT_TAKEN_IN), *case))[0])
    found["duplicates"] = {"count": await connection.fetchval(sql(DUPLICATES), *case)}
    return found


async def _gaps(connection: Connection, limit: int) -> dict[str, Any]:
    """Gaps of indexes and offsets, which are looked for only where counts show that there are some."""
    size = await connection.fetchval(SIZE)
    partitions = await connection.fetch(_PARTITIONS)
    none: dict[str, Any] = {"count": 0, "items": []}
    index_gaps = sum(one["indexes"] for one in partitions) != size
    offset_gaps = any(one["stored"] != one["next"] for one in partitions)
    return {
        "size": size,
        "partitions": partitions,
        "index_gaps": await _list(connection, _INDEX_GAPS, "since", limit) if index_gaps else none,
        "offset_gaps": (
            await _list(connection, _OFFSET_GAPS, "topic, partition, since", limit) if offset_gaps else none
        ),
    }


async def _list(connection: Connection, query: str, order: str, limit: int, *arguments: str) -> dict[str, Any]:
    rows = await connection.fetch(f"{query} ORDER BY {order} LIMIT {limit}", *arguments)
    items = [dict(row) for row in rows]
    count = len(items)
    if count == limit:
        count = await connection.fetchval(f"SELECT count(*) FROM ({query}) q", *arguments)
    return {"count": count, "items": items}


def _lost(ends: EndOffsets, stored: EndOffsets) -> list[str]:
    """Partitions of the topics asked about that end before the log does, or are gone."""
    asked = {topic for topic, _ in ends}
    return [f"{at[0]}/{at[1]}" for at, end in stored.items() if at[0] in asked and ends.get(at, 0) < end]


def _not_asked(ends: EndOffsets, stored: EndOffsets) -> str | None:
    """Why the broker was not asked about all that is stored; None if it was."""
    topics = sorted({topic for topic, _ in stored} - {topic for topic, _ in ends})
    return f"no partner is registered for {', '.join(topics)}, so the broker was not asked" if topics else None


def _lag(ends: EndOffsets, stored: EndOffsets) -> dict[str, int]:
    """Topic -> number of records that are not stored yet."""
    found = {topic: 0 for topic, _ in ends}
    for at, end in ends.items():
        found[at[0]] += max(0, end - stored.get(at, 0))
    return found


def _reasons(found: Mapping[str, Any]) -> list[str]:
    counts = [(found[name]["count"], question.fault) for name, question in QUESTIONS.items() if question.fault]
    counts.append((found["invalid"]["waiting"], "invalid records that nobody has retried or discarded"))
    counts.append((found["invalid"]["failed"], "records that audit failed to take in"))
    return _in_words(counts)


def _reasons_of_log(found: Mapping[str, Any]) -> list[str]:
    counts = [
        (found["index_gaps"]["count"], "gaps in the index of the log"),
        (found["offset_gaps"]["count"], "gaps in the offsets of partitions"),
        (len(found["lost"] or ()), "partitions that end before the log does: the broker lost records or was replaced"),
        (sum((found["lag"] or {}).values()), "records on the topics that are not stored yet"),
    ]
    return _in_words(counts) + ([found["lag_unknown"]] if found["lag_unknown"] is not None else [])


def _in_words(counts: list[tuple[int, str]]) -> list[str]:
    return [f"{count} {words}" for count, words in counts if count]
