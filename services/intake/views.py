"""Intake's read model: the table of reports as a function of state."""

from collections.abc import Iterable
from typing import Any

from chassis.store.views import View
from services.intake.domain.case import Case


def _rows(case_id: str, state: Case) -> Iterable[tuple[Any, ...]]:
    report = state.report
    if report is None:
        return
    yield (
        case_id,
        report.reported_at,
        state.status,
        state.outcome,
        state.reason,
        state.closed_at,
        state.filed_at,
        state.merged_into,
        report.channel,
        report.title,
        state.category or report.category,
        state.area or report.area,
        report.external_ref,
        report.reporter_ref,
        report.filed_by,
        report.reported_by,
        report.retrospective,
        state.supplement_count,
        state.withdrawal_requested,
        state.upheld_reason,
        state.rating,
        state.asks_to_reopen,
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
        "supplement_count": "integer",
        "withdrawal_requested": "boolean",
        "upheld_reason": "text",
        "rating": "smallint",
        "reopening_requested": "boolean",
    },
    rows=_rows,
)
