"""A case as dispatch knows it: rulings, verdict, assignments, and what each partner was told; folded from facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never

from contracts import notice, status
from contracts.dispatch import Resolved
from contracts.envelope import AnyEvent, Event, PartnerEvent
from contracts.feedback import CaseOutcome, Evaluated, Verdict
from contracts.growing import Ids
from contracts.intake import Supplement
from contracts.progress import DispatchStep, Joined, Supplemented
from contracts.states import altered
from contracts.triage import Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn
from services.dispatch.domain.assignment import Assignment, after_end, after_step, opened


@dataclass(frozen=True)
class PartnerRecord:
    """What a partner was told about the case."""

    notices: Ids = field(default_factory=Ids)
    """The ids of the notices to it."""
    answers: int = 0
    """How many of them answer its requests."""
    involved: bool = False
    """Whether it was told of an assignment."""
    supplements: int = 0
    """How many of the case's supplements it was told."""
    closed: bool = False
    """Whether it was told that the case is closed."""


@dataclass(frozen=True)
class Case:
    """The case; empty before the first ruling."""

    ruling: Dispatched | None = None
    """The latest one that assigned work."""
    assignments: Mapping[str, Assignment] = field(default_factory=dict[str, Assignment])
    category: str | None = None
    """What the case is about, as the latest ruling that says so."""
    area: str | None = None
    """Where it is, in the same way."""
    ended_by: Literal["merged", "rejected", "withdrawn"] | None = None
    """The ruling after which there is no work to do."""
    merged_into: str | None = None
    verdict: Verdict | None = None
    outcome: CaseOutcome | None = None
    verdict_reason: str | None = None
    standing: status.Standing = field(default_factory=status.Standing)
    joined: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Cases that were merged into this one, in order -> the titles of their reports."""
    supplements: tuple[Event[Any], ...] = ()
    """The supplements to this case and to cases that were merged into it, in order."""
    partners: Mapping[str, PartnerRecord] = field(default_factory=dict[str, PartnerRecord])

    @property
    def known(self) -> bool:
        """Whether triage has ruled on it: what comes before that makes no case here."""
        return self.standing.status is not None and (self.ruling is not None or self.ended_by is not None)

    @property
    def closed(self) -> bool:
        """Whether feedback's last verdict closed it."""
        return self.verdict == "closed"

    @property
    def open_assignments(self) -> list[Assignment]:
        """The assignments that have not ended."""
        return [assignment for assignment in self.assignments.values() if assignment.end is None]

    def record_of(self, partner: str) -> PartnerRecord:
        """What that partner was told."""
        return self.partners.get(partner, PartnerRecord())


def evolve(case: Case, event: AnyEvent) -> Case:
    """The case after one more event; an event without meaning for dispatch changes nothing."""
    if isinstance(event, PartnerEvent):  # only the facts that follow from a request change anything
        return case
    standing = status.evolve(case.standing, event)
    if standing is not case.standing:
        case = altered(case, standing=standing)
    match event.data:
        case data if isinstance(data, Ruling):
            return _ruled(case, data, event.time)
        case Evaluated() as said:
            return altered(case, verdict=said.verdict, outcome=said.outcome, verdict_reason=said.reason)
        case Supplement():
            return _supplemented(case, event)
        case Resolved(assignment_id=name):
            return _changed(case, name, lambda assignment: after_end(assignment, event))
        case data if data.name == "Notice":
            return _after_notice(case, data, event.id)
        case data if isinstance(data, DispatchStep):
            return _after_step(case, data, event)
        case _:  # what became of a request or a parked record, or another's step
            return case


def _ruled(case: Case, ruling: Ruling, at: datetime) -> Case:
    match ruling:
        case Dispatched():
            assignments = {**case.assignments, **new_assignments(case, ruling, at)}
            return altered(
                case,
                ruling=ruling,
                assignments=assignments,
                category=ruling.category,
                area=ruling.area,
                ended_by=None,
                merged_into=None,
            )
        case Merged() | Rejected() | Withdrawn():
            return altered(
                case,
                category=ruling.category or case.category,
                area=ruling.area or case.area,
                ended_by=ruling.ruling,
                merged_into=ruling.into if isinstance(ruling, Merged) else None,
            )
        case Upheld():
            return case
        case _:
            assert_never(ruling)


def new_assignments(case: Case, ruling: Dispatched, at: datetime) -> dict[str, Assignment]:
    """The assignments of a ruling made at that instant, by id, without those that the case has already."""
    return {name: one for name, one in opened(ruling, at).items() if name not in case.assignments}


def _after_step(case: Case, step: DispatchStep, event: Event[Any]) -> Case:
    match step:
        case Supplemented():
            return _supplemented(case, event)
        case Joined(case_id=other, said=title):
            return altered(case, joined={**case.joined, other: title})
        case _:
            return _changed(case, step.assignment_id, lambda assignment: after_step(assignment, step, event))


def _supplemented(case: Case, event: Event[Any]) -> Case:
    return altered(case, supplements=(*case.supplements, event))


def _changed(case: Case, assignment_id: str, change: Callable[[Assignment], Assignment]) -> Case:
    assignment = case.assignments.get(assignment_id)
    if assignment is None or assignment.end is not None:
        return case
    return altered(case, assignments={**case.assignments, assignment.plan.id: change(assignment)})


def _after_notice(case: Case, told: notice.Notice, event_id: str) -> Case:
    record = case.record_of(told.to)
    record = altered(record, notices=record.notices.plus(event_id))
    match told:
        case notice.AssignmentNotice(assignment_id=name, unit=unit, to=partner):
            record = altered(record, involved=True)
            case = _changed(case, name, lambda one: altered(one, notified={**one.notified, unit: partner}))
        case notice.CancellationNotice(assignment_id=name, to=partner):
            case = _changed(case, name, lambda one: altered(one, notified=_without(one.notified, partner)))
        case notice.ClosureNotice():
            record = altered(record, closed=True)
        case notice.AcceptanceNotice() | notice.RefusalNotice():
            record = altered(record, answers=record.answers + 1)
        case notice.SupplementNotice():
            record = altered(record, supplements=record.supplements + 1)
        case (
            notice.ChangeNotice()
            | notice.UrgeNotice()
            | notice.SupervisionNotice()
            | notice.ExtensionNotice()
            | notice.ExtensionRefusalNotice()
        ):
            pass  # each follows one fact, and is not told again
        case notice.RulingNotice() | notice.OutcomeNotice():
            pass  # intake's
        case _:
            assert_never(told)
    return altered(case, partners={**case.partners, told.to: record})


def _without(notified: Mapping[str, str], partner: str) -> dict[str, str]:
    return {unit: told for unit, told in notified.items() if told != partner}
