"""What people over HTTP and partners on their topics may ask about a report, and the rules for both alike.

File            -> NewReport
AddSupplement   -> Supplement    by whoever filed it, or on their behalf
Withdraw        -> Withdrawal    by whoever filed it, or on behalf of somebody on the telephone, until a final ruling;
                                 triage rules on it
Rate            -> Rating        likewise, once it is closed
Reopen          -> Reopening     likewise; it reopens nothing: people of the centre see it
Disclose        -> Disclosed     of a reference that the case bears; who it is stands in a table beside the events

The functions `may_...` hold the rules that depend only on who asks and on the report. `decide` and `actions` both ask
them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chassis.engine.decider import Facts, Inputs, NotYours, Refused, Unknown, refusal
from contracts import times
from contracts.fields import Attachment, Place, Point
from contracts.intake import PARTNER_UNITS, Channel, NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.progress import Disclosed
from contracts.reference import Partner, Policy
from contracts.request import ReportedPlace
from services.intake.domain.case import Case, Closing, Report

Locate = Callable[[Point | None, str | None, str | None], Place]
"""(point, address, area) -> the place. Without a position it raises a `Refused` if there is no such area."""

MAX_SUPPLEMENTS = 200
"""The most supplements to one report, because whoever works on it is told all of them."""
_ENDED = ("closed", "rejected", "withdrawn")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the district decides: where places are, and which claimed times count."""

    locate: Locate
    late_after: timedelta
    """A report about a time further back is retrospective, if the claimed time is believed."""
    skew: timedelta
    """How far a reporter's clock may be ahead of ours."""
    rating_days: int
    """How long after its closing a case may be rated."""
    reopen_days: int
    """How long after its closing a reporter may ask to reopen it."""

    @classmethod
    def of(cls, policy: Policy, locate: Locate) -> "Rules":
        """The rules of a policy in a territory."""
        return cls(
            locate,
            late_after=timedelta(hours=policy.retrospective_after_hours),
            skew=timedelta(seconds=policy.max_future_skew_seconds),
            rating_days=policy.rating_days,
            reopen_days=policy.reopen_days,
        )


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, beside the actor: a person for themselves unless it says otherwise."""

    partner: str | None = None
    """The partner whose system asks."""
    on_behalf: bool = False
    """Whether the actor may speak for whoever filed a report."""
    unit: str | None = None
    """The unit of a person who has one."""
    partner_units: tuple[str, ...] = ()
    """The units that the partner answers for."""

    @classmethod
    def of(cls, partner: Partner) -> "By":
        """A partner's system, over its topic or over HTTP."""
        return cls(partner.id, partner_units=partner.units)

    @property
    def units(self) -> frozenset[str]:
        """Whose work is the asker's own."""
        return frozenset(self.partner_units if self.unit is None else (self.unit, *self.partner_units))


@dataclass(frozen=True, slots=True)
class File:
    """File a report. The decision locates it and says whether it is retrospective."""

    channel: Channel
    title: str
    text: str = ""
    category: str | None = None
    place: ReportedPlace = field(default_factory=ReportedPlace)
    attachments: tuple[Attachment, ...] = ()
    base_records: tuple[str, ...] = ()
    external_ref: str | None = None
    reporter_ref: str | None = None
    by: By = By()


@dataclass(frozen=True, slots=True)
class AddSupplement:
    """Add to a report."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    by: By = By()


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Withdraw a report."""

    reason: str
    by: By = By()


@dataclass(frozen=True, slots=True)
class Rate:
    """Rate how a closed case was handled, 1 to 5."""

    rating: int
    comment: str | None = None
    by: By = By()


@dataclass(frozen=True, slots=True)
class Reopen:
    """Ask that a closed case be taken up again."""

    reason: str
    by: By = By()


@dataclass(frozen=True, slots=True)
class Disclose:
    """Read who a reference of the case stands for."""

    reporter_ref: str
    purpose: str


Command = File | AddSupplement | Withdraw | Rate | Reopen | Disclose


