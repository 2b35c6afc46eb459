"""A report as intake knows it, and what became of it: folded from intake's own facts, rulings and verdicts.

Within a topic the order counts, between topics it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts import status
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated
from contracts.growing import Ids
from contracts.intake import Channel, NewReport, Supplement, Withdrawal
from contracts.notice import AcceptanceNotice, OutcomeNotice, RefusalNotice, RulingNotice
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn


@dataclass(frozen=True, slots=True)
class Filed:
    """What is kept of a report beside its event."""

    at: datetime
    since: datetime
    """The earliest instant that what follows it may claim: `at`, or when it was seen by the reporter's word."""
    by: str
    """Whose report it is: the person who filed it, or `partner:<id>`."""
    partner: str | None
    """The partner whose system sent it in."""
    channel: Channel
    title: str
    category: str | None
    area: str | None
    external_ref: str | None
    reporter_ref: str | None
    retrospective: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A report and what became of it."""

    filed: Filed | None = None
    supplements: int = 0
    withdrawal_asked: bool = False
    upheld_reason: str | None = None
    """Why the case goes on although its report was taken back."""
    ruling_reason: str | None = None
    merged_into: str | None = None
    category: str | None = None
    area: str | None = None
    filed_at: datetime | None = None
    verdict_reason: str | None = None
    outcome: CaseOutcome | None = None
    closed_at: datetime | None = None
    standing: status.Standing = field(default_factory=status.Standing)
    told: Mapping[str, Ids] = field(default_factory=dict)
    """Partner -> the ids of intake's notices to it on this case."""
    outcome_told: bool = False
    """Whether the partner that filed the report has been told what became of it."""

    @property
    def partner(self) -> str | None:
        """The partner that filed the report."""
        return self.filed.partner if self.filed is not None else None

    @property
    def status(self) -> status.Status:
        """Of this report alone; one that was merged speaks through the case it was merged into."""
        return self.standing.status or "reported"

    @property
    def reason(self) -> str | None:
        """Why it ended as it did, in words, where somebody said so."""
        return self.verdict_reason or self.ruling_reason


def owner(partner: str) -> str:
    """Whose the reports of a partner are, whether they came by topic or over HTTP."""
    return f"partner:{partner}"


def is_news(event: Event[Any], state: Case) -> bool:
    """Whether a ruling is later than the ones heard of before."""
    return int(event.sequence) > state.standing.ruling_sequence


def evolve(state: Case, event: Event[Any]) -> Case:
    """The case after an event, whatever came before it."""
    changed, standing = _changed(state, event), status.evolve(state.standing, event)
    return changed if standing is state.standing else replace(changed, standing=standing)


def _changed(state: Case, event: Event[Any]) -> Case:
    match event.data:
        case NewReport() as report:
            return state if state.filed else replace(state, filed=_filed(event, report))
        case Supplement():
            return replace(state, supplements=state.supplements + 1)
        case Withdrawal():
            return replace(state, withdrawal_asked=True)
        case Dispatched() | Merged() | Rejected() | Withdrawn() as ruling:
            return _ruled(state, ruling) if is_news(event, state) else state
        case Upheld(reason=reason):
            return replace(state, upheld_reason=reason)
        case Evaluated() as verdict:
            return _judged(state, event, verdict)
        case RulingNotice() | OutcomeNotice() | AcceptanceNotice() | RefusalNotice() as notice:
            ids = state.told.get(notice.to, Ids())
            return replace(
                state,
                told={**state.told, notice.to: ids.plus(event.id)},
                outcome_told=state.outcome_told or isinstance(notice, OutcomeNotice),
            )
        case _:  # steps, and partners' requests: what follows from them is said by other facts
            return state


def _ruled(state: Case, ruling: Dispatched | Merged | Rejected | Withdrawn) -> Case:
    match ruling:
        case Dispatched():
            return replace(
                state,
                ruling_reason=None,
                merged_into=None,
                category=ruling.category,
                area=ruling.area,
                filed_at=state.filed_at or ruling.filed_at,
            )
        case Merged():
            return replace(
                state,
                ruling_reason=None,
                merged_into=ruling.into,
                category=ruling.category or state.category,
                area=ruling.area or state.area,
            )
        case Rejected() | Withdrawn():
            return replace(state, ruling_reason=ruling.reason, merged_into=None)


def _judged(state: Case, event: Event[Any], verdict: Evaluated) -> Case:
    if int(event.sequence) <= state.standing.verdict_sequence:
        return state
    closed = verdict.verdict == "closed"
    return replace(
        state,
        verdict_reason=verdict.reason,
        outcome=verdict.outcome if closed else None,
        closed_at=event.time if closed else None,
    )


def _filed(event: Event[Any], report: NewReport) -> Filed:
    claimed = report.claimed_at if not report.time_doubtful else None
    return Filed(
        at=event.time,
        since=min(event.time, claimed) if claimed is not None else event.time,
        by=owner(report.reported_by) if report.reported_by is not None else event.actor or event.source,
        partner=report.reported_by,
        channel=report.channel,
        title=report.title,
        category=report.category,
        area=report.place.area,
        external_ref=report.external_ref,
        reporter_ref=report.reporter_ref,
        retrospective=report.retrospective,
    )
