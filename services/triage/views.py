"""Triage's read model: one row per case."""

from collections.abc import Iterable
from typing import Any

from chassis.store.views import View
from contracts.territory import COMMUNITY, GRID, upto
from services.triage.domain.case import Case


def _rows(case_id: str, state: Case) -> Iterable[tuple[Any, ...]]:
    event, waiting, ruling = state.report, state.waiting, state.dispatched
    if event is None:
        return
    report, point = event.data, event.data.place.point
    community = upto(state.area, COMMUNITY)
    yield (
        case_id,
        state.standing.status,
        waiting.queue if waiting else None,
        waiting.since if waiting else None,
        waiting.due_at if waiting else None,
        waiting.words if waiting else None,
        waiting.unit if waiting else None,
        waiting.overdue if waiting else False,
        state.category,
        ruling.priority if ruling else None,
        state.area,
        community,
        upto(state.area, GRID),
        report.title,
        report.channel,
        report.external_ref,
        report.reporter_ref,
        event.time,
        report.retrospective,
        point.lat if point else None,
        point.lon if point else None,
        state.round,
        not state.over and community is not None and state.category is not None,
        state.merged_into,
        state.verdict.outcome if state.verdict else None,
    )


CASES: View[Case] = View(
    "cases",
    ("case_id",),
    {
        "case_id": "text",
        "status": "text",
        "queue": "text",
        "queue_since": "timestamptz",
        "queue_due_at": "timestamptz",
        "queue_words": "text",
        "queue_unit": "text",
        "overdue": "boolean",
        "category": "text",
        "priority": "integer",
        "area": "text",
        "community": "text",
        "grid": "text",
        "title": "text",
        "channel": "text",
        "external_ref": "text",
        "reporter_ref": "text",
        "reported_at": "timestamptz",
        "retrospective": "boolean",
        "lat": "float8",
        "lon": "float8",
        "round": "integer",
        "open": "boolean",
        "merged_into": "text",
        "outcome": "text",
    },
    _rows,
)
