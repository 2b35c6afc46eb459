"""What the API asks of intake's tables: reports with their outcomes, the facts behind them, and reporters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from chassis.store.conditions import Conditions
from chassis.store.database import Connection, Database
from chassis.web.paging import position
from contracts.envelope import Event
from contracts.reading import Scope
from contracts.wire import reread
from services.intake.bodies import ReportFilters
from services.intake.views import REPORTS

Row = asyncpg.Record

_COLUMNS = ", ".join(REPORTS.columns)

_REPORTS = f"SELECT {_COLUMNS} FROM reports WHERE {{where}}"

_FACTS = "SELECT body FROM events WHERE stream_id = $1 AND topic = 'ReportFiled' ORDER BY version"

_REPORTED = """
SELECT DISTINCT ON (stream_id) stream_id, body FROM events
 WHERE stream_id = ANY($1::text[]) AND topic = 'ReportFiled' ORDER BY stream_id, version
"""

# The limit of hops ends a circle of merges.
_LEADERS = """
WITH RECURSIVE way AS (
    SELECT case_id AS report, merged_into, 0 AS hop, status, outcome, closed_at, area, category
      FROM reports WHERE case_id = ANY($1::text[])
    UNION ALL
    SELECT w.report, r.merged_into, w.hop + 1, r.status, r.outcome, r.closed_at, r.area, r.category
      FROM way w JOIN reports r ON r.case_id = w.merged_into
     WHERE w.hop < 20)
SELECT * FROM way WHERE hop > 0 ORDER BY report, hop
"""


async def list_reports(database: Database, filters: ReportFilters, own: str | None, scope: Scope) -> list[Row]:
    """The reports of a page and one more, the newest first.

    `own` is the name under which the caller's reports are filed, which they see beside those of their scope.
    """
    conditions = Conditions()
    if not scope.whole:
        # Nobody's reports are filed under an empty name.
        conditions.visible(scope, f"filed_by = {conditions.place(own or '')}")
    conditions.equals("status", filters.status)
    conditions.in_area("area", filters.area)
    conditions.equals("channel", filters.channel)
    conditions.add("reported_at >= {0}", filters.since)
    conditions.add("reported_at < {0}", filters.until)
    conditions.equals("external_ref", filters.external_ref)
    conditions.equals("merged_into", filters.merged_into)
    conditions.equals("reopening_requested", filters.reopening_requested)
    if (after := position(filters.cursor, datetime, str)) is not None:
        conditions.add("(reported_at, case_id) < ({0}, {1})", *after)
    statement = conditions.first(_REPORTS, "reported_at DESC, case_id DESC", f"{filters.limit + 1:d}")
    return await database.fetch(statement, *conditions.arguments)


async def find_report(database: Database, case_id: str) -> Row | None:
    """A report, with `version`, the number of its case's events."""
    return await database.fetchrow(
        f"SELECT {_COLUMNS}, version FROM reports JOIN streams ON stream_id = case_id WHERE case_id = $1", case_id
    )


async def find_facts(database: Database, case_id: str) -> list[Event[Any]]:
    """What was said of a report, the report first, in order."""
    return [reread("ReportFiled", row["body"]) for row in await database.fetch(_FACTS, case_id)]


async def find_choices(database: Database, reports: Sequence[Row]) -> dict[str, str | None]:
    """Report -> the category that whoever filed it chose. It is looked up for merged ones only: null for the others."""
    found: dict[str, str | None] = {row["case_id"]: None for row in reports}
    merged = [row["case_id"] for row in reports if row["merged_into"] is not None]
    for row in await database.fetch(_REPORTED, merged) if merged else ():
        found[row["stream_id"]] = reread("ReportFiled", row["body"]).data.category
    return found


async def find_leaders(database: Database, reports: Sequence[Row]) -> dict[str, list[Row]]:
    """Report -> the cases that it was merged into, directly and through others; its leader is the last of them."""
    found: dict[str, list[Row]] = {row["case_id"]: [] for row in reports}
    merged = [row["case_id"] for row in reports if row["merged_into"] is not None]
    for row in await database.fetch(_LEADERS, merged) if merged else ():
        found[row["report"]].append(row)
    return found


async def find_account(database: Database, subject: str) -> str | None:
    """The reference of the person with this login; None if they have never reported, or were erased."""
    row = await database.fetchrow("SELECT reporter_ref FROM reporters WHERE subject = $1", subject)
    return row["reporter_ref"] if row else None


async def find_reporter(source: Database | Connection, reporter_ref: str) -> Row | None:
    """Who a reference stands for."""
    return await source.fetchrow(
        "SELECT reporter_ref, name, phone FROM reporters WHERE reporter_ref = $1", reporter_ref
    )