def counted(command: Command, state: Case, inputs: Inputs, *, rules: Rules) -> times.Counted:
    """The instant that counts: the arrival, unless the case is retrospective and the claim is believed."""
    claimed, arrived, believed = inputs.claimed, inputs.at, inputs.believed
    if isinstance(command, File):
        late = claimed is not None and arrived - claimed > rules.late_after
        found = times.counted(claimed, arrived, skew=rules.skew, believed=late and believed)
        return replace(found, doubtful=True) if late and not believed else found
    report = state.report
    if report is None:
        return times.Counted(arrived)
    believed = believed and report.retrospective
    earliest = report.earliest
    if isinstance(command, Rate | Reopen) and state.closing is not None:
        earliest = state.closing.at
    return times.counted(claimed, arrived, skew=rules.skew, earliest=earliest, believed=believed)


def decide(command: Command, state: Case, inputs: Inputs, *, rules: Rules) -> Facts:
    """The facts that follow from a command. Raises `Refused`."""
    match command:
        case File():
            if state.report is not None:
                raise Refused("report.once", f"case {inputs.stream} has a report already")
            return [_new_report(command, inputs, rules)]
        case AddSupplement(by=by):
            report = may_add_supplement(by, state, inputs)
            reference = report.reporter_ref if _filed(by, report, inputs) else None
            return [Supplement(reporter_ref=reference, text=command.text, attachments=command.attachments)]
        case Withdraw(by=by):
            report = may_withdraw(by, state, inputs)
            return [Withdrawal(reporter_ref=report.reporter_ref, reason=command.reason)]
        case Rate(by=by):
            report, closing = may_rate(by, state, inputs, rules)
            rating = Rating(
                reporter_ref=report.reporter_ref,
                verdict_id=closing.verdict_id,
                rating=command.rating,
                comment=command.comment,
                unit=by.unit,
                partner=by.partner,
                partner_units=_named(by, state),
            )
            return [rating]
        case Reopen(by=by):
            report, closing = may_reopen(by, state, inputs, rules)
            reference = report.reporter_ref
            return [Reopening(reporter_ref=reference, verdict_id=closing.verdict_id, reason=command.reason)]
        case Disclose(reporter_ref=reference, purpose=purpose):
            if state.report is None:
                raise Unknown(f"there is no report {inputs.stream}")
            if reference not in state.reporter_refs:
                raise Refused("disclosure.case", f"{reference} is not the reporter of case {inputs.stream}")
            return [Disclosed(reporter_ref=reference, purpose=purpose)]


def may_add_supplement(by: By, state: Case, inputs: Inputs) -> Report:
    """The report, if it may be added to. Raises `Refused`."""
    report = _report_of_asker(by, state, inputs)
    if state.merged_into is None and state.status in _ENDED:
        raise Refused("report.ended", f"the report is {state.status}; file a new one")
    if state.supplement_count >= MAX_SUPPLEMENTS:
        raise Refused("supplement.limit", f"a report takes {MAX_SUPPLEMENTS} supplements at most")
    return report


def may_withdraw(by: By, state: Case, inputs: Inputs) -> Report:
    """The report, if it may be withdrawn. Raises `Refused`."""
    report = _report_of_filer(by, state, inputs)
    if state.merged_into is not None:
        raise Refused("report.merged", "the report was merged into another case, which goes on")
    if state.status in _ENDED:
        raise Refused("report.ended", f"the report is {state.status} already")
    if state.withdrawal_requested:
        raise Refused("withdrawal.once", "the report has been withdrawn already")
    # Intake does not hear to whom the work is handed on, so that whoever speaks for another must have no unit at all.
    own = by.units & state.given_to if _filed(by, report, inputs) else by.units if state.given_to else ()
    if own:
        raise Refused(
            "withdrawal.separation",
            "the case has been given out: nobody withdraws what their own unit works on, and on behalf of others only"
            " who works for no unit",
        )
    return report


def may_rate(by: By, state: Case, inputs: Inputs, rules: Rules) -> tuple[Report, Closing]:
    """The report and its closing, if that may be rated. Raises `Refused`.

    Who handled the case is feedback's to know: their ratings count in no figure there.
    """
    report, closing = _closed_report_of_asker(by, state, inputs)
    if _beyond(rules.rating_days, closing, inputs):
        raise Refused("rating.late", f"the case could be rated for {rules.rating_days} days after it was closed")
    if closing.checked_by is not None and closing.checked_by == inputs.actor:
        raise Refused("rating.separation", "whoever checked the case does not rate it")
    if closing.verdict_id in state.rated:
        raise Refused("rating.once", "the case has been rated already")
    return report, closing


