"""A case as feedback knows it, folded from facts in whatever order the topics bring them.

An end or an extension may come before the plan that names its assignment: it is kept with the assignment, and nothing
is held back. What the facts mean together is derived when it is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from contracts import status
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, Score
from contracts.fields import EARLIEST
from contracts.homes import partner_subject
from contracts.intake import Rating, Reopening
from contracts.progress import Checking, CheckOverdue, Extended, Failed, FeedbackStep, Verified
from contracts.states import altered
from contracts.status import Standing
from contracts.triage import Check, Dispatched, Merged, Rejected, Withdrawn
from services.feedback.domain.assignment import Assignment, Assignments, End, Extension


@dataclass(frozen=True, slots=True)
class Ruling:
    """What triage said the case is in one of its rounds, and when."""

    round: int
    ruled_at: datetime
    category: str
    condition: str
    priority: int
    title: str
    area: str
    filed_at: datetime
    retrospective: bool
    check: Check


@dataclass(frozen=True)
class OpenCheck:
    """The work is done and waits for its check since then; in a retrospective case since the work was done."""

    since: datetime
    due_at: datetime
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """The verdict that ended the case."""

    verdict_id: str
    """The event that says so."""
    outcome: CaseOutcome
    at: datetime
    recorded_at: datetime
    """When it was published, which is later than `at` in a case entered long after the fact."""
    reason: str | None
    checked_by: str | None
    due_at: datetime | None
    late_by_seconds: int | None
    scores: tuple[Score, ...]
    lead: str | None
    """The assignment that answered for the case when it was closed."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What whoever reported it, or somebody on their behalf, thinks of how the case was handled."""

    given: Rating
    at: datetime


@dataclass(frozen=True, slots=True)
class Requested:
    """The wish of whoever reported it that the closed case be taken up again."""

    verdict_id: str
    """The verdict that it doubts."""
    reason: str
    by: str | None
    at: datetime


@dataclass(frozen=True)
class Case:
    """Everything feedback decides and answers by."""

    rulings: tuple[Ruling, ...] = ()
    """Triage's dispatching rulings, by round."""
    category: str | None = None
    """What the case is about, as the latest ruling that says so."""
    area: str | None = None
    """Where it is, in the same way."""
    merged_into: str | None = None
    assignments: Assignments = field(default_factory=Assignments)
    reworks: int = 0
    checking: OpenCheck | None = None
    closing: Closing | None = None
    ratings: Mapping[str, Rated] = field(default_factory=dict[str, Rated])
    """Person -> rating."""
    requested: Requested | None = None
    """The latest wish to reopen the case, whatever became of the case since."""
    standing: Standing = field(default_factory=Standing)
    """What the public status follows from."""

    @property
    def ruling(self) -> Ruling | None:
        """The dispatching ruling in force: that of the newest round."""
        return self.rulings[-1] if self.rulings else None

    @property
    def reopening(self) -> Requested | None:
        """The wish to reopen the case, while the verdict that it doubts is the closing."""
        if self.requested is None or self.closing is None:
            return None
        return self.requested if self.requested.verdict_id == self.closing.verdict_id else None

    @property
    def known(self) -> bool:
        """Whether it is known as a case: not only ends and extensions are."""
        return self.ruling is not None or self.closing is not None

    @property
    def retrospective(self) -> bool:
        """Whether the case was entered long after the fact."""
        return self.ruling is not None and self.ruling.retrospective


def evolve(case: Case, event: Event[Any]) -> Case:
    """The case after an event; an event that says nothing new leaves it as it is."""
    folded, standing = _folded(case, event), status.evolve(case.standing, event)
    return folded if standing is case.standing else altered(folded, standing=standing)


def _folded(case: Case, event: Event[Any]) -> Case:
    match event.data:
        case Dispatched() as ruling:
            return _dispatched(case, ruling, event.time)
        case Merged() | Rejected() | Withdrawn() as ended:  # the verdict that follows says everything else
            return altered(
                case,
                category=ended.category or case.category,
                area=ended.area or case.area,
                merged_into=ended.into if isinstance(ended, Merged) else case.merged_into,
            )
        case Extended() as extended:
            return _extended(case, extended, event.time)
        case Resolved() as resolved:
            return _resolved(case, resolved, event.time)
        case Evaluated() as evaluated:
            return _evaluated(case, evaluated, event)
        case Rating() as given:
            rater = event.actor or event.source
            if rater in case.ratings and case.ratings[rater].given.verdict_id == given.verdict_id:
                return case  # feedback took it itself once, of which intake does not know
            return altered(case, ratings={**case.ratings, rater: Rated(given, event.time)})
        case Reopening(verdict_id=verdict_id, reason=reason):
            return altered(case, requested=Requested(verdict_id, reason, event.actor, event.time))
        case data if isinstance(data, FeedbackStep):
            return _after_step(case, data, event)
        case _:  # an upheld case goes on as it was
            return case


