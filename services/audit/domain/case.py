"""A case as the log knows it: a fold over its facts in the log's order, right in any interleaving of the topics.

contracts.status says where the case stands; here is what else its row holds. Within one source's stream of a case
`sequence` orders the facts, whatever topic they are on. Requests of partners and notices to them are in the chain of a
case, but change nothing here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard, assert_never

from contracts import status
from contracts.dispatch import Resolved
from contracts.envelope import AnyEvent, Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport
from contracts.progress import Acknowledged, AwaitingRuling, Discarded, Forged, HandedOn, Retried, Verifying
from contracts.states import altered
from contracts.status import Standing, Status
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from contracts.wire import TOPICS


@dataclass(frozen=True)
class Case:
    """What is known of it. `ruling_sequence` and `verdict_sequence` are those of the latest ruling and verdict."""

    first_index: int
    last_index: int
    last_at: datetime
    events: int = 0
    standing: Standing = field(default_factory=Standing)
    reported_at: datetime | None = None
    channel: str | None = None
    title: str | None = None
    external_ref: str | None = None
    reported_category: str | None = None
    reported_area: str | None = None
    found_category: str | None = None
    found_area: str | None = None
    ruling_sequence: int = 0
    ruled_at: datetime | None = None
    filed_at: datetime | None = None
    ruled_category: str | None = None
    ruled_area: str | None = None
    priority: int | None = None
    merged_into: str | None = None
    units: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Assignment -> its unit, and the sequence of dispatch's fact that says so; 0: triage's plan says so."""
    verdict_sequence: int = 0
    reworks: int = 0
    outcome: str | None = None
    closed_at: datetime | None = None
    late_by_seconds: int | None = None

    @property
    def status(self) -> Status | None:
        """None while neither the report nor a ruling or verdict is known."""
        return self.standing.status

    @property
    def ruling(self) -> Status | None:
        """Where triage stands; a case that awaits its first ruling is only reported."""
        awaited = self.standing.ruling == "filed" and not self.standing.filed
        return "reported" if awaited else self.standing.ruling

    @property
    def category(self) -> str | None:
        """As triage ruled, else as it found before it ruled, else as the reporter chose."""
        return self.ruled_category or self.found_category or self.reported_category

    @property
    def area(self) -> str | None:
        """As triage ruled, else as it found before it ruled, else as intake resolved it."""
        return self.ruled_area or self.found_area or self.reported_area

    @property
    def late(self) -> bool | None:
        """Whether the lead ended after its deadline, by the latest verdict that says so; None: no verdict says so."""
        return None if self.late_by_seconds is None else self.late_by_seconds > 0


Changes = dict[str, Any]
"""Field of `Case` -> its new value."""


def is_case_fact(event: AnyEvent) -> TypeGuard[Event[Any]]:
    """Whether an event is a fact of a case, which what is said of a record, parked or forged, is not."""
    return event.data.name in TOPICS and not isinstance(event.data, Retried | Discarded | Forged)


def evolve(case: Case | None, event: AnyEvent, index: int) -> Case | None:
    """The case after the event at `index` of the log."""
    if not is_case_fact(event):
        return case
    if case is None:
        case = Case(first_index=index, last_index=index, last_at=event.time)
    fact: Fact = event.data
    change = _CHANGES.get(type(fact))
    changes = change(case, event) if change is not None else {}
    changes["standing"] = status.evolve(case.standing, event)
    changes["events"] = case.events + 1
    changes["last_index"] = index
    changes["last_at"] = max(case.last_at, event.time)
    return altered(case, **changes)


def fold(events: Iterable[tuple[AnyEvent, int]]) -> Case | None:
    """The case after these (event, index), in this order; None if none of them is a fact of it."""
    case = None
    for event, index in events:
        case = evolve(case, event, index)
    return case


def _reported(case: Case, event: Event[Any]) -> Changes:
    if case.reported_at is not None:
        return {}
    report: NewReport = event.data
    return {
        "reported_at": event.time,
        "channel": report.channel,
        "title": report.title,
        "external_ref": report.external_ref,
        "reported_category": report.category,
        "reported_area": report.place.area,
    }


def _found(case: Case, event: Event[Any]) -> Changes:
    step: Verifying | AwaitingRuling = event.data
    return {"found_category": step.category or case.found_category, "found_area": step.area or case.found_area}


def _ruled(case: Case, event: Event[Any]) -> Changes:
    data: Dispatched | Merged | Rejected | Withdrawn = event.data
    sequence = int(event.sequence)
    changes: Changes = {}
    if isinstance(data, Dispatched):
        changes["filed_at"] = min(data.filed_at, case.filed_at) if case.filed_at else data.filed_at
        changes["units"] = {**{assignment.id: (assignment.unit, 0) for assignment in data.plan}, **case.units}
    if sequence <= case.ruling_sequence:
        return changes
    changes |= {"ruling_sequence": sequence, "ruled_at": event.time}
    changes["merged_into"] = data.into if isinstance(data, Merged) else None
    match data:
        case Dispatched():
            changes |= {"priority": data.priority, "ruled_category": data.category, "ruled_area": data.area}
        case Merged() | Rejected() | Withdrawn():
            changes["ruled_category"] = data.category or case.ruled_category
            changes["ruled_area"] = data.area or case.ruled_area
        case _:
            assert_never(data)
    return changes


def _unit_named(case: Case, event: Event[Any]) -> Changes:
    data, sequence = event.data, int(event.sequence)
    _, known = case.units.get(data.assignment_id, ("", 0))
    if sequence <= known:
        return {}
    return {"units": {**case.units, data.assignment_id: (data.unit, sequence)}}


def _evaluated(case: Case, event: Event[Any]) -> Changes:
    data, sequence = event.data, int(event.sequence)
    changes: Changes = {}
    if data.verdict == "rework":
        changes["reworks"] = case.reworks + 1
    if sequence <= case.verdict_sequence:
        return changes
    closed = data.verdict == "closed"
    changes |= {"verdict_sequence": sequence, "outcome": data.outcome if closed else None}
    changes["closed_at"] = event.time if closed else None
    if data.late_by_seconds is not None:
        changes["late_by_seconds"] = data.late_by_seconds
    return changes


_CHANGES: Mapping[type, Callable[[Case, Event[Any]], Changes]] = {
    NewReport: _reported,
    Verifying: _found,
    AwaitingRuling: _found,
    Dispatched: _ruled,
    Merged: _ruled,
    Rejected: _ruled,
    Withdrawn: _ruled,
    Acknowledged: _unit_named,
    HandedOn: _unit_named,
    Resolved: _unit_named,
    Evaluated: _evaluated,
}
"""Fact -> what it changes beside the standing. Other facts change nothing: an upheld case keeps its ruling."""
