"""What the API asks of dispatch's read models."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from chassis.database import Database
from services.dispatch.views import CASES, lit

OPEN = ("assigned", "acknowledged", "en_route", "on_scene")
ENDED = ("fixed", "returned", "cancelled")


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the assignments is wanted; None and empty mean all. `status` may be `open`."""

    unit: str | None = None
    area: str | None = None
    status: str | None = None
    light: str | None = None
    due_before: datetime | None = None
    lead: bool | None = None
    waiting: bool = False
    """Only what waits in dispatch's queue."""
    within: tuple[str, ...] = ()
    """The caller's areas."""
    units: frozenset[str] | None = None
    """The units a partner may see; None: all."""
    cases: frozenset[str] | None = None

    @property
    def whose(self) -> list[str] | None:
        """The units that the assignments must be of, or offered to; None: any."""
        if self.unit is None:
            return None if self.units is None else sorted(self.units)
        return [self.unit] if self.units is None or self.unit in self.units else []


_LIGHT = (
    "CASE WHEN retrospective THEN 'none' WHEN $1 >= red_at THEN 'red' WHEN $1 >= yellow_at THEN 'yellow'"
    " ELSE 'green' END"
)


class _Where:
    """A WHERE clause and its arguments; $1 is `now`."""

    def __init__(self, filters: Filters, now: datetime) -> None:
        self.arguments: list[Any] = [now]
        self.clauses = ["$1::timestamptz IS NOT NULL"]
        self._fill(filters)
        self.branches = self._branches(filters.whose)

    def number(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, clause: str, value: Any) -> None:
        """One more condition, of `$n`."""
        self.clauses.append(clause.replace("$n", self.number(value)))

    @property
    def each(self) -> list[str]:
        """The conditions as several that exclude each other, so that each finds its rows by an index, in order."""
        return [" AND ".join((*self.clauses, branch)) for branch in self.branches]

    @property
    def whole(self) -> str:
        """The conditions as one."""
        return " AND ".join((*self.clauses, f"({' OR '.join(self.branches)})"))

    def _fill(self, filters: Filters) -> None:
        if filters.area is not None:
            self.add("(area = $n OR area LIKE $n || '/%')", filters.area)
        if filters.within:
            own = [*filters.within]
            self.add("EXISTS (SELECT FROM unnest($n::text[]) own WHERE area = own OR area LIKE own || '/%')", own)
        if filters.status == "open":
            self.clauses.append("open")
        elif filters.status is not None:
            self.add("status = $n", filters.status)
        if filters.light is not None:
            self.clauses.append("open")
            self.add(f"{_LIGHT} = $n", filters.light)
        if filters.due_before is not None:
            self.add("due_at < $n", filters.due_before)
        if filters.lead is not None:
            self.add("lead = $n", filters.lead)
        if filters.waiting:
            self.clauses.append("waiting")
        if filters.cases is not None:
            self.add("case_id = ANY($n::text[])", sorted(filters.cases))

    def _branches(self, whose: list[str] | None) -> list[str]:
        if whose is None:
            return ["true"]
        of_one = len(whose) == 1
        theirs = f"unit = {self.number(whose[0])}" if of_one else f"unit = ANY({self.number(whose)}::text[])"
        offered = f"SELECT assignment_id FROM offers WHERE open AND {theirs}"
        return [theirs, f"assignment_id = ANY(ARRAY({offered})) AND NOT {theirs}"]


@dataclass(frozen=True, slots=True)
class Found:
    """An assignment as found: where it stands in the list's order, and what is shown."""

    due_at: datetime
    shown: dict[str, Any]


