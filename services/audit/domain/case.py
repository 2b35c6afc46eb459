"""A case as the log tells it: a fold over its events in the log's order, right in any interleaving of the topics.

Within one source's stream of a case `sequence` orders what it said, whatever topic it said it on; where topics of
different sources meet, the later stage wins. Of two `Resolved` of one assignment the first in the topic's order counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from chassis.decider import Decider, never, nothing
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from contracts.wire import HOMES

Status = Literal[
    "unreported",
    "reported",
    "verifying",
    "awaiting_ruling",
    "filed",
    "dispatched",
    "acknowledged",
    "en_route",
    "on_scene",
    "fixed",
    "checking",
    "rework",
    "merged",
    "rejected",
    "withdrawn",
    "closed",
]
"""What is shown to people; `unreported`: something is known of the case, but not its report."""

Stage = Literal["dispatched", "acknowledged", "en_route", "on_scene"]
STAGES: tuple[Stage, ...] = ("dispatched", "acknowledged", "en_route", "on_scene")
"""Of an assignment, in the order in which it passes them."""

_BY_TRIAGE: Mapping[str, Status] = {
    "verifying": "verifying",
    "verified_before_filing": "filed",
    "awaiting_ruling": "awaiting_ruling",
    "escalation_failed": "awaiting_ruling",
}
_BY_FEEDBACK = frozenset({"checking", "check_overdue", "verified", "failed"})


@dataclass(frozen=True, slots=True)
class Part:
    """An assignment: how far its unit has come, and how it ended. `unit` is None until its plan is known."""

    unit: str | None = None
    lead: bool = False
    stage: int = 0
    outcome: str | None = None


@dataclass(frozen=True)
class Case:
    """What is known of a case.

    `ruling` and `checking` are where triage and feedback stand, by rulings, verdicts and steps; the sequences tell
    which of theirs is the last. `assigned_sequence` and `verdict_sequence` are those of the last ruling and verdict.
    """

    first_index: int
    last_index: int
    last_at: datetime
    events: int = 0
    reported_at: datetime | None = None
    channel: str | None = None
    title: str | None = None
    external_ref: str | None = None
    wished_category: str | None = None
    reported_area: str | None = None
    ruling: Status | None = None
    ruling_sequence: int = 0
    assigned_sequence: int = 0
    ruled_at: datetime | None = None
    filed_at: datetime | None = None
    round: int = 0
    ruled_category: str | None = None
    ruled_area: str | None = None
    priority: int | None = None
    merged_into: str | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    checking: Literal["checking", "rework", "closed"] | None = None
    checking_sequence: int = 0
    verdict_sequence: int = 0
    rework_round: int = 0
    reworks: int = 0
    outcome: str | None = None
    closed_at: datetime | None = None
    late_by_seconds: int | None = None

    @property
    def category(self) -> str | None:
        """As triage ruled, else as the reporter chose."""
        return self.ruled_category or self.wished_category

    @property
    def area(self) -> str | None:
        """As triage ruled, else as intake resolved it."""
        return self.ruled_area or self.reported_area

    @property
    def late(self) -> bool | None:
        """Whether the lead's work ended after its deadline, by the last verdict that says so; None: nobody said."""
        return None if self.late_by_seconds is None else self.late_by_seconds > 0

    @property
    def status(self) -> Status:
        """Closed goes before everything else, and its outcome says how."""
        if self.checking == "closed":
            return "closed"
        if self.ruling is None:
            return "reported" if self.reported_at is not None else "unreported"
        if self.ruling != "dispatched":
            return self.ruling
        if self.checking == "rework" and self.rework_round >= self.round:
            return "rework"
        return self._of_the_lead()

    def _of_the_lead(self) -> Status:
        leads = [(_place(name), part) for name, part in self.parts.items() if part.lead]
        if not leads:
            return "dispatched"
        (round_, _), lead = max(leads, key=lambda found: found[0])
        if lead.outcome is None:
            return STAGES[lead.stage]
        if lead.outcome != "fixed":
            return "filed"
        if self.checking == "rework" and round_ <= self.rework_round:
            return "rework"  # of a support; the lead's own work stands
        return "checking" if self.checking == "checking" else "fixed"


def evolve(case: Case | None, event: Event[Any], index: int) -> Case | None:
    """The case after the event at `index` of the log. What operators do with parked records is no part of a case."""
    kind = type(event.data)
    if kind is Progressed and event.data.step in ("retried", "discarded"):
        return case
    if case is None:
        case = Case(first_index=index, last_index=index, last_at=event.time)
    changes = _CHANGES[kind](case, event)
    changes["events"] = case.events + 1
    changes["last_index"] = index
    if event.time > case.last_at:
        changes["last_at"] = event.time
    return _changed(case, changes)


def _changed(case: Case, changes: Mapping[str, Any]) -> Case:
    """`dataclasses.replace`, ten times as fast: it is done for every record of the log."""
    new = object.__new__(Case)
    new.__dict__.update(case.__dict__)
    new.__dict__.update(changes)
    return new


