"""Intake's rules: what may be said about a report and by whom, and what became of it. Pure.

File            -> NewReport
AddSupplement   -> Supplement    by whoever filed it, or on their behalf
Withdraw        -> Withdrawal    likewise, while nothing final has been ruled; triage rules on it

What partners say on ReportFiled is only remembered, as are triage's rulings and feedback's verdicts. Within a topic the
order counts, between topics it does not.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from chassis.decider import Decider, Early, Facts, Inputs, Refused, Unfit, Unknown, never, nothing
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, Verdict
from contracts.fields import Attachment
from contracts.intake import Channel, NewReport, Supplement, Withdrawal
from contracts.reference import Policy
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn

Status = Literal["reported", "dispatched", "rework", "closed", "merged", "rejected", "withdrawn"]
Ruling = Literal["dispatched", "merged", "rejected", "withdrawn"]


@dataclass(frozen=True, slots=True)
class File:
    """Take this report in; whether it is retrospective is decided here."""

    report: NewReport


@dataclass(frozen=True, slots=True)
class AddSupplement:
    """Say more about a report. `on_behalf`: the actor may speak for whoever filed it."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    on_behalf: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take a report back. `on_behalf`: the actor may speak for whoever filed it."""

    reason: str
    on_behalf: bool = False


Command = File | AddSupplement | Withdraw


@dataclass(frozen=True, slots=True)
class Filed:
    """What is kept of a report beside its event."""

    at: datetime
    by: str
    """The actor; for a partner's own event `partner:<name>`, as it is for what the partner sends over HTTP."""
    source: str
    channel: Channel
    title: str
    category: str | None
    area: str | None
    external_ref: str | None
    reporter_ref: str | None
    retrospective: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A report and what became of it. `failed`, `replaced`: assignments whose work failed the check, was taken over."""

    filed: Filed | None = None
    supplements: int = 0
    withdrawal_asked: bool = False
    ruling: Ruling | None = None
    ruling_reason: str | None = None
    merged_into: str | None = None
    category: str | None = None
    area: str | None = None
    filed_at: datetime | None = None
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    outcome: CaseOutcome | None = None
    closed_at: datetime | None = None
    failed: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()

    @property
    def status(self) -> Status:
        """Of this report alone; one that was merged speaks through the case it was merged into."""
        if self.ruling in ("merged", "rejected", "withdrawn"):
            return self.ruling
        if self.verdict == "closed":
            return "closed"
        if self.failed - self.replaced:
            return "rework"
        return "dispatched" if self.ruling == "dispatched" else "reported"

    @property
    def reason(self) -> str | None:
        """Why it ended as it did, in words, where somebody said so."""
        return self.verdict_reason or self.ruling_reason


def decider(policy: Policy) -> Decider[Command, Case]:
    """Intake's domain under a policy."""
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=partial(react, skew=timedelta(seconds=policy.max_future_skew_seconds)),
        decide=partial(decide, late_after=timedelta(hours=policy.retrospective_after_hours)),
        lapse=nothing,
        due=never,
    )
    return found


def decide(command: Command, state: Case, inputs: Inputs, *, late_after: timedelta) -> Facts:
    """The facts that follow from a command. `late_after`: a report about a time further back is retrospective."""
    match command, state.filed:
        case File(report), None:
            return [report.model_copy(update={"retrospective": inputs.now - inputs.at > late_after})]
        case File(), Filed():
            raise Refused("report.once", f"case {inputs.stream} has been reported already")
        case AddSupplement() | Withdraw(), None:
            raise Unknown(f"there is no report {inputs.stream}")
        case AddSupplement(text, attachments, on_behalf), Filed() as filed:
            own = _own(filed, inputs, on_behalf)
            if state.status in ("closed", "rejected", "withdrawn"):
                raise Refused("report.ended", f"the report is {state.status}; file a new one")
            return [
                Supplement(reporter_ref=filed.reporter_ref if own else None, text=text, attachments=attachments),
            ]
        case Withdraw(reason, on_behalf), Filed() as filed:
            _own(filed, inputs, on_behalf)
            if state.status == "merged":
                raise Refused("report.merged", f"the report is part of case {state.merged_into}, which goes on")
            if state.status in ("closed", "rejected", "withdrawn"):
                raise Refused("report.ended", f"the report is {state.status} already")
            if state.withdrawal_asked:
                raise Refused("withdrawal.once", "the report has been taken back already")
            return [Withdrawal(reporter_ref=filed.reporter_ref, reason=reason)]