async def assignments(
    database: Database, filters: Filters, now: datetime, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[Found]:
    """The next `limit` assignments by what is due first."""
    where = _Where(filters, now)
    if after is not None:
        where.clauses.append(f"(due_at, assignment_id) > ({where.number(after[0])}, {where.number(after[1])})")
    order = f"ORDER BY due_at, assignment_id LIMIT {limit:d}"
    columns = "due_at, assignment_id, yellow_at, red_at, item"
    parts = [f"(SELECT {columns} FROM assignments WHERE {each} {order})" for each in where.each]
    rows = await database.fetch(f"SELECT * FROM ({' UNION ALL '.join(parts)}) found {order}", *where.arguments)
    return [Found(row["due_at"], _shown(row, now)) for row in rows]


async def assignment(database: Database, assignment_id: str, now: datetime) -> tuple[dict[str, Any], int] | None:
    """One assignment and its case's version."""
    row = await database.fetchrow(
        "SELECT yellow_at, red_at, item, version FROM assignments JOIN streams ON stream_id = case_id"
        " WHERE assignment_id = $1",
        assignment_id,
    )
    return (_shown(row, now), row["version"]) if row else None


async def case(database: Database, case_id: str, now: datetime) -> tuple[dict[str, Any], int] | None:
    """One case with all its assignments, and its version; of one moment, although it takes two tables."""
    rows = await database.fetch(
        "SELECT c.*, s.version, a.yellow_at, a.red_at, a.item FROM cases c"
        " JOIN streams s ON s.stream_id = c.case_id LEFT JOIN assignments a USING (case_id)"
        " WHERE c.case_id = $1 ORDER BY string_to_array(split_part(a.assignment_id, '.', 2) || '.'"
        " || split_part(a.assignment_id, '.', 3), '.')::integer[]",
        case_id,
    )
    if not rows:
        return None
    found = {name: rows[0][name] for name in CASES}
    shown = [_shown(row, now) for row in rows if row["item"] is not None]
    return {**found, "assignments": shown}, rows[0]["version"]


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    return lit(orjson.loads(row["item"]), row["yellow_at"], row["red_at"], now)


async def board(database: Database, filters: Filters, now: datetime, since: datetime) -> dict[str, Any]:
    """How many assignments are open, by status and light, and how many have ended since `since`, by outcome."""
    where = _Where(filters, now)
    opened = await database.fetch(
        f"SELECT status, {_LIGHT} AS light, count(*) AS number, count(*) FILTER (WHERE supervised) AS supervised,"
        " count(*) FILTER (WHERE urged > 0) AS urged, count(*) FILTER (WHERE extension_pending) AS extension_pending,"
        " count(*) FILTER (WHERE offered) AS offered, count(*) FILTER (WHERE waiting) AS waiting,"
        " count(*) FILTER (WHERE escalation_level > 0) AS escalated,"
        " count(*) FILTER (WHERE escalation_failed) AS escalation_failed"
        f" FROM assignments WHERE open AND {where.whole} GROUP BY 1, 2",
        *where.arguments,
    )
    ended = await database.fetch(
        "SELECT status, count(*) AS number, count(*) FILTER (WHERE late_by_seconds > 0) AS late"
        f" FROM assignments WHERE {where.whole} AND ended_at >= {where.number(since)} GROUP BY 1",
        *where.arguments,
    )
    return {
        "as_of": now,
        "open": _total(opened, "number"),
        "by_status": _by(opened, "status", OPEN),
        "by_light": _by(opened, "light", ("green", "yellow", "red", "none")),
        **{name: _total(opened, name) for name in _FLAGS},
        "ended_since": since,
        "ended": _by(ended, "status", ENDED),
        "ended_late": _total(ended, "late"),
    }


_FLAGS = ("supervised", "urged", "extension_pending", "offered", "waiting", "escalated", "escalation_failed")


def _by(rows: Sequence[Any], name: str, all_of: Sequence[str]) -> dict[str, int]:
    return {one: sum(row["number"] for row in rows if row[name] == one) for one in all_of}


def _total(rows: Sequence[Any], name: str) -> int:
    return sum(row[name] for row in rows)
