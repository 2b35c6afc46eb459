"""Feedback's read models as functions of a case: its row, its assignments' rows, its ratings' rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from chassis.views import View
from services.feedback.domain.case import (
    Case,
    Task,
    deadline,
    given_at,
    handlers,
    handling_units,
    late_by_seconds,
    lead,
    lead_done,
    unit,
)


def _case_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    filing, checking, closing, status = case.filing, case.checking, case.closing, case.standing.status
    if status is None:  # only ends or extensions have been heard of
        return
    task, finished = lead(case), lead_done(case)
    if closing is not None:
        task = case.tasks[closing.lead] if closing.lead is not None else None
        due_at, late = closing.due_at, closing.late_by_seconds
    else:
        due_at = deadline(case, task) if task else None
        late = late_by_seconds(case, finished[0]) if finished else None
    yield (
        case_id,
        status,
        filing.title if filing else None,
        filing.category if filing else None,
        filing.condition if filing else None,
        filing.priority if filing else None,
        filing.area if filing else None,
        filing.retrospective if filing else False,
        case.merged_into,
        unit(case, task) if task else None,
        filing.round if filing else 0,
        case.reworks,
        filing.filed_at if filing else None,
        due_at,
        finished[1].at if finished else None,
        late,
        filing.check.method if filing else None,
        filing.check.by if filing else None,
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
    )


CASES: View[Case] = View(
    "cases",
    ("case_id",),
    {
        "case_id": "text",
        "status": "text",
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
    },
    _case_rows,
)


def _assignment_row(case_id: str, case: Case, task: Task) -> tuple[Any, ...]:
    one, given = task.assignment, given_at(case, task)
    end, extensions = case.ends.get(one.id), case.extensions.get(one.id, ())
    resolved = end.resolved if end else None
    return (
        case_id,
        one.id,
        task.round,
        task.because,
        one.unit,
        unit(case, task),
        one.lead,
        one.task,
        one.replaces,
        given,
        one.acknowledge_by,
        one.resolve_by,
        deadline(case, task),
        resolved.outcome if resolved else None,
        resolved.reason if resolved else None,
        end.at if end else None,
        resolved.acknowledged_at if resolved else None,
        resolved.arrived_at if resolved else None,
        _seconds(given, resolved.acknowledged_at if resolved else None),
        _seconds(given, resolved.arrived_at if resolved else None),
        late_by_seconds(case, task),
        resolved.extensions if resolved else len(extensions),
        _json([{"granted_at": one.granted_at, "due_at": one.due_at} for one in extensions]),
        resolved.urged if resolved else 0,
        resolved.supervised if resolved else False,
        _json(resolved.handled_by if resolved else ()),
        case.failed.get(one.id),
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
    lambda case_id, case: [_assignment_row(case_id, case, task) for task in case.tasks.values()],
)

RATINGS: View[Case] = View(
    "ratings",
    ("case_id", "rater"),
    {"case_id": "text", "rater": "text", "rating": "smallint", "comment": "text", "rated_at": "timestamptz"},
    lambda case_id, case: [(case_id, rater, one.rating, one.comment, one.at) for rater, one in case.ratings.items()],
)

VIEWS: Sequence[View[Case]] = (CASES, ASSIGNMENTS, RATINGS)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def _seconds(since: datetime, until: datetime | None) -> float | None:
    return None if until is None else max(0.0, (until - since).total_seconds())
