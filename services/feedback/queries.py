"""What feedback's API asks of its tables: cases and the check queue."""

from datetime import datetime
from typing import Any

import asyncpg
import orjson
from pydantic import BaseModel

from chassis.engine.decider import Unknown
from chassis.store.conditions import Conditions
from chassis.store.database import Database
from chassis.web.identity import Caller
from chassis.web.paging import page, position
from contracts.dispatch import GIVEN_BACK
from contracts.reading import Matter, Scope, Sight
from contracts.roles import Role
from services.feedback.bodies import AssignmentDetail, CaseFilters, CaseItem, CheckFilters, CheckItem, RatingDetail

Row = dict[str, Any]

_CASE = "SELECT c.*, s.version FROM cases c JOIN streams s ON s.stream_id = c.case_id WHERE c.case_id = $1"
_CASE_ASSIGNMENTS = "SELECT * FROM assignments WHERE case_id = $1 ORDER BY round, lead DESC, assignment_id"
_CASE_RATINGS = "SELECT * FROM ratings WHERE case_id = $1 ORDER BY rated_at, rater"
_CASES = "SELECT * FROM cases WHERE {where}"
_CHECKS = "SELECT * FROM cases WHERE checking_since IS NOT NULL AND {where} ORDER BY check_due_at, case_id LIMIT $1"


async def case(database: Database, case_id: str) -> tuple[Row, Matter, int]:
    """A case with its assignments and ratings, what the rule of reading asks of it, and its version.

    Raises `Unknown`.
    """
    row = await database.fetchrow(_CASE, case_id)
    if row is None:
        raise Unknown(f"there is no case {case_id}")
    found = shown(row, CheckItem)
    assignments = await database.fetch(_CASE_ASSIGNMENTS, case_id)
    found["assignments"] = [shown(one, AssignmentDetail) for one in assignments]
    found["ratings"] = [shown(one, RatingDetail) for one in await database.fetch(_CASE_RATINGS, case_id)]
    units = frozenset[str]().union(*(_units_of(one) for one in found["assignments"]))
    working = frozenset(one["unit"] for one in found["assignments"] if one["outcome"] not in GIVEN_BACK)
    return found, Matter(found["area"], found["category"], units, working), row["version"]


def part_of(found: Row, units: frozenset[str]) -> Row:
    """The case as these units see it: with their assignments, of the handlers their own, and ratings without words."""
    own = [one for one in found["assignments"] if units & _units_of(one)]
    return {
        **_item_of(units, found),
        "assignments": own,
        "handlers": [name for name in found["handlers"] if any(name in one["handled_by"] for one in own)],
        "handling_units": [unit for unit in found["handling_units"] if unit in units],
        "ratings": [{**one, "comment": None} for one in found["ratings"]],
    }


def listed(row: asyncpg.Record, scope: Scope) -> Row:
    """A case of a list as the caller may see it: who sees it only because of their unit sees that unit's figures."""
    item = shown(row, CaseItem)
    if scope.sight(Matter(item["area"], item["category"])) is Sight.WHOLE:
        return item
    return _item_of(scope.units, item)


FOR_UNITS = frozenset(
    {"case_id", "status", "title", "category", "condition", "priority", "area", "retrospective", "rounds", "reworks"}
    | {"filed_at", "due_at", "check_method", "check_by", "checking_since", "check_due_at", "check_overdue"}
    | {"closed_at", "outcome", "reopening_requested_at"}
)
"""What everybody sees of a case whose unit has, or had, some of its work."""
FOR_LEADS = frozenset({"lead_unit", "done_at", "late_by_seconds"})
"""What only the people of the unit that answers for the case see beside it."""


def _item_of(units: frozenset[str], item: Row) -> Row:
    """A case as these units see it: what is not named here, they do not see."""
    shown = FOR_UNITS | FOR_LEADS if item["lead_unit"] in units else FOR_UNITS
    own = [score for score in item["scores"] if score.get("unit") in units]
    return {name: value if name in shown else None for name, value in item.items()} | {"scores": own}


async def cases(database: Database, filters: CaseFilters, scope: Scope) -> Row:
    """A page of the cases that the caller may see, the latest first."""
    wanted = Conditions(filters.limit + 1)
    wanted.visible(scope, own_cases(wanted, scope))
    wanted.in_area("area", filters.area)
    wanted.below("category", filters.category)
    wanted.equals("lead_unit", filters.unit)
    wanted.equals("status", filters.status)
    wanted.equals("outcome", filters.outcome)
    if filters.reopening_requested is not None:
        wanted.add(f"reopening_requested_at IS {'NOT ' if filters.reopening_requested else ''}NULL")
    wanted.add("listed_at >= {0}", filters.since)
    wanted.add("listed_at < {0}", filters.until)
    if (after := position(filters.cursor, datetime, str)) is not None:
        wanted.add("(listed_at, case_id) < ({0}, {1})", *after)
    rows = await database.fetch(wanted.first(_CASES, "listed_at DESC, case_id DESC"), *wanted.arguments)
    found = page(rows, filters.limit, lambda row: [row["listed_at"], row["case_id"]])
    return {**found, "items": [listed(row, scope) for row in found["items"]]}


async def checks(database: Database, filters: CheckFilters, caller: Caller, scope: Scope, now: datetime) -> Row:
    """A page of the check queue that the caller may see, the earliest due first."""
    wanted = Conditions(filters.limit + 1)
    wanted.visible(scope)
    wanted.in_area("area", filters.area)
    wanted.equals("check_method", filters.method)
    wanted.add("check_due_at < {0}", filters.due_before)
    wanted.add("check_due_at < {0}", now if filters.overdue else None)
    if filters.mine:
        wanted.add("NOT handlers ? {0}", caller.subject)
        wanted.add("NOT handling_units ? {0}", caller.unit)
        wanted.add("check_method <> {0}", None if Role.EVALUATOR in caller.roles else "call_back")
    if (after := position(filters.cursor, datetime, str)) is not None:
        wanted.add("(check_due_at, case_id) > ({0}, {1})", *after)
    rows = await database.fetch(_CHECKS.format(where=wanted.where), *wanted.arguments)
    found = page(rows, filters.limit, lambda row: [row["check_due_at"], row["case_id"]])
    return {**found, "items": [shown(row, CheckItem) for row in found["items"]]}


def own_cases(wanted: Conditions, scope: Scope) -> str | None:
    """The term that the case was given to a unit of the caller, or was the unit's in the end; a sensitive one, that the
    unit works on it or did.
    """
    if not scope.units or scope.everywhere:
        return None
    units = wanted.place(sorted(scope.units))
    given, had = (f"SELECT case_id FROM assignments WHERE {which} = ANY({units}::text[])" for which in _HELD)
    works = f"{had} AND (outcome = ANY({wanted.place(GIVEN_BACK)}::text[])) IS NOT TRUE"
    plain = wanted.not_sensitive(scope)
    return f"(case_id = ANY(ARRAY({given} UNION ALL {had})) AND ({plain} OR case_id IN ({works})))"


_HELD = ("given_to", "unit")
"""The columns of an assignment with the units that were given it or had it in the end."""


def _units_of(assignment: Row) -> frozenset[str]:
    return frozenset(assignment[column] for column in _HELD)


def shown(row: asyncpg.Record, item: type[BaseModel]) -> Row:
    """A row as that item of the API: with the item's fields, and no others."""
    return {name: orjson.loads(row[name]) if name in _JSON else row[name] for name in item.model_fields}


_JSON = frozenset({"handlers", "handling_units", "scores", "handled_by", "extended"})