def react(event: Event[Any], state: Case, inputs: Inputs, *, skew: timedelta) -> Facts | Early | Unfit:
    """Nothing follows from what others say; what cannot be is held or parked. `skew`: how far ahead a clock may be."""
    match event.data:
        case NewReport() if event.time > inputs.now + skew:
            return Unfit(f"time: {event.time.isoformat()} lies in the future")
        case Supplement() | Withdrawal() if state.filed is None:
            return Early("no report of this case has come yet")
        case Withdrawal() if state.filed is not None and _owner(event) != state.filed.by:
            return Unfit(f"source: {event.source} did not file this report")
        case (
            NewReport() | Supplement() | Withdrawal() | Dispatched() | Merged() | Rejected() | Withdrawn() | Evaluated()
        ):
            return ()
    return Unfit(f"type: intake does not read {event.type}")


def evolve(state: Case, event: Event[Any]) -> Case:
    """The case after an event, whatever came before it."""
    match event.data:
        case NewReport() as report:
            return state if state.filed else replace(state, filed=_filed(event, report))
        case Supplement():
            return replace(state, supplements=state.supplements + 1)
        case Withdrawal():
            return replace(state, withdrawal_asked=True)
        case Dispatched() as ruled:
            return replace(
                _ruled(state, "dispatched", None),
                category=ruled.category,
                area=ruled.area,
                filed_at=state.filed_at or ruled.filed_at,
                replaced=state.replaced | {each.replaces for each in ruled.plan if each.replaces},
            )
        case Merged() as ruled:
            return replace(
                _ruled(state, "merged", None),
                merged_into=ruled.into,
                category=ruled.category or state.category,
                area=ruled.area or state.area,
            )
        case Rejected(reason=reason):
            return _ruled(state, "rejected", reason)
        case Withdrawn(reason=reason):
            return _ruled(state, "withdrawn", reason)
        case Evaluated() as said:
            closed = said.verdict == "closed"
            return replace(
                state,
                verdict=said.verdict,
                verdict_reason=said.reason,
                outcome=said.outcome if closed else None,
                closed_at=event.time if closed else None,
                failed=state.failed.union(said.failed),
            )
        case _:  # steps, and facts of other topics: they change nothing that a reporter hears
            return state


def _ruled(state: Case, ruling: Ruling, reason: str | None) -> Case:
    return replace(state, ruling=ruling, ruling_reason=reason, merged_into=None)


def _filed(event: Event[Any], report: NewReport) -> Filed:
    return Filed(
        at=event.time,
        by=_owner(event),
        source=event.source,
        channel=report.channel,
        title=report.title,
        category=report.category,
        area=report.place.area,
        external_ref=report.external_ref,
        reporter_ref=report.reporter_ref,
        retrospective=report.retrospective,
    )


def _owner(event: Event[Any]) -> str:
    if event.source.startswith("/partners/"):
        return partner_owner(event.source)
    return event.actor or event.source


def partner_owner(source: str) -> str:
    """Who a partner's reports belong to, in the same words whether they came by topic or over HTTP."""
    return f"partner:{source.removeprefix('/partners/')}"


def _own(filed: Filed, inputs: Inputs, on_behalf: bool) -> bool:
    """Whether the actor filed the report. Raises `Refused` where the actor may not speak for whoever did."""
    own = inputs.actor == filed.by
    if not own and not on_behalf:
        raise Refused("report.owner", "only whoever filed the report may do this, or an acceptor on their behalf")
    return own
