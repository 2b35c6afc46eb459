"""What dispatch's API reads from its tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import orjson

from chassis.engine.decider import Unknown
from chassis.store.conditions import Conditions, once
from chassis.store.database import Database
from chassis.web.paging import PageQuery, page, position
from contracts.dispatch import GIVEN_BACK, Outcome
from contracts.reading import Matter, Scope
from contracts.status import Stage
from services.dispatch.bodies import AssignmentFilters, QueueFilters, UnitFilters
from services.dispatch.lights import LIGHT, Light
from services.dispatch.views import CASE_COLUMNS, with_light

_COUNTS = {
    "number": "true",
    "supervised": "supervised",
    "urged": "urged > 0",
    "extension_pending": "extension_pending",
    "offered": "offered",
    "waiting": "waiting",
    "escalated": "escalation_level > 0",
    "escalation_failed": "escalation_failed",
}


_UNITS = """
    ARRAY(SELECT o.unit FROM offers o WHERE o.assignment_id = a.assignment_id AND (o.open OR o.had)) AS others,
    ARRAY(SELECT o.unit FROM offers o WHERE o.assignment_id = a.assignment_id AND o.open) AS offered_to
"""
"""The units that had an assignment or are offered it, beside the one that has it; and those that are offered it now."""


@dataclass(frozen=True, slots=True)
class Found:
    """An assignment as the API shows it, and what the rule of reading asks of it."""

    shown: dict[str, Any]
    matter: Matter


async def assignments(database: Database, filters: AssignmentFilters, scope: Scope, now: datetime) -> dict[str, Any]:
    """A page of assignments, the earliest deadline first."""
    wanted = _Wanted(filters, scope)
    if filters.status == "open":
        wanted.add("open")
    else:
        wanted.equals("status", filters.status)
    if filters.light is not None:
        wanted.add(f"open AND {LIGHT} = {{1}}", now, filters.light)
    wanted.add("due_at < {0}", filters.due_before)
    wanted.equals("lead", filters.lead)
    return await _page(database, wanted, filters, now)


async def queue(database: Database, filters: QueueFilters, scope: Scope, now: datetime) -> dict[str, Any]:
    """A page of the assignments that wait in dispatch's queue, the earliest deadline first."""
    wanted = _Wanted(filters, scope)
    wanted.add("waiting")
    return await _page(database, wanted, filters, now)


async def open_assignments(
    database: Database, filters: UnitFilters, scope: Scope, now: datetime, limit: int
) -> list[dict[str, Any]]:
    """The open assignments with the earliest deadlines."""
    wanted = _Wanted(filters, scope)
    wanted.add("open")
    rows = await _fetch(database, wanted, limit)
    return [_shown(row, now) for row in rows]


async def assignments_of(
    database: Database, filters: UnitFilters, scope: Scope, now: datetime, cases: Iterable[str]
) -> list[dict[str, Any]]:
    """All assignments of these cases, open or not."""
    wanted = _Wanted(filters, scope)
    wanted.add("case_id = ANY({0}::text[])", [*cases])
    rows = await _fetch(database, wanted)
    return [_shown(row, now) for row in rows]


async def assignment(database: Database, assignment_id: str, now: datetime) -> tuple[Found, int]:
    """An assignment, and the version of its case. Raises `Unknown`."""
    row = await database.fetchrow(
        f"SELECT a.area, a.category, a.yellow_at, a.red_at, a.item, s.version, {_UNITS} FROM assignments a"
        " JOIN streams s ON s.stream_id = a.case_id WHERE a.assignment_id = $1",
        assignment_id,
    )
    if row is None:
        raise Unknown(f"there is no assignment {assignment_id}")
    return _found(row, now), row["version"]


async def case(database: Database, case_id: str, now: datetime) -> tuple[dict[str, Any], list[Found], int]:
    """A case, all its assignments, and its version, in one snapshot of the tables. Raises `Unknown`."""
    rows = await database.fetch(
        f"SELECT c.*, s.version, a.yellow_at, a.red_at, a.item, {_UNITS} FROM cases c"
        " JOIN streams s ON s.stream_id = c.case_id LEFT JOIN assignments a USING (case_id)"
        " WHERE c.case_id = $1 ORDER BY string_to_array(split_part(a.assignment_id, '.', 2) || '.'"
        " || split_part(a.assignment_id, '.', 3), '.')::integer[]",
        case_id,
    )
    if not rows:
        raise Unknown(f"there is no case {case_id}")
    found = [_found(row, now) for row in rows if row["item"] is not None]
    return {name: rows[0][name] for name in CASE_COLUMNS}, found, rows[0]["version"]