def fold(events: Iterable[tuple[Event[Any], int]]) -> Case | None:
    """The case after these (event, index) in this order; None where none of them says anything of it."""
    case = None
    for event, index in events:
        case = evolve(case, event, index)
    return case


def _reported(case: Case, event: Event[Any]) -> dict[str, Any]:
    if case.reported_at is not None:
        return {}
    report: NewReport = event.data
    return {
        "reported_at": event.time,
        "channel": report.channel,
        "title": report.title,
        "external_ref": report.external_ref,
        "wished_category": report.category,
        "reported_area": report.place.area,
    }


def _ruled(case: Case, event: Event[Any]) -> dict[str, Any]:
    data, sequence = event.data, int(event.sequence)
    changes: dict[str, Any] = {}
    if event.source != HOMES["Assigned"]:
        return changes
    if sequence > case.ruling_sequence:
        changes |= {"ruling": data.ruling, "ruling_sequence": sequence}
    if isinstance(data, Dispatched):
        changes["filed_at"] = min(data.filed_at, case.filed_at) if case.filed_at else data.filed_at
        parts = dict(case.parts)
        for given in data.plan:
            parts[given.id] = replace(parts.get(given.id, Part()), unit=given.unit, lead=given.lead)
        changes["parts"] = parts
    if sequence <= case.assigned_sequence:
        return changes
    changes |= {"assigned_sequence": sequence, "ruled_at": event.time, "merged_into": None}
    match data:
        case Dispatched():
            changes |= {"round": data.round, "priority": data.priority}
            changes |= {"ruled_category": data.category, "ruled_area": data.area}
        case Merged():
            changes["merged_into"] = data.into
            changes["ruled_category"] = data.category or case.ruled_category
            changes["ruled_area"] = data.area or case.ruled_area
    return changes


def _resolved(case: Case, event: Event[Any]) -> dict[str, Any]:
    end: Resolved = event.data
    part = case.parts.get(end.assignment_id, Part())
    if part.outcome is not None:
        return {}
    return {"parts": {**case.parts, end.assignment_id: replace(part, outcome=end.outcome)}}


def _evaluated(case: Case, event: Event[Any]) -> dict[str, Any]:
    data, sequence = event.data, int(event.sequence)
    changes: dict[str, Any] = {}
    if event.source != HOMES["Evaluated"]:
        return changes
    if sequence > case.checking_sequence:
        changes |= {"checking": data.verdict, "checking_sequence": sequence}
    if data.verdict == "rework":
        changes["reworks"] = case.reworks + 1
        changes["rework_round"] = max(case.rework_round, *(_place(name)[0] for name in data.failed))
    if sequence <= case.verdict_sequence:
        return changes
    closed = data.verdict == "closed"
    changes |= {"verdict_sequence": sequence, "outcome": data.outcome if closed else None}
    changes["closed_at"] = event.time if closed else None
    if data.late_by_seconds is not None:
        changes["late_by_seconds"] = data.late_by_seconds
    return changes


def _progressed(case: Case, event: Event[Any]) -> dict[str, Any]:
    data, sequence = event.data, int(event.sequence)
    if data.step in STAGES and data.assignment_id is not None:
        part = case.parts.get(data.assignment_id, Part())
        stage = max(part.stage, STAGES.index(data.step))
        return {"parts": {**case.parts, data.assignment_id: replace(part, stage=stage)}}
    if event.source == HOMES["Assigned"] and data.step in _BY_TRIAGE and sequence > case.ruling_sequence:
        return {"ruling": _BY_TRIAGE[data.step], "ruling_sequence": sequence}
    if event.source == HOMES["Evaluated"] and data.step in _BY_FEEDBACK and sequence > case.checking_sequence:
        return {"checking": "checking", "checking_sequence": sequence}
    return {}


def _no_change(case: Case, event: Event[Any]) -> dict[str, Any]:
    """It is in the chain, but does not change where the case stands."""
    return {}


_CHANGES: Mapping[type, Callable[[Case, Event[Any]], dict[str, Any]]] = {
    NewReport: _reported,
    Supplement: _no_change,
    Withdrawal: _no_change,
    Dispatched: _ruled,
    Merged: _ruled,
    Rejected: _ruled,
    Withdrawn: _ruled,
    Resolved: _resolved,
    Evaluated: _evaluated,
    Progressed: _progressed,
}


def _place(assignment_id: str) -> tuple[int, int]:
    _, round_, number = assignment_id.split(".")
    return int(round_), int(number)


def _decides_nothing(*_: Any) -> tuple[()]:
    return ()


DECIDER: Decider[None, None] = Decider(
    initial=None,
    evolve=lambda state, _: state,
    react=_decides_nothing,
    decide=_decides_nothing,
    lapse=nothing,
    due=never,
)
"""Audit publishes nothing; the runtime asks for a decider all the same."""
