"""Read models of dispatch: cases, assignments and offers as rows."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson

from chassis.views import View
from services.dispatch.domain.reckoning import Reckoning
from services.dispatch.domain.state import Case, Work

CASES = {
    "case_id": "text",
    "status": "text",
    "title": "text",
    "category": "text",
    "condition": "text",
    "priority": "integer",
    "area": "text",
    "round": "integer",
    "filed_at": "timestamptz",
    "retrospective": "boolean",
    "ruling": "text",
    "verdict": "text",
    "outcome": "text",
}
_ASSIGNMENTS = {
    "assignment_id": "text",
    "case_id": "text",
    "unit": "text",
    "partner": "text",
    "area": "text",
    "lead": "boolean",
    "status": "text",
    "open": "boolean",
    "retrospective": "boolean",
    "due_at": "timestamptz",
    "yellow_at": "timestamptz",
    "red_at": "timestamptz",
    "ended_at": "timestamptz",
    "late_by_seconds": "bigint",
    "urged": "integer",
    "supervised": "boolean",
    "extension_pending": "boolean",
    "offered": "boolean",
    "waiting": "boolean",
    "escalation_level": "integer",
    "escalation_failed": "boolean",
    "item": "jsonb",
}
_OFFERS = {"assignment_id": "text", "unit": "text", "case_id": "text", "partner": "text", "open": "boolean"}


def views(reckoning: Reckoning) -> tuple[View[Case], ...]:
    """The tables the runtime keeps."""
    return (
        View("cases", ("case_id",), CASES, _case_rows),
        View("assignments", ("assignment_id",), _ASSIGNMENTS, _assignment_rows(reckoning)),
        View("offers", ("assignment_id", "unit"), _OFFERS, _offer_rows),
    )


def item(reckoning: Reckoning, case_id: str, work: Work) -> dict[str, Any]:
    """All that is shown of an assignment but its light, which depends on when one looks."""
    order, plan, end, request, supervision = work.order, work.plan, work.end, work.request, work.supervision
    return {
        "assignment_id": plan.id,
        "case_id": case_id,
        "status": work.status,
        "open": end is None,
        "unit": work.unit,
        "named": plan.unit,
        "offered_to": _offered_to(work),
        "waiting": _waiting(work),
        "lead": plan.lead,
        "task": plan.task,
        "member": plan.member,
        "backups": plan.backups,
        "round": order.round,
        "because": order.because,
        "because_reason": work.handed.reason if work.handed is not None else order.reason,
        "replaces": plan.replaces,
        "title": order.title,
        "category": order.category,
        "condition": order.condition,
        "closing": order.closing,
        "priority": order.priority,
        "area": order.area,
        "place": order.place.model_dump(exclude_none=True),
        "retrospective": order.retrospective,
        "started_at": work.started_at,
        "acknowledge_by": work.acknowledge_by,
        "yellow_at": reckoning.yellow_at(work),
        "red_at": reckoning.red_at(work),
        "resolve_by": work.resolve_by,
        "acknowledged_at": work.acknowledged_at,
        "en_route_at": work.en_route_at,
        "arrived_at": work.arrived_at,
        "ended_at": end.at if end else None,
        "ended_by": end.by if end else None,
        "reason": end.reason if end else None,
        "late_by_seconds": end.late_by_seconds if end else None,
        "extensions": work.extensions,
        "extension_request": {"by": request.by, "at": request.at, "reason": request.reason} if request else None,
        "urged": len(work.urged_at),
        "last_urged_at": max(work.urged_at, default=None),
        "supervision": {
            "level": supervision.level,
            "reply_by": supervision.reply_by,
            "reason": supervision.reason,
        }
        if supervision
        else None,
        "escalation_level": work.level,
        "escalated_to": plan.escalated_to[: work.level],
        "escalation_failed": work.unclaimed or work.escalation_failed,
        "handled_by": work.handled_by,
    }


def lit(shown: dict[str, Any], yellow_at: datetime, red_at: datetime, now: datetime) -> dict[str, Any]:
    """The item with its light: none for what is not open, and for what was entered long after the fact."""
    if not shown["open"] or shown["retrospective"]:
        return {**shown, "light": None}
    return {**shown, "light": "red" if now >= red_at else "yellow" if now >= yellow_at else "green"}


def _offered_to(work: Work) -> tuple[str, ...]:
    """The units beside its own that may acknowledge it now."""
    return () if work.end is not None else tuple(unit for unit in work.within_reach if unit != work.unit)


def _waiting(work: Work) -> bool:
    return work.end is None and work.unclaimed


def _case_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    order, status = case.order, case.standing.status
    if status is None or (order is None and case.ruling is None):
        return
    described = (
        (
            order.title,
            order.category,
            order.condition,
            order.priority,
            order.area,
            order.round,
            order.filed_at,
            order.retrospective,
        )
        if order is not None
        else (None,) * 8
    )
    yield (case_id, status, *described, case.ruling, case.verdict, case.outcome)


def _assignment_rows(reckoning: Reckoning) -> Callable[[str, Case], Iterable[tuple[Any, ...]]]:
    def rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
        for work in case.work.values():
            shown = item(reckoning, case_id, work)
            acknowledged = work.holder is not None or work.end is not None
            yield (
                work.plan.id,
                case_id,
                work.unit,
                work.told.get(work.unit, ""),
                work.order.area,
                work.plan.lead,
                shown["status"],
                shown["open"],
                work.order.retrospective,
                work.resolve_by if acknowledged else work.acknowledge_by,
                shown["yellow_at"],
                shown["red_at"],
                shown["ended_at"],
                shown["late_by_seconds"],
                shown["urged"],
                work.supervision is not None,
                work.request is not None,
                work.end is None and work.shared,
                shown["waiting"],
                work.level,
                shown["escalation_failed"],
                orjson.dumps(shown, option=orjson.OPT_UTC_Z).decode(),
            )

    return rows


def _offer_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    for work in case.work.values():
        if len(work.reached) > 1:
            still = _offered_to(work)
            for unit in work.reached:
                yield (work.plan.id, unit, case_id, work.told.get(unit, ""), unit in still)
