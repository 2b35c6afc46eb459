"""Dispatch's tables as functions of a case's state: cases, assignments and offers."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from chassis.store.views import View
from services.dispatch.domain.assignment import Assignment
from services.dispatch.domain.case import Case
from services.dispatch.domain.clock import DeadlineClock
from services.dispatch.lights import light

CASE_COLUMNS = {
    **dict.fromkeys(("case_id", "status", "title", "category", "condition", "area"), "text"),
    **dict.fromkeys(("priority", "round"), "integer"),
    "filed_at": "timestamptz",
    "retrospective": "boolean",
    **dict.fromkeys(("ended_by", "verdict", "outcome"), "text"),
}
_FLAGS = ("lead", "open", "retrospective", "supervised", "extension_pending", "offered", "waiting", "escalation_failed")
_ASSIGNMENT_COLUMNS = {
    **dict.fromkeys(("assignment_id", "case_id", "unit", "partner", "area", "category", "status"), "text"),
    **dict.fromkeys(_FLAGS, "boolean"),
    **dict.fromkeys(("due_at", "yellow_at", "red_at", "ended_at"), "timestamptz"),
    **dict.fromkeys(("urged", "escalation_level"), "integer"),
    "late_by_seconds": "bigint",
    "item": "jsonb",
}
_OFFER_COLUMNS = {
    **dict.fromkeys(("assignment_id", "unit", "case_id", "partner"), "text"),
    **dict.fromkeys(("open", "had"), "boolean"),
}

# What rows and items copy from the ruling, the plan, the case, and the assignment itself.
_OF_RULING = ("title", "category", "condition", "priority", "area", "round", "retrospective")
_OF_CASE = ("category", "area", "ended_by", "verdict", "outcome")
_OF_PLAN = ("lead", "task", "member", "backups", "replaces")
_OF_ASSIGNMENT = (
    *("status", "unit", "started_at", "acknowledge_by", "resolve_by", "acknowledged_at", "en_route_at", "arrived_at"),
    *("extensions", "extension_request", "supervision", "escalation_level", "handled_by"),
)


def views(clock: DeadlineClock) -> tuple[View[Case], ...]:
    """The tables the runtime keeps."""
    return (
        View("cases", ("case_id",), CASE_COLUMNS, _case_rows),
        View("assignments", ("assignment_id",), _ASSIGNMENT_COLUMNS, partial(_assignment_rows, clock=clock)),
        View("offers", ("assignment_id", "unit"), _OFFER_COLUMNS, _offer_rows),
    )


def item(case_id: str, assignment: Assignment, clock: DeadlineClock) -> dict[str, Any]:
    """The assignment as the API shows it, without its light, which depends on the time of reading."""
    ruling, plan, end, handed = assignment.ruling, assignment.plan, assignment.end, assignment.hand_over
    return {
        **_copied(ruling, *_OF_RULING, "because", "closing"),
        **_copied(plan, *_OF_PLAN),
        **_copied(assignment, *_OF_ASSIGNMENT),
        "assignment_id": plan.id,
        "case_id": case_id,
        "open": end is None,
        "planned_unit": plan.unit,
        "offered_to": _offered_to(assignment),
        "waiting": end is None and assignment.unclaimed,
        "because_reason": handed.reason if handed is not None else ruling.reason,
        "place": ruling.place.model_dump(exclude_none=True),
        "yellow_at": clock.yellow_at(assignment),
        "red_at": clock.red_at(assignment),
        "ended_at": end.at if end else None,
        "reason": end.reason if end else None,
        "late_by_seconds": end.late_by_seconds if end else None,
        "urged": assignment.urged,
        "last_urged_at": max((*assignment.urged_at, *assignment.reporters_urged_at), default=None),
        "escalated_to": plan.escalated_to[: assignment.escalation_level],
        "escalation_failed": assignment.unclaimed or assignment.escalation_failed,
    }


def with_light(shown: dict[str, Any], yellow_at: datetime, red_at: datetime, now: datetime) -> dict[str, Any]:
    """An item with its light."""
    now_lit = light(
        open=shown["open"], retrospective=shown["retrospective"], yellow_at=yellow_at, red_at=red_at, now=now
    )
    return {**shown, "light": now_lit}


def _copied(source: object, *names: str) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}


def _offered_to(assignment: Assignment) -> tuple[str, ...]:
    """The units that may acknowledge it now, beside its own."""
    if assignment.end is not None:
        return ()
    return tuple(unit for unit in assignment.candidates_now if unit != assignment.unit)


def _case_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    ruling, status = case.ruling, case.standing.status
    if not case.known:
        return
    described = _copied(ruling, *_OF_RULING, "filed_at") if ruling is not None else {}
    row = {"case_id": case_id, "status": status, **described, **_copied(case, *_OF_CASE)}
    yield tuple(row.get(name) for name in CASE_COLUMNS)


def _assignment_rows(case_id: str, case: Case, clock: DeadlineClock) -> Iterable[tuple[Any, ...]]:
    for assignment in case.assignments.values():
        shown = item(case_id, assignment, clock)
        acknowledged = assignment.holder is not None or assignment.end is not None
        row = {
            **shown,
            **_copied(case, "category", "area"),  # it is read as what the case is now, whatever its round says
            "partner": assignment.notified.get(assignment.unit, ""),
            "due_at": assignment.resolve_by if acknowledged else assignment.acknowledge_by,
            "supervised": assignment.supervision is not None,
            "extension_pending": assignment.extension_request is not None,
            "offered": assignment.end is None and assignment.offered,
            "item": orjson.dumps(shown, option=orjson.OPT_UTC_Z).decode(),
        }
        yield tuple(row[name] for name in _ASSIGNMENT_COLUMNS)


def _offer_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    for assignment in case.assignments.values():
        if len(assignment.candidates_ever) > 1:
            still, had, told = _offered_to(assignment), assignment.had, assignment.notified
            for unit in assignment.candidates_ever:
                yield (assignment.plan.id, unit, case_id, told.get(unit, ""), unit in still, unit in had)