async def board(
    database: Database, filters: UnitFilters, scope: Scope, now: datetime, since: datetime
) -> dict[str, Any]:
    """How many assignments are open, by status and light, and how many have ended since `since`, by outcome."""
    wanted = _Wanted(filters, scope, now)
    counts = ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _COUNTS.items())
    opened = await database.fetch(
        f"SELECT status, {LIGHT.format('$1')} AS light, {counts} FROM assignments"
        f" WHERE open AND {wanted.any_branch()} GROUP BY 1, 2",
        *wanted.arguments,
    )
    wanted = _Wanted(filters, scope, since)
    ended = await database.fetch(
        "SELECT status, count(*) AS number, count(*) FILTER (WHERE late_by_seconds > 0) AS late FROM assignments"
        f" WHERE ended_at >= $1 AND {wanted.any_branch()} GROUP BY 1",
        *wanted.arguments,
    )
    return {
        "as_of": now,
        "open": _total(opened, "number"),
        "by_status": _by(opened, "status", get_args(Stage)),
        "by_light": _by(opened, "light", get_args(Light)),
        **{name: _total(opened, name) for name in _COUNTS if name != "number"},
        "ended_since": since,
        "ended": _by(ended, "status", get_args(Outcome)),
        "ended_late": _total(ended, "late"),
    }


class _Wanted(Conditions):
    """The conditions on assignments. Those on the unit are kept apart, so that an index serves each, in order."""

    def __init__(self, filters: UnitFilters, scope: Scope, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.in_area("area", filters.area)
        self._unit, self._readers = filters.unit, None
        units = sorted(scope.units)
        if filters.unit is None and units and not scope.everywhere and not scope.areas:
            self._readers = units
        elif filters.unit is None or filters.unit not in scope.units:
            own = f"({self._any_of(units)}) AND {self._at_work(scope, units)}" if units else None
            self.visible(scope, own)
            return
        # The unit that is asked for, or all of the caller's: `branches` has the rest of the condition.
        if not scope.whole:
            self.visible(scope, self._at_work(scope, units))

    def branches(self) -> list[str]:
        """The units have the assignment, or it is theirs otherwise: conditions that exclude each other."""
        if self._unit is not None:
            theirs, others = self._theirs([self._unit], "open")
        elif self._readers is not None:
            theirs, others = self._theirs(self._readers, _OTHERS)
        else:
            return ["true"]
        return [theirs, f"{others} AND NOT {theirs}"]

    def any_branch(self) -> str:
        """All conditions as one."""
        return f"{self.where} AND ({' OR '.join(self.branches())})"

    def _at_work(self, scope: Scope, units: Sequence[str]) -> str:
        """The case is not sensitive, or one of the units works on the assignment, is offered it, or has done it."""
        has, is_offered = self._theirs(units, "open")
        given_back = f"status = ANY({self.place(GIVEN_BACK)}::text[])"
        return f"({self.not_sensitive(scope)} OR ({has} AND NOT {given_back}) OR {is_offered})"

    def _any_of(self, units: Sequence[str]) -> str:
        return " OR ".join(self._theirs(units, _OTHERS))

    def _theirs(self, units: Sequence[str], offers: str) -> tuple[str, str]:
        """One of the units has the assignment; one of them has such an offer of it."""
        theirs = f"unit = {self.place(units[0])}" if len(units) == 1 else f"unit = ANY({self.place(units)}::text[])"
        offered = f"SELECT assignment_id FROM offers WHERE {offers} AND {theirs}"
        return theirs, f"assignment_id = ANY(ARRAY({offered}))"


_OTHERS = "(open OR had)"
"""Of offers: the unit is offered the assignment, or had it."""


async def _fetch(database: Database, wanted: _Wanted, limit: int | None = None) -> list[Any]:
    """The rows with the earliest deadlines."""
    order = "due_at, assignment_id"
    by = f"ORDER BY {order}" + (f" LIMIT {limit:d}" if limit is not None else "")
    parts = [
        f"SELECT due_at, assignment_id, yellow_at, red_at, item FROM assignments WHERE {where} AND {each} {by}"
        for where in wanted.alternatives
        for each in wanted.branches()
    ]
    return await database.fetch(f"{once(parts, order)} {by}", *wanted.arguments)


async def _page(database: Database, wanted: _Wanted, query: PageQuery, now: datetime) -> dict[str, Any]:
    if (after := position(query.cursor, datetime, str)) is not None:
        wanted.add("(due_at, assignment_id) > ({0}, {1})", *after)
    rows = await _fetch(database, wanted, query.limit + 1)
    found = page(rows, query.limit, lambda row: [row["due_at"], row["assignment_id"]])
    return {**found, "items": [_shown(row, now) for row in found["items"]]}


def _found(row: Any, now: datetime) -> Found:
    shown = _shown(row, now)
    units = frozenset((shown["unit"], *row["others"]))
    has = () if shown["status"] in GIVEN_BACK else (shown["unit"],)
    return Found(shown, Matter(row["area"], row["category"], units, frozenset((*has, *row["offered_to"]))))


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    return with_light(orjson.loads(row["item"]), row["yellow_at"], row["red_at"], now)


def _by(rows: Sequence[Any], name: str, values: Sequence[str]) -> dict[str, int]:
    return {value: sum(row["number"] for row in rows if row[name] == value) for value in values}


def _total(rows: Sequence[Any], name: str) -> int:
    return sum(row[name] for row in rows)
