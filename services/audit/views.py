"""The table of cases: one row each, as the log tells it; and what is asked of it."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter

from chassis.database import Connection, Database
from services.audit.domain.case import Case

_CASE: TypeAdapter[Case] = TypeAdapter(Case)


COLUMNS = (
    *("case_id", "first_index", "last_index", "events", "status", "outcome", "category", "area", "priority", "channel"),
    *("title", "external_ref", "reported_at", "ruled_at", "filed_at", "closed_at", "last_at", "ruling", "merged_into"),
    *("late_by_seconds", "late", "reworks", "state"),
)
SHOWN = ", ".join(COLUMNS[:-1])
"""The columns people see: all but the folded state."""

# Rows go through a table of the connection's own: COPY and one INSERT cost half of an INSERT from arrays.
_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS cases_written (LIKE cases) ON COMMIT DELETE ROWS"
_UPSERT = (
    f"INSERT INTO cases ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM cases_written"
    f" ON CONFLICT (case_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)


def _row(case_id: str, case: Case) -> tuple[Any, ...]:
    return (
        case_id,
        case.first_index,
        case.last_index,
        case.events,
        case.status,
        case.outcome,
        plain(case.category),
        case.area,
        case.priority,
        case.channel,
        plain(case.title),
        plain(case.external_ref),
        case.reported_at,
        case.ruled_at,
        case.filed_at,
        case.closed_at,
        case.last_at,
        case.ruling,
        case.merged_into,
        case.late_by_seconds,
        case.late,
        case.reworks,
        orjson.dumps(case),
    )


async def write(connection: Connection, cases: Iterable[tuple[str, Case | None]]) -> None:
    """Writes the rows of these cases; of one that is None there is none."""
    rows = [_row(case_id, case) for case_id, case in cases if case is not None]
    if rows:
        await connection.execute(_STAGE)
        await connection.copy_records_to_table("cases_written", records=rows, columns=COLUMNS)
        await connection.execute(_UPSERT)


async def write_all(connection: Connection, chunks: AsyncIterator[Mapping[str, Case | None]]) -> int:
    """Writes the table anew; the number of its rows."""
    await connection.execute("DELETE FROM cases")
    await connection.execute(_STAGE)
    async for chunk in chunks:
        await write(connection, chunk.items())
        await connection.execute("TRUNCATE cases_written")
    return await connection.fetchval("SELECT count(*) FROM cases")


def plain(text: str | None) -> str | None:
    """A text that PostgreSQL can hold: without NUL."""
    return text.replace("\0", "\ufffd") if text is not None and "\0" in text else text


def shown(case_id: str, case: Case) -> dict[str, Any]:
    """A case's row as people see it."""
    return dict(zip(COLUMNS[:-1], _row(case_id, case), strict=False))


