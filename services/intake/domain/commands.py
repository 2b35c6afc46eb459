"""What may be asked about a report, by people over HTTP and by partners on their topics alike, and the rules about it.

File            -> NewReport
AddSupplement   -> Supplement    by whoever filed it, or on their behalf
Withdraw        -> Withdrawal    likewise, while nothing final has been ruled; triage rules on it
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chassis.decider import Facts, Inputs, Refused, Unknown
from contracts.fields import Attachment, Place, Point
from contracts.intake import Channel, NewReport, Supplement, Withdrawal
from contracts.reference import Partner
from contracts.request import Where
from contracts.times import Counted, counted
from services.intake.domain.case import Case, Filed

Locate = Callable[[Point | None, str | None, str | None], Place]
"""(point, address, area) -> the place. Raises a `Refused` that names the rule where there is no such area."""

_ENDED = ("closed", "rejected", "withdrawn")


@dataclass(frozen=True, slots=True)
class File:
    """Take this report in. Where it lies, and whether it is retrospective, are decided here."""

    channel: Channel
    title: str
    text: str = ""
    category: str | None = None
    place: Where = field(default_factory=Where)
    attachments: tuple[Attachment, ...] = ()
    base_records: tuple[str, ...] = ()
    external_ref: str | None = None
    reporter_ref: str | None = None
    partner: Partner | None = None
    """Whose system sends it in, where a partner's does."""


@dataclass(frozen=True, slots=True)
class AddSupplement:
    """Say more about a report. `on_behalf`: the actor may speak for whoever filed it."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    on_behalf: bool = False
    partner: Partner | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take a report back. `on_behalf`: the actor may speak for whoever filed it."""

    reason: str
    on_behalf: bool = False
    partner: Partner | None = None


Command = File | AddSupplement | Withdraw
SUPPLEMENTS = 200
"""The most supplements to one report: whoever works on it is told all of them."""


@dataclass(frozen=True)
class Commanding:
    """Decides under these limits.

    `late_after`: a report about a time further back is retrospective, if its word counts. `skew`: how far ahead of ours
    a reporter's clock may be.
    """

    locate: Locate
    late_after: timedelta
    skew: timedelta

    def counted(self, command: Command, state: Case, inputs: Inputs) -> Counted:
        """When the report or what is said about it counts from: from its arrival, unless the case is retrospective."""
        claimed, arrived = inputs.claimed, inputs.at
        believed = inputs.believed
        if isinstance(command, File):
            late = claimed is not None and arrived - claimed > self.late_after
            found = counted(claimed, arrived, skew=self.skew, believed=late and believed)
            return replace(found, doubtful=True) if late and not believed else found
        filed = state.filed
        if filed is None:
            return Counted(arrived)
        believed = believed and filed.retrospective
        return counted(claimed, arrived, skew=self.skew, earliest=filed.since, believed=believed)

    def decide(self, command: Command, state: Case, inputs: Inputs) -> Facts:
        """The facts that follow from a command. Raises `Refused`."""
        match command, state.filed:
            case File(), None:
                return [self._report(command, inputs)]
            case File(), Filed():
                raise Refused("report.once", f"case {inputs.stream} has been reported already")
            case AddSupplement() | Withdraw(), None:
                raise Unknown(f"there is no report {inputs.stream}")
            case AddSupplement(), Filed() as filed:
                own = _own(command, filed, inputs)
                if state.merged_into is None and state.status in _ENDED:
                    raise Refused("report.ended", f"the report is {state.status}; file a new one")
                if state.supplements >= SUPPLEMENTS:
                    raise Refused("supplement.limit", f"{SUPPLEMENTS} supplements were added; that is the most")
                reference = filed.reporter_ref if own else None
                return [Supplement(reporter_ref=reference, text=command.text, attachments=command.attachments)]
            case Withdraw(), Filed() as filed:
                _own(command, filed, inputs)
                if state.merged_into is not None:
                    raise Refused("report.merged", "the report is part of another case, which goes on")
                if state.status in _ENDED:
                    raise Refused("report.ended", f"the report is {state.status} already")
                if state.withdrawal_asked:
                    raise Refused("withdrawal.once", "the report has been taken back already")
                return [Withdrawal(reporter_ref=filed.reporter_ref, reason=command.reason)]

    def _report(self, command: File, inputs: Inputs) -> NewReport:
        where = command.place
        return NewReport(
            channel=command.channel,
            reporter_ref=command.reporter_ref,
            reported_by=command.partner.id if command.partner is not None else None,
            title=command.title,
            text=command.text,
            category=command.category,
            place=self.locate(where.point, where.address, where.area),
            attachments=command.attachments,
            base_records=command.base_records,
            external_ref=command.external_ref,
            # Only where the claimed time was believed is it the one that counts.
            retrospective=inputs.at == inputs.claimed and inputs.now - inputs.at > self.late_after,
        )


def _own(command: AddSupplement | Withdraw, filed: Filed, inputs: Inputs) -> bool:
    """Whether they filed the report. Raises `Refused` where they may not speak for whoever did."""
    if command.partner is not None:
        own = filed.partner == command.partner.id
    else:
        own = filed.partner is None and filed.by == inputs.actor
    if not own and not command.on_behalf:
        raise Refused("report.owner", "only whoever filed the report may do this, or an acceptor on their behalf")
    return own
