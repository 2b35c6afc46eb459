"""A report as intake knows it, and what became of it: folded from intake's own facts, rulings and verdicts.

The order of the facts of one topic matters, the order between topics does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from contracts import status
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated
from contracts.growing import Ids
from contracts.homes import partner_subject
from contracts.intake import Channel, NewReport, Rating, Reopening, Said, Supplement, Withdrawal
from contracts.notice import AcceptanceNotice, OutcomeNotice, RefusalNotice, RulingNotice
from contracts.states import altered
from contracts.triage import Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn


@dataclass(frozen=True, slots=True)
class Report:
    """What the state keeps of a report; its words stay in its event."""

    reported_at: datetime
    earliest: datetime
    """The earliest instant that later facts may claim: `reported_at`, or when the reporter claims to have seen it."""
    filed_by: str
    """Who owns the report: the person who filed it, or `partner:<id>`."""
    reported_by: str | None
    """The partner whose system filed it."""
    channel: Channel
    title: str
    category: str | None
    area: str | None
    external_ref: str | None
    reporter_ref: str | None
    retrospective: bool

    @property
    def for_oneself(self) -> bool:
        """Whether whoever filed it did so with a login or key of their own, not for somebody on the telephone."""
        return self.filed_by == self.reporter_ref or self.reported_by is not None or self.channel == "handset"


@dataclass(frozen=True, slots=True)
class Closing:
    """The verdict that closed the case."""

    verdict_id: str
    at: datetime
    arrived_at: datetime
    """When it was published, which is later than `at` in a case entered long after the fact."""
    checked_by: str | None


@dataclass(frozen=True)
class Case:
    """A report and what became of it."""

    report: Report | None = None
    supplement_count: int = 0
    withdrawal_requested: bool = False
    given_to: frozenset[str] = frozenset()
    """The units that triage gave the work to in any round, and those above them, to which it is offered on."""
    upheld_reason: str | None = None
    """Why the case goes on although its report was withdrawn."""
    ruling_reason: str | None = None
    merged_into: str | None = None
    category: str | None = None
    area: str | None = None
    filed_at: datetime | None = None
    verdict_reason: str | None = None
    outcome: CaseOutcome | None = None
    closing: Closing | None = None
    """None while the case is open."""
    rating: int | None = None
    """The latest."""
    rated: frozenset[str] = frozenset()
    """The verdicts that were rated."""
    reopening_requested: frozenset[str] = frozenset()
    """The verdicts after which the reporter asked to reopen the case."""
    reporter_refs: frozenset[str] = frozenset()
    """The references that the report, its supplements and its withdrawal bear."""
    standing: status.Standing = field(default_factory=status.Standing)
    notices: Mapping[str, Ids] = field(default_factory=dict[str, Ids])
    """Partner -> the ids of intake's notices to it on this case."""
    outcome_told: bool = False
    """Whether the partner that filed the report has been told the outcome."""

    @property
    def partner(self) -> str | None:
        """The partner that filed the report."""
        return self.report.reported_by if self.report is not None else None

    @property
    def status(self) -> status.Status:
        """Of this report alone; for a merged report, readers show the status of the case it was merged into."""
        return self.standing.status or "reported"

    @property
    def asks_to_reopen(self) -> bool:
        """Whether the reporter asked to reopen the case after the verdict in force; a later verdict answers that."""
        return self.closing is not None and self.closing.verdict_id in self.reopening_requested

    @property
    def closed_at(self) -> datetime | None:
        """The time of the verdict that closed it."""
        return self.closing.at if self.closing is not None else None

    @property
    def reason(self) -> str | None:
        """Why it ended as it did, if somebody gave a reason."""
        return self.verdict_reason or self.ruling_reason


def supersedes(event: Event[Any], state: Case) -> bool:
    """Whether a ruling is later than all rulings known so far."""
    return int(event.sequence) > state.standing.ruling_sequence


def evolve(state: Case, event: Event[Any]) -> Case:
    """The case after an event, in whatever order the topics bring their events."""
    changed, standing = _changed(state, event), status.evolve(state.standing, event)
    return changed if standing is state.standing else altered(changed, standing=standing)


def _changed(state: Case, event: Event[Any]) -> Case:
    match event.data:
        case data if isinstance(data, Said):
            return _after_report(state, data, event)
        case data if isinstance(data, Ruling):
            return _ruled(state, data, event)
        case Evaluated() as verdict:
            return _evaluated(state, event, verdict)
        case RulingNotice() | OutcomeNotice() | AcceptanceNotice() | RefusalNotice() as notice:
            ids = state.notices.get(notice.to, Ids())
            return altered(
                state,
                notices={**state.notices, notice.to: ids.plus(event.id)},
                outcome_told=state.outcome_told or isinstance(notice, OutcomeNotice),
            )
        case _:  # steps and partners' requests: other facts say what follows from them
            return state


def _after_report(state: Case, said: Said, event: Event[Any]) -> Case:
    if said.reporter_ref is not None:
        state = altered(state, reporter_refs=state.reporter_refs | {said.reporter_ref})
    match said:
        case NewReport():
            return state if state.report else altered(state, report=_report(event, said))
        case Supplement():
            return altered(state, supplement_count=state.supplement_count + 1)
        case Withdrawal():
            return altered(state, withdrawal_requested=True)
        case Rating():
            return altered(state, rating=said.rating, rated=state.rated | {said.verdict_id})
        case Reopening():
            return altered(state, reopening_requested=state.reopening_requested | {said.verdict_id})
        case _:
            assert_never(said)


def _ruled(state: Case, ruling: Ruling, event: Event[Any]) -> Case:
    if isinstance(ruling, Upheld):  # whatever was ruled later
        return altered(state, upheld_reason=ruling.reason)
    if isinstance(ruling, Dispatched):
        state = altered(state, given_to=state.given_to.union(*((one.unit, *one.escalated_to) for one in ruling.plan)))
    if not supersedes(event, state):
        return state
    match ruling:
        case Dispatched():
            return altered(
                state,
                ruling_reason=None,
                merged_into=None,
                category=ruling.category,
                area=ruling.area,
                filed_at=state.filed_at or ruling.filed_at,
            )
        case Merged() | Rejected() | Withdrawn():
            return altered(
                state,
                ruling_reason=None if isinstance(ruling, Merged) else ruling.reason,
                merged_into=ruling.into if isinstance(ruling, Merged) else None,
                category=ruling.category or state.category,
                area=ruling.area or state.area,
            )
        case _:
            assert_never(ruling)


def _evaluated(state: Case, event: Event[Any], verdict: Evaluated) -> Case:
    if int(event.sequence) <= state.standing.verdict_sequence:
        return state
    closed = verdict.verdict == "closed"
    return altered(
        state,
        verdict_reason=verdict.reason,
        outcome=verdict.outcome if closed else None,
        closing=Closing(event.id, event.time, event.recordedtime, verdict.checked_by) if closed else None,
    )


def _report(event: Event[Any], report: NewReport) -> Report:
    claimed = report.claimed_at if not report.time_doubtful else None
    partner = report.reported_by
    return Report(
        reported_at=event.time,
        earliest=min(event.time, claimed) if claimed is not None else event.time,
        filed_by=partner_subject(partner) if partner is not None else event.actor or event.source,
        reported_by=partner,
        channel=report.channel,
        title=report.title,
        category=report.category,
        area=report.place.area,
        external_ref=report.external_ref,
        reporter_ref=report.reporter_ref,
        retrospective=report.retrospective,
    )