def _after_step(case: Case, step: FeedbackStep, event: Event[Any]) -> Case:
    match step:
        case Checking(due_at=due_at):
            return altered(case, checking=OpenCheck(_checking_since(case, event.time), due_at))
        case CheckOverdue():
            return case if case.checking is None else altered(case, checking=altered(case.checking, overdue=True))
        case Verified() | Failed():  # the verdict follows
            return case
        case _:
            assert_never(step)


def _dispatched(case: Case, ruling: Dispatched, at: datetime) -> Case:
    known = [(_assignment(case, plan.id), plan) for plan in ruling.plan]
    assignments = case.assignments.having(
        *(
            altered(one, plan=plan, round=ruling.round, because=ruling.because, dispatched_at=at)
            for one, plan in known
            if one.plan is None
        )
    )
    rulings = _with_ruling(case.rulings, ruling, at)
    area, category = rulings[-1].area, rulings[-1].category
    after = altered(case, rulings=rulings, area=area, category=category, assignments=assignments)
    # Work added while the case waits for its check makes the check wait for that work.
    return after if after.checking is None or ready(after) else altered(after, checking=None)


def _with_ruling(rulings: tuple[Ruling, ...], ruling: Dispatched, at: datetime) -> tuple[Ruling, ...]:
    if any(known.round == ruling.round for known in rulings):
        return rulings
    new = Ruling(
        round=ruling.round,
        ruled_at=at,
        category=ruling.category,
        condition=ruling.condition,
        priority=ruling.priority,
        title=ruling.title,
        area=ruling.area,
        filed_at=ruling.filed_at,
        retrospective=ruling.retrospective,
        check=ruling.check,
    )
    return tuple(sorted((*rulings, new), key=lambda one: one.round))


def _extended(case: Case, extended: Extended, at: datetime) -> Case:
    known = _assignment(case, extended.assignment_id)
    if any(one.count == extended.count for one in known.extensions):
        return case
    extensions = (*known.extensions, Extension(extended.count, at, extended.due_at))
    return _with(case, altered(known, extensions=tuple(sorted(extensions, key=lambda one: one.count))))


def _resolved(case: Case, resolved: Resolved, at: datetime) -> Case:
    known = _assignment(case, resolved.assignment_id)
    return case if known.end is not None else _with(case, altered(known, end=End(resolved, at)))


def _assignment(case: Case, assignment_id: str) -> Assignment:
    return case.assignments.get(assignment_id) or Assignment(assignment_id)


def _with(case: Case, assignment: Assignment) -> Case:
    return altered(case, assignments=case.assignments.having(assignment))


def _checking_since(case: Case, at: datetime) -> datetime:
    """From when a check that began at `at` can be made, in the times of the case."""
    return finished_at(case) if case.retrospective and done(case) else at


def _evaluated(case: Case, evaluated: Evaluated, event: Event[Any]) -> Case:
    if evaluated.verdict == "rework":
        failed = [_assignment(case, name) for name in evaluated.failed]
        marked = case.assignments.having(*(altered(one, failed_at=one.failed_at or event.time) for one in failed))
        return altered(case, checking=None, closing=None, assignments=marked, reworks=case.reworks + 1)
    if evaluated.outcome is None or case.closing is not None:
        return case
    answers = lead(case)
    closing = Closing(
        verdict_id=event.id,
        outcome=evaluated.outcome,
        at=event.time,
        recorded_at=event.recordedtime,
        reason=evaluated.reason,
        checked_by=evaluated.checked_by,
        due_at=evaluated.due_at,
        late_by_seconds=evaluated.late_by_seconds,
        scores=evaluated.scores,
        lead=answers.assignment_id if answers is not None else None,
    )
    return altered(case, checking=None, closing=closing)


def lead(case: Case) -> Assignment | None:
    """The assignment that answers for the case."""
    first = next(iter(case.assignments.current), None)
    return first if first is not None and first.lead else None


def lead_unit(case: Case) -> str | None:
    """The unit that answers for the case; once it is closed, the unit that answered for it then."""
    if case.closing is None:
        answers = lead(case)
        return answers.unit if answers is not None else None
    if case.closing.lead is None:
        return None
    answers = case.assignments[case.closing.lead]
    # `fixed` rests on the end of the lead. Any other verdict may come before that end, which then changes nothing.
    return answers.unit if case.closing.outcome == "fixed" else answers.unit_at(case.closing.at)


