"""What triage's API asks of its tables."""

from datetime import datetime
from typing import Any

from chassis.store.conditions import Conditions
from chassis.store.database import Database
from chassis.store.journal import load
from chassis.store.streams import Fold, Stream
from chassis.web.paging import page, position
from contracts.reading import Scope
from services.triage.bodies import CaseFilters, QueueFilters
from services.triage.domain.case import Case

_QUEUE = """
SELECT c.case_id, '"' || s.version || '"' AS etag, c.queue, c.queue_words AS words, c.queue_since AS since,
       c.queue_due_at AS due_at, c.overdue, c.queue_unit AS unit, c.category, c.area, c.title, c.channel, c.reported_at,
       c.external_ref, c.round
  FROM cases c JOIN streams s ON s.stream_id = c.case_id
 WHERE c.queue IS NOT NULL AND {where}
 ORDER BY c.queue_due_at, c.case_id LIMIT $1
"""

_CASES = """
SELECT case_id, status, queue, category, priority, area, title, channel, external_ref, reported_at, retrospective,
       round, merged_into, outcome
  FROM cases
 WHERE {where}
"""


async def queue(database: Database, filters: QueueFilters, scope: Scope) -> dict[str, Any]:
    """A page of what waits for a person that the caller may see, the earliest deadline first."""
    wanted = Conditions(filters.limit + 1)
    wanted.equals("c.queue", filters.queue)
    wanted.visible(scope, area="c.area", category="c.category")
    wanted.in_area("c.area", filters.area)
    wanted.equals("c.overdue", filters.overdue)
    if (after := position(filters.cursor, datetime, str)) is not None:
        wanted.add("(c.queue_due_at, c.case_id) > ({0}, {1})", *after)
    rows = await database.fetch(_QUEUE.format(where=wanted.where), *wanted.arguments)
    items = [dict(row) for row in rows]
    return page(items, filters.limit, lambda item: [item["due_at"], item["case_id"]])


async def cases(database: Database, filters: CaseFilters, scope: Scope) -> dict[str, Any]:
    """A page of the cases that the caller may see, the latest report first."""
    wanted = Conditions(filters.limit + 1)
    wanted.visible(scope)
    wanted.in_area("area", filters.area)
    wanted.below("category", filters.category)
    wanted.equals("status", filters.status)
    wanted.equals("merged_into", filters.merged_into)
    wanted.equals("external_ref", filters.external_ref)
    wanted.add("reported_at >= {0}", filters.since)
    wanted.add("reported_at < {0}", filters.until)
    if (after := position(filters.cursor, datetime, str)) is not None:
        wanted.add("(reported_at, case_id) < ({0}, {1})", *after)
    rows = await database.fetch(wanted.first(_CASES, "reported_at DESC, case_id DESC"), *wanted.arguments)
    items = [dict(row) for row in rows]
    return page(items, filters.limit, lambda item: [item["reported_at"], item["case_id"]])


async def case(database: Database, fold: Fold[Case], case_id: str) -> Stream[Case]:
    """A case as triage knows it, with its version."""
    return (await database.read(lambda connection: load(connection, fold, [case_id])))[case_id]


async def merged_count(database: Database, case_id: str, scope: Scope) -> int:
    """How many reports were merged into a case, without those that the caller may not read."""
    wanted = Conditions()
    wanted.equals("merged_into", case_id)
    wanted.visible(scope)
    row = await database.fetchrow(f"SELECT count(*) FROM cases WHERE {wanted.where}", *wanted.arguments)
    return row[0] if row else 0
