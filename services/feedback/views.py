"""Feedback's read models as functions of a case: its row, its rulings, its assignments, its ratings."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from chassis.store.views import View
from contracts import triage
from services.feedback.domain.assignment import Assignment
from services.feedback.domain.case import (
    Case,
    counts,
    given_at,
    handlers,
    handling_units,
    lead,
    lead_done,
    lead_unit,
    spans,
)


def _case_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    ruling, checking, closing = case.ruling, case.checking, case.closing
    listed_at = ruling.filed_at if ruling else closing.at if closing else None
    if listed_at is None:  # only ends or extensions are known so far
        return
    answers, finished = lead(case), lead_done(case)
    due_at = answers.resolve_by if answers else None
    late = finished[0].late_by_seconds if finished else None
    if closing is not None:
        due_at, late = closing.due_at, closing.late_by_seconds
    yield (
        case_id,
        case.standing.status,
        listed_at,
        ruling.title if ruling else None,
        case.category,
        ruling.condition if ruling else None,
        ruling.priority if ruling else None,
        case.area,
        case.retrospective,
        case.merged_into,
        lead_unit(case),
        ruling.round if ruling else 0,
        case.reworks,
        ruling.filed_at if ruling else None,
        due_at,
        finished[1].at if finished else None,
        late,
        ruling.check.method if ruling else None,
        ruling.check.by if ruling else None,
        checking.since if checking else None,
        checking.due_at if checking else None,
        checking.overdue if checking else False,
        _json(sorted(handlers(case))),
        _json(sorted(handling_units(case))),
        closing.at if closing else None,
        closing.outcome if closing else None,
        closing.reason if closing else None,
        closing.checked_by if closing else None,
        _json([score.model_dump(exclude_none=True) for score in closing.scores] if closing else []),
        case.reopening.at if case.reopening else None,
        case.reopening.by if case.reopening else None,
        case.reopening.reason if case.reopening else None,
    )


CASES: View[Case] = View(
    "cases",
    ("case_id",),
    {
        "case_id": "text",
        "status": "text",
        "listed_at": "timestamptz",
        "title": "text",
        "category": "text",
        "condition": "text",
        "priority": "smallint",
        "area": "text",
        "retrospective": "boolean",
        "merged_into": "text",
        "lead_unit": "text",
        "rounds": "integer",
        "reworks": "integer",
        "filed_at": "timestamptz",
        "due_at": "timestamptz",
        "done_at": "timestamptz",
        "late_by_seconds": "bigint",
        "check_method": "text",
        "check_by": "text",
        "checking_since": "timestamptz",
        "check_due_at": "timestamptz",
        "check_overdue": "boolean",
        "handlers": "jsonb",
        "handling_units": "jsonb",
        "closed_at": "timestamptz",
        "outcome": "text",
        "reason": "text",
        "checked_by": "text",
        "scores": "jsonb",
        "reopening_requested_at": "timestamptz",
        "reopening_requested_by": "text",
        "reopening_reason": "text",
    },
    _case_rows,
)


RULINGS: View[Case] = View(
    "rulings",
    ("case_id", "round"),
    {
        "case_id": "text",
        "round": "integer",
        "category": "text",
        "area": "text",
        "in_force_since": "timestamptz",
        "in_force_until": "timestamptz",
    },
    lambda case_id, case: [
        (case_id, ruling.round, ruling.category, ruling.area, since, until) for ruling, since, until in spans(case)
    ],
)


def _assignment_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    for one in case.assignments.values():
        if one.plan is not None:
            yield _assignment_row(case_id, case, one, one.plan)


def _assignment_row(case_id: str, case: Case, one: Assignment, plan: triage.Assignment) -> tuple[Any, ...]:
    given, resolved = given_at(case, one), one.end.resolved if one.end else None
    return (
        case_id,
        one.assignment_id,
        one.round,
        one.because,
        plan.unit,
        one.unit,
        plan.lead,
        plan.task,
        plan.replaces,
        given,
        plan.acknowledge_by,
        plan.resolve_by,
        one.resolve_by,
        resolved.outcome if resolved else None,
        resolved.reason if resolved else None,
        one.end.at if one.end else None,
        resolved.acknowledged_at if resolved else None,
        resolved.arrived_at if resolved else None,
        _seconds(given, resolved.acknowledged_at if resolved else None),
        _seconds(given, resolved.arrived_at if resolved else None),
        one.late_by_seconds,
        resolved.extensions if resolved else len(one.extensions),
        _json([{"granted_at": each.granted_at, "due_at": each.due_at} for each in one.extensions]),
        resolved.urged if resolved else 0,
        resolved.supervised if resolved else False,
        _json(resolved.handled_by if resolved else ()),
        one.failed_at,
    )


ASSIGNMENTS: View[Case] = View(
    "assignments",
    ("case_id", "assignment_id"),
    {
        "case_id": "text",
        "assignment_id": "text",
        "round": "integer",
        "because": "text",
        "given_to": "text",
        "unit": "text",
        "lead": "boolean",
        "task": "text",
        "replaces": "text",
        "given_at": "timestamptz",
        "acknowledge_by": "timestamptz",
        "planned_by": "timestamptz",
        "resolve_by": "timestamptz",
        "outcome": "text",
        "reason": "text",
        "ended_at": "timestamptz",
        "acknowledged_at": "timestamptz",
        "arrived_at": "timestamptz",
        "acknowledge_seconds": "double precision",
        "arrive_seconds": "double precision",
        "late_by_seconds": "bigint",
        "extensions": "bigint",
        "extended": "jsonb",
        "urged": "bigint",
        "supervised": "boolean",
        "handled_by": "jsonb",
        "failed_at": "timestamptz",
    },
    _assignment_rows,
)

RATINGS: View[Case] = View(
    "ratings",
    ("case_id", "rater"),
    {
        "case_id": "text",
        "rater": "text",
        "rating": "smallint",
        "comment": "text",
        "rated_at": "timestamptz",
        "counts": "boolean",
    },
    lambda case_id, case: [
        (case_id, rater, one.given.rating, one.given.comment, one.at, counts(case, rater, one.given))
        for rater, one in case.ratings.items()
    ],
)

VIEWS: Sequence[View[Case]] = (CASES, RULINGS, ASSIGNMENTS, RATINGS)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def _seconds(since: datetime, until: datetime | None) -> float | None:
    return None if until is None else max(0.0, (until - since).total_seconds())