def spans(case: Case) -> Iterator[tuple[Ruling, datetime, datetime | None]]:
    """The rulings, latest round first, each with when it came into force and when no longer; None: still in force.

    At every instant one ruling is in force: that of the latest round that had been ruled by then. The first ruling is
    in force before it was made, too, because work may have ended before, in a case entered long after the fact or by a
    clock that runs behind.
    """
    until = None
    for place, ruling in reversed([*enumerate(case.rulings)]):
        since = ruling.ruled_at if place > 0 else EARLIEST
        yield ruling, since, until
        until = since if until is None else min(since, until)


def done(case: Case) -> Sequence[tuple[Assignment, End]]:
    """The work that is the case's outcome: what is fixed, with how it ended; leads first."""
    return case.assignments.done


def lead_done(case: Case) -> tuple[Assignment, End] | None:
    """The lead and its end, once that is fixed."""
    first = next(iter(done(case)), None)
    return first if first is not None and first[0].lead else None


def cancelled(case: Case) -> list[Assignment]:
    """The assignments that were cancelled and taken over by no other."""
    current = case.assignments.current
    return [one for one in current if one.end is not None and one.end.resolved.outcome == "cancelled"]


def ready(case: Case) -> bool:
    """Whether the work is done: every assignment has ended, what came back was given out anew, the lead is fixed."""
    gone = case.assignments.replaced
    for name, one in case.assignments.items():
        if one.plan is None:
            continue
        if one.end is None:
            return False
        came_back = one.end.resolved.outcome == "returned" or one.failed_at is not None
        if came_back and name not in gone:
            return False
    return lead_done(case) is not None


def finished_at(case: Case) -> datetime:
    """When the last of the work that counts ended; of a case that is `ready`."""
    return max(end.at for _, end in done(case))


def last_known_at(case: Case) -> datetime | None:
    """The latest instant that is known of the work on a case; None of a case that was never filed."""
    if case.ruling is None:
        return None
    known = [(one.end.at if one.end is not None else None, one.failed_at) for one in case.assignments.values()]
    return max([case.ruling.filed_at, *(at for pair in known for at in pair if at is not None)])


def given_at(case: Case, assignment: Assignment) -> datetime:
    """When the unit got a planned assignment. In a retrospective case: when the case was filed, or, if it took over
    from another assignment, when that one ended.
    """
    assert assignment.plan is not None
    assert assignment.dispatched_at is not None
    if case.ruling is None or not case.ruling.retrospective:
        return assignment.dispatched_at
    if assignment.round == 1:
        return case.ruling.filed_at
    before = case.assignments.get(assignment.plan.replaces) if assignment.plan.replaces is not None else None
    return before.end.at if before is not None and before.end is not None else assignment.dispatched_at


def handlers(case: Case) -> frozenset[str]:
    """Everybody who acted on the case, in any of its rounds."""
    return frozenset(who for end in _ends(case) for who in end.resolved.handled_by)


def handling_units(case: Case) -> frozenset[str]:
    """The units that did, or began, some of the work."""
    return frozenset(
        end.resolved.unit for end in _ends(case) if end.resolved.outcome == "fixed" or end.resolved.handled_by
    )


def counts(case: Case, rater: str, given: Rating) -> bool:
    """Whether a rating counts: not if whoever gave it, their unit, or their partner or one of its units handled the
    case.
    """
    handled, units = handlers(case), handling_units(case)
    if rater in handled or given.unit in units or not units.isdisjoint(given.partner_units):
        return False
    if given.partner is None:
        return True
    itself, its_people = partner_subject(given.partner), f"{given.partner}:"
    return not any(who == itself or who.startswith(its_people) for who in handled)


def units_of(case: Case) -> frozenset[str]:
    """The units that were given some of the work, or had it in the end."""
    return frozenset(
        unit for one in case.assignments.values() if one.plan is not None for unit in (one.plan.unit, one.unit)
    )


def units_at_work(case: Case) -> frozenset[str]:
    """Those of them that work on the case or did: not those that returned the work, or for which it was cancelled."""
    return frozenset(
        one.unit
        for one in case.assignments.values()
        if one.plan is not None and (one.end is None or one.end.resolved.outcome == "fixed")
    )


def _ends(case: Case) -> list[End]:
    return [one.end for one in case.assignments.values() if one.end is not None]