async def states(connection: Connection, case_ids: Iterable[str]) -> dict[str, Case]:
    """The folded cases, of those that are known."""
    rows = await connection.fetch("SELECT case_id, state FROM cases WHERE case_id = ANY($1::text[])", list(case_ids))
    return {row["case_id"]: _CASE.validate_json(row["state"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases; what is None does not matter. Periods include their beginning and exclude their end."""

    status: str | None = None
    outcome: str | None = None
    area: str | None = None
    areas: tuple[str, ...] = ()
    """Those the caller may see; empty: all."""
    category: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    merged_into: str | None = None
    late: bool | None = None
    open: bool | None = None
    external_ref: str | None = None
    external_prefix: str | None = None
    since_index: int | None = None
    since_case: str | None = None
    until_case: str | None = None
    """Case ids from here to there, both included; ours are in the order of time."""

    def sql(self) -> tuple[str, list[Any]]:
        """A condition on `cases`, and its arguments, numbered from $1."""
        terms: list[str] = []
        arguments: list[Any] = []

        def add(term: str, value: Any) -> None:
            if value is not None:
                arguments.append(value)
                terms.append(term.replace("$", f"${len(arguments)}"))

        for name in ("status", "outcome", "category", "channel", "merged_into", "late", "external_ref"):
            add(f"{name} = $", getattr(self, name))
        # '0' follows '/': the range is the areas below that one, and an index finds it.
        add("(area = $::text OR area >= $::text || '/' AND area < $::text || '0')", self.area)
        add(
            "EXISTS (SELECT FROM unnest($::text[]) own WHERE area = own OR starts_with(area, own || '/'))",
            self.areas or None,
        )
        add("reported_at >= $", self.since)
        add("reported_at < $", self.until)
        add("starts_with(external_ref, $)", self.external_prefix)
        add("first_index >= $", self.since_index)
        add("case_id >= $", self.since_case)
        add("case_id <= $", self.until_case)
        if self.open is not None:
            terms.append("status IS DISTINCT FROM 'closed'" if self.open else "status = 'closed'")
        return " AND ".join(terms) or "true", arguments


async def listed(database: Database, wanted: Filter, after: int, limit: int) -> list[dict[str, Any]]:
    """Cases in the order in which the log first heard of them, from behind `after`."""
    condition, arguments = wanted.sql()
    count = len(arguments)
    query = (
        f"SELECT {SHOWN} FROM cases WHERE {condition} AND first_index > ${count + 1}"
        f" ORDER BY first_index LIMIT ${count + 2}"
    )
    return [dict(row) for row in await database.fetch(query, *arguments, after, limit)]


async def merged(database: Database, case_id: str, at: datetime | None, limit: int) -> list[dict[str, Any]]:
    """The cases merged into this one, by that instant; each with who to tell and since when."""
    rows = await database.fetch(
        "SELECT case_id, title, channel, external_ref, reported_at, ruled_at AS merged_at, status FROM cases"
        " WHERE merged_into = $1 AND ($2::timestamptz IS NULL OR ruled_at <= $2) ORDER BY first_index LIMIT $3",
        case_id,
        at,
        limit,
    )
    return [dict(row) for row in rows]


_COUNTS = {
    "reported": "reported_at IS NOT NULL",
    "filed": "filed_at IS NOT NULL",
    "merged": "merged_into IS NOT NULL",
    "rejected": "ruling = 'rejected'",
    "withdrawn": "ruling = 'withdrawn'",
    "closed": "status = 'closed'",
    "open": "status IS DISTINCT FROM 'closed'",
    "late": "late",
    "rework": "reworks > 0",
}
"""What is counted -> of which cases."""

_SIZE = "SELECT coalesce(max(index), -1) + 1 AS size FROM log"
_SUMMARY = (
    f"SELECT ({_SIZE}), category, outcome, status, channel, count(*) AS cases, "
    + ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _COUNTS.items())
    + " FROM cases WHERE %s GROUP BY category, outcome, status, channel"
)


async def summary(database: Database, wanted: Filter) -> dict[str, Any]:
    """Counts of cases in all, per outcome, status, channel and category; all of one instant."""
    condition, arguments = wanted.sql()
    rows = await database.fetch(_SUMMARY % condition, *arguments)
    size = rows[0]["size"] if rows else (await database.fetch(_SIZE))[0]["size"]
    by_category: dict[str | None, Counter[str]] = {}
    tallies: dict[str, Counter[str]] = {name: Counter() for name in ("outcome", "status", "channel")}
    for row in rows:
        for name, tally in tallies.items():
            if row[name] is not None:
                tally[row[name]] += row["cases"]
        by_category.setdefault(row["category"], Counter()).update({name: row[name] for name in _COUNTS})
    return {
        "size": size,
        **{name: sum(found[name] for found in by_category.values()) for name in _COUNTS},
        **{f"by_{name}": dict(sorted(tally.items())) for name, tally in tallies.items()},
        "by_category": [
            {"category": category, **{name: by_category[category][name] for name in _COUNTS}}
            for category in sorted(by_category, key=lambda one: (one is None, one))
        ],
    }
