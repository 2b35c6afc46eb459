"""Intake's read models: the table of reports as a function of state, and the queries on it and on reporters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from chassis.database import Connection, Database
from chassis.views import View
from contracts.envelope import Event
from contracts.wire import reread
from services.intake.domain.case import Case

Row = asyncpg.Record


def _rows(case_id: str, state: Case) -> Iterable[tuple[Any, ...]]:
    filed = state.filed
    if filed is None:
        return
    yield (
        case_id,
        filed.at,
        state.status,
        state.outcome,
        state.reason,
        state.closed_at,
        state.filed_at,
        state.merged_into,
        filed.channel,
        filed.title,
        state.category or filed.category,
        state.area or filed.area,
        filed.external_ref,
        filed.reporter_ref,
        filed.by,
        filed.partner,
        filed.retrospective,
        state.supplements,
        state.withdrawal_asked,
        state.upheld_reason,
    )


REPORTS: View[Case] = View(
    table="reports",
    key=("case_id",),
    columns={
        "case_id": "text",
        "reported_at": "timestamptz",
        "status": "text",
        "outcome": "text",
        "reason": "text",
        "closed_at": "timestamptz",
        "filed_at": "timestamptz",
        "merged_into": "text",
        "channel": "text",
        "title": "text",
        "category": "text",
        "area": "text",
        "external_ref": "text",
        "reporter_ref": "text",
        "filed_by": "text",
        "reported_by": "text",
        "retrospective": "boolean",
        "supplements": "integer",
        "withdrawal_asked": "boolean",
        "upheld_reason": "text",
    },
    rows=_rows,
)

_COLUMNS = ", ".join(REPORTS.columns)

_SAID = "SELECT body FROM events WHERE stream_id = $1 AND topic = 'ReportFiled' ORDER BY version"

# Merged reports and, for each, the last case on the way it was merged; the hops end a circle that should not be.
_FATES = """
WITH RECURSIVE way AS (
    SELECT case_id AS report, case_id, merged_into, status, outcome, reason, closed_at, 0 AS hop
      FROM reports WHERE case_id = ANY($1::text[])
    UNION ALL
    SELECT w.report, r.case_id, r.merged_into, r.status, r.outcome, r.reason, r.closed_at, w.hop + 1
      FROM way w JOIN reports r ON r.case_id = w.merged_into
     WHERE w.hop < 20)
SELECT DISTINCT ON (report) report, case_id, status, outcome, reason, closed_at FROM way ORDER BY report, hop DESC
"""


@dataclass
class Filter:
    """Conditions of a list, each with its arguments; only those that were asked for reach the planner."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        """Adds a condition whose `{0}`, `{1}` ... stand for the values. None as the first value: not asked for."""
        if values and values[0] is None:
            return
        self.conditions.append(condition.format(*(self._place(value) for value in values)))

    def within(self, areas: Sequence[str], or_filed_by: str | None = None) -> None:
        """Adds: in one of these areas or beneath; or, where given, filed by that person."""
        # '0' follows '/' in the column's collation, so this is the range of all paths that begin with `<area>/`.
        parts = ["area = {0} OR (area >= {0} || '/' AND area < {0} || '0')".format(self._place(area)) for area in areas]
        if or_filed_by is not None:
            parts.append(f"filed_by = {self._place(or_filed_by)}")
        self.conditions.append(f"({' OR '.join(parts)})")

    def _place(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}::{'timestamptz' if isinstance(value, datetime) else 'text'}"

    def __str__(self) -> str:
        return " AND ".join(self.conditions) or "true"


async def list_reports(database: Database, chosen: Filter, limit: int) -> list[Row]:
    """The latest reports of a filter, by the time they speak of, the newest first."""
    return await database.fetch(
        f"SELECT {_COLUMNS} FROM reports WHERE {chosen} ORDER BY reported_at DESC, case_id DESC LIMIT {limit:d}",
        *chosen.arguments,
    )


async def find(database: Database, case_id: str) -> Row | None:
    """A report, with `version`, the number of its case's events."""
    return await database.fetchrow(
        f"SELECT {_COLUMNS}, version FROM reports JOIN streams ON stream_id = case_id WHERE case_id = $1", case_id
    )


async def said(database: Database, case_id: str) -> list[Event[Any]]:
    """What has been reported about a case, in order: the report, its supplements, its withdrawal."""
    return [reread("ReportFiled", row["body"]) for row in await database.fetch(_SAID, case_id)]


async def fates(database: Database, reports: Sequence[Row]) -> dict[str, Row]:
    """Report -> the case that speaks for it: the one it was merged into, however far; itself where it was not."""
    found = {row["case_id"]: row for row in reports}
    merged = [row["case_id"] for row in reports if row["merged_into"] is not None]
    if merged:
        found |= {row["report"]: row for row in await database.fetch(_FATES, merged)}
    return found


async def account(database: Database, subject: str) -> str | None:
    """The reference of the person with this login; None where they have never reported, or were erased."""
    row = await database.fetchrow("SELECT reporter_ref FROM reporters WHERE subject = $1", subject)
    return row["reporter_ref"] if row else None


async def open_account(database: Database, subject: str, reporter_ref: str) -> str:
    """The reference of the person with this login: the one they have, else `reporter_ref` from now on."""
    known = await account(database, subject)
    if known is not None:
        return known
    await database.pool.execute(
        "INSERT INTO reporters (reporter_ref, subject) VALUES ($1, $2) ON CONFLICT (subject) DO NOTHING",
        reporter_ref,
        subject,
    )
    return await account(database, subject) or reporter_ref


async def remember(connection: Connection, reporter_ref: str, name: str | None, phone: str | None) -> None:
    """Keeps who a new reference stands for."""
    await connection.execute(
        "INSERT INTO reporters (reporter_ref, name, phone) VALUES ($1, $2, $3)", reporter_ref, name, phone
    )


async def update(connection: Connection, reporter_ref: str, name: str | None, phone: str | None) -> None:
    """Keeps what a person with a login says of themselves; nothing where they were erased in the meantime."""
    await connection.execute(
        "UPDATE reporters SET name = coalesce($2, name), phone = coalesce($3, phone) WHERE reporter_ref = $1",
        reporter_ref,
        name,
        phone,
    )


async def reporter(database: Database, reporter_ref: str) -> Row | None:
    """Who a reference stands for."""
    return await database.fetchrow(
        "SELECT reporter_ref, name, phone FROM reporters WHERE reporter_ref = $1", reporter_ref
    )


async def erase(database: Database, reporter_ref: str) -> bool:
    """Deletes the one row that says who a reference stands for; whether there was one."""
    return (
        await database.pool.fetchval("DELETE FROM reporters WHERE reporter_ref = $1 RETURNING true", reporter_ref)
        is True
    )