def may_reopen(by: By, state: Case, inputs: Inputs, rules: Rules) -> tuple[Report, Closing]:
    """The report and its closing, if its reporter may ask to reopen it. Raises `Refused`."""
    report, closing = _closed_report_of_asker(by, state, inputs)
    if _beyond(rules.reopen_days, closing, inputs):
        raise Refused(
            "reopening.late",
            f"the reopening could be asked for within {rules.reopen_days} days after the case was closed; file it anew",
        )
    if state.asks_to_reopen:
        raise Refused("reopening.once", "the reopening has been asked for already")
    return report, closing


def actions(by: By, state: Case, inputs: Inputs, rules: Rules) -> Mapping[type[Command], Refused | None]:
    """Each command that changes an existing report, and the rule that forbids it now."""
    return {
        AddSupplement: refusal(may_add_supplement, by, state, inputs),
        Withdraw: refusal(may_withdraw, by, state, inputs),
        Rate: refusal(may_rate, by, state, inputs, rules),
        Reopen: refusal(may_reopen, by, state, inputs, rules),
    }


def _new_report(command: File, inputs: Inputs, rules: Rules) -> NewReport:
    where = command.place
    return NewReport(
        channel=command.channel,
        reporter_ref=command.reporter_ref,
        reported_by=command.by.partner,
        title=command.title,
        text=command.text,
        category=command.category,
        place=rules.locate(where.point, where.address, where.area),
        attachments=command.attachments,
        base_records=command.base_records,
        external_ref=command.external_ref,
        # An earlier instant than the arrival counts only where the claim is of long ago and believed.
        retrospective=inputs.arrived is not None and inputs.at < inputs.arrived,
    )


def _report_of_asker(by: By, state: Case, inputs: Inputs) -> Report:
    """The report, if the actor filed it or may speak for whoever did. Raises `Unknown` and `Refused`."""
    report = state.report
    if report is None:
        raise Unknown(f"there is no report {inputs.stream}")
    if not by.on_behalf and not _filed(by, report, inputs):
        raise NotYours(
            "report.owner", "only whoever filed the report may do this, or an acceptor or shift leader on their behalf"
        )
    return report


def _report_of_filer(by: By, state: Case, inputs: Inputs) -> Report:
    """The same, but nobody speaks for whoever filed it for themselves."""
    report = _report_of_asker(by, state, inputs)
    if report.for_oneself and not _filed(by, report, inputs):
        raise NotYours(
            "report.owner", "whoever filed the report has a login or key of their own, and does this with it"
        )
    return report


def _closed_report_of_asker(by: By, state: Case, inputs: Inputs) -> tuple[Report, Closing]:
    """The same of a closed case, with its closing."""
    report = _report_of_filer(by, state, inputs)
    if state.merged_into is not None or state.outcome == "duplicate":
        raise Refused("report.merged", "the report was merged into another case, whose own reporter may do this")
    if state.closing is None:
        raise Refused("report.open", "the case is not closed yet")
    return report, state.closing


def _beyond(days: int, closing: Closing, inputs: Inputs) -> bool:
    """Whether these days have passed since the case was closed.

    By arrival on both sides, because in a retrospective case the closing itself may lie years back.
    """
    return inputs.now > closing.arrived_at + timedelta(days=days)


def _named(by: By, state: Case) -> tuple[str, ...]:
    """The units of the partner that a rating names, as many as it has room for: those that have the case first."""
    return tuple(sorted(by.partner_units, key=lambda unit: (unit not in state.given_to, unit)))[:PARTNER_UNITS]


def _filed(by: By, report: Report, inputs: Inputs) -> bool:
    """Whether whoever asks filed the report."""
    if by.partner is not None:
        return report.reported_by == by.partner
    return report.reported_by is None and report.filed_by == inputs.actor
