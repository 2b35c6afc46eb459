"""Queries on single cases and lists of them, and on the check queue."""

from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.database import Database

Row = dict[str, Any]

_CASE = """
SELECT c.*, s.version FROM cases c JOIN streams s ON s.stream_id = c.case_id WHERE c.case_id = $1
"""
_CASE_ASSIGNMENTS = """
SELECT * FROM assignments WHERE case_id = $1 ORDER BY round, lead DESC, assignment_id
"""
_CASE_RATINGS = """
SELECT rater, rating, comment, rated_at FROM ratings WHERE case_id = $1 ORDER BY rated_at, rater
"""

# Newest first: our case ids begin with their instant.
_CASES = """
SELECT * FROM cases
 WHERE ($1::text IS NULL OR status = $1)
   AND ($2::text IS NULL OR outcome = $2)
   AND ($3::text IS NULL OR area = $3 OR area LIKE $3 || '/%')
   AND ($4::text IS NULL OR lead_unit = $4)
   AND ($5::text IS NULL OR category = $5 OR starts_with(category, $5 || '.'))
   AND ($6::timestamptz IS NULL OR filed_at >= $6)
   AND ($7::timestamptz IS NULL OR filed_at < $7)
   AND ($8::text IS NULL OR case_id < $8)
 ORDER BY case_id DESC LIMIT $9
"""

# What waits for its check, the earliest due first. With a subject: what this person may check, by unit, areas and
# method, too.
_CHECKS = """
SELECT * FROM cases
 WHERE checking_since IS NOT NULL
   AND ($1::text IS NULL OR area = $1 OR area LIKE $1 || '/%')
   AND ($2::text IS NULL OR check_method = $2)
   AND ($3::timestamptz IS NULL OR check_due_at < $3)
   AND ($4::text IS NULL OR NOT handlers ? $4)
   AND ($5::text IS NULL OR NOT handling_units ? $5)
   AND ($6::text[] IS NULL
        OR EXISTS (SELECT FROM unnest($6) AS own WHERE area = own OR starts_with(area, own || '/')))
   AND ($7::boolean OR check_method <> 'call_back')
   AND ($8::timestamptz IS NULL OR (check_due_at, case_id) > ($8, $9))
 ORDER BY check_due_at, case_id LIMIT $10
"""


async def case(database: Database, case_id: str) -> Row | None:
    """A case with its version, assignments and ratings; None where there is none."""
    row = await database.fetchrow(_CASE, case_id)
    if row is None:
        return None
    found = shown(row)
    assignments = await database.fetch(_CASE_ASSIGNMENTS, case_id)
    found["assignments"] = [
        {**one, "handled_by": orjson.loads(one["handled_by"]), "extended": orjson.loads(one["extended"])}
        for one in assignments
    ]
    found["ratings"] = [dict(one) for one in await database.fetch(_CASE_RATINGS, case_id)]
    return found


async def cases(
    database: Database,
    *,
    status: str | None = None,
    outcome: str | None = None,
    area: str | None = None,
    unit: str | None = None,
    category: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: str | None = None,
    limit: int,
) -> list[Row]:
    """Cases, newest first; `since` and `until` are about the filing, `before` is a case id."""
    rows = await database.fetch(_CASES, status, outcome, area, unit, category, since, until, before, limit)
    return [shown(row) for row in rows]


async def checks(
    database: Database,
    *,
    area: str | None = None,
    method: str | None = None,
    due_before: datetime | None = None,
    not_handled_by: str | None = None,
    not_of_unit: str | None = None,
    areas: tuple[str, ...] = (),
    call_backs: bool = True,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Row]:
    """The check queue, the earliest due first; `after` is the position behind which the page begins."""
    due_at, case_id = after or (None, None)
    rows = await database.fetch(
        _CHECKS,
        area,
        method,
        due_before,
        not_handled_by,
        not_of_unit,
        list(areas) or None,
        call_backs,
        due_at,
        case_id,
        limit,
    )
    return [shown(row) for row in rows]


def shown(row: asyncpg.Record) -> Row:
    """A row of the table of cases with its JSON read."""
    return {
        **row,
        "handlers": orjson.loads(row["handlers"]),
        "handling_units": orjson.loads(row["handling_units"]),
        "scores": orjson.loads(row["scores"]),
    }
