"""What feedback publishes: in answer to commands, to facts, and to the time that passes.

A case ends by exactly one verdict `closed`, and the first to be reached stands: what comes after it changes nothing.
So where a reporter withdraws while the last unit reports its work as done, and no person checks, what is heard first
decides.
Who handled a case neither checks nor closes nor rates it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chassis.decider import Decider, Facts, Inputs, Refused, Unknown
from contracts import times
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, outcome_of
from contracts.fields import Attachment, lies_in
from contracts.progress import Checking, CheckOverdue, Failed, Rated, Verified
from contracts.reference import Policy
from contracts.times import Counted
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from services.feedback.domain.case import (
    Case,
    Filing,
    deadline,
    done,
    evolve,
    finished_at,
    handlers,
    handling_units,
    last_known_at,
    late_by_seconds,
    lead,
    lead_done,
    ready,
)
from services.feedback.domain.formulas import CHECK_RULE, doubt, scores


@dataclass(frozen=True, slots=True)
class Person:
    """Who gives a command, as far as rules ask: no areas means everywhere."""

    subject: str
    unit: str | None = None
    areas: tuple[str, ...] = ()
    evaluator: bool = False


@dataclass(frozen=True, slots=True)
class PassCheck:
    """The check found the work done."""

    by: Person
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class FailCheck:
    """The check found these assignments' work wanting; none named: the lead's."""

    by: Person
    reason: str
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForceClose:
    """The shift leader ends a case that cannot end by a check."""

    by: Person
    reason: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A reporter's satisfaction, 1 to 5."""

    by: Person
    rating: int
    comment: str | None = None


Command = PassCheck | FailCheck | ForceClose | Rate


def decider(policy: Policy) -> Decider[Command, Case]:
    """Feedback's decider under a policy."""
    return Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=partial(decide, policy=policy),
        lapse=lapse,
        due=due,
        counted=partial(counted, policy=policy),
    )


def react(event: Event[Any], case: Case, _: Inputs) -> Facts:
    """What follows from triage's rulings and from the ends of assignments; `case` is as it was before the event."""
    if case.closing is not None:
        return ()
    match event.data:
        case Dispatched() | Resolved():
            return _examine(evolve(case, event))
        case Merged() | Rejected() | Withdrawn() as ruling:
            outcome, reason = outcome_of(ruling)
            # Nothing is measured, for ends of work may still be on their way.
            return (Evaluated(verdict="closed", outcome=outcome, reason=reason, reworks=case.reworks),)
        case _:  # the case goes on as it was: a withdrawal not followed, an extension
            return ()


def counted(command: Command, case: Case, inputs: Inputs, *, policy: Policy) -> Counted:
    """Which instant counts for a command: its arrival, and only in a retrospective case what was claimed."""
    return times.counted(
        inputs.claimed,
        inputs.at,
        skew=timedelta(seconds=policy.max_future_skew_seconds),
        earliest=_follows(command, case),
        believed=inputs.believed and case.filing is not None and case.filing.retrospective,
    )


def _follows(command: Command, case: Case) -> datetime | None:
    """When that happened which the command follows: a rating the closing, all else the check's begin or the work."""
    if isinstance(command, Rate):
        return case.closing.at if case.closing is not None else None
    return case.checking.since if case.checking is not None else last_known_at(case)


def decide(command: Command, case: Case, inputs: Inputs, *, policy: Policy) -> Facts:
    """What a person's command leads to. Raises `Refused` with the rule that forbids it."""
    match command:
        case PassCheck():
            return _pass_check(command, case, _filed(case, inputs))
        case FailCheck():
            return _fail_check(command, case, _filed(case, inputs))
        case ForceClose():
            return _force_close(command, case, _filed(case, inputs))
        case Rate():
            return _rate(command, case, inputs, timedelta(days=policy.rating_days))


def due(case: Case) -> datetime | None:
    """When the check is overdue; never for a retrospective entry, whose deadlines raise no alarm."""
    if case.checking is None or case.checking.overdue or case.filing is None or case.filing.retrospective:
        return None
    return case.checking.due_at


def lapse(case: Case, inputs: Inputs) -> Facts:
    """An overdue check is told once."""
    due_at = due(case)
    if due_at is None or due_at > inputs.now:
        return ()
    return (CheckOverdue(due_at=due_at),)


def _examine(case: Case) -> Facts:
    """Once the work is done: its check by rule, or its place in the queue."""
    if case.filing is None or case.checking is not None or not ready(case):
        return ()
    check = case.filing.check
    against = None
    if check.method == "rule":
        against = doubt(case)
        if against is None:
            rule = f"rule:{CHECK_RULE.id}"
            return (Verified(rule=rule), _closed(case, "fixed", checked_by=rule))
    due_at = finished_at(case) + timedelta(minutes=check.within_minutes)
    return (Checking(due_at=due_at, reason=against),)


def _closed(case: Case, outcome: CaseOutcome, *, reason: str | None = None, checked_by: str | None = None) -> Evaluated:
    task, finished = lead(case), lead_done(case)
    return Evaluated(
        verdict="closed",
        outcome=outcome,
        reason=reason,
        checked_by=checked_by,
        due_at=deadline(case, task) if task is not None else None,
        late_by_seconds=late_by_seconds(case, finished[0]) if finished is not None else None,
        reworks=case.reworks,
        scores=scores(case),
    )


def _filed(case: Case, inputs: Inputs) -> Filing:
    if case.filing is not None:
        return case.filing
    if case.closing is not None:
        raise Refused("case.closed", f"the case was closed as {case.closing.outcome} without being filed")
    raise Unknown(f"no case {inputs.stream} has been dispatched")


def _pass_check(command: PassCheck, case: Case, filing: Filing) -> Facts:
    _refuse_checker(command.by, case, filing)
    return (
        Verified(note=command.note, evidence=command.evidence),
        _closed(case, "fixed", checked_by=command.by.subject),
    )


def _fail_check(command: FailCheck, case: Case, filing: Filing) -> Facts:
    _refuse_checker(command.by, case, filing)
    return (
        Failed(reason=command.reason, note=command.note, evidence=command.evidence),
        Evaluated(
            verdict="rework",
            reason=command.reason,
            failed=_failed(command, case),
            checked_by=command.by.subject,
            reworks=case.reworks + 1,
        ),
    )


def _failed(command: FailCheck, case: Case) -> tuple[str, ...]:
    tasks = {task.assignment.id: task for task, _ in done(case)}
    if not command.failed:
        return tuple(name for name, task in tasks.items() if task.assignment.lead)
    strangers = sorted(set(command.failed) - tasks.keys())
    if strangers:
        raise Refused("check.failed", f"{strangers[0]} is not an assignment whose work counts for this case now")
    return tuple(sorted(set(command.failed)))


def _force_close(command: ForceClose, case: Case, filing: Filing) -> Facts:
    _refuse_closed(case)
    _refuse_elsewhere("closing.area", command.by, filing)
    _refuse_handler("closing.separation", command.by, case, "closes")
    return (_closed(case, "forced", reason=command.reason),)


def _rate(command: Rate, case: Case, inputs: Inputs, window: timedelta) -> Facts:
    if case.merged_into is not None:
        raise Refused("rating.merged", f"the report was merged: rate case {case.merged_into}")
    if case.closing is None:
        if case == Case():
            raise Unknown(f"there is no case {inputs.stream}")
        raise Refused("rating.open", "the case is not closed yet")
    # By arrival on both sides: in a retrospective case the closing's own time may lie years back.
    if inputs.now > case.closing.recorded_at + window:
        raise Refused("rating.late", f"the case could be rated for {window.days} days after it was closed")
    _refuse_handler("rating.separation", command.by, case, "rates")
    if command.by.subject == case.closing.checked_by:
        raise Refused("rating.separation", "whoever checked the case does not rate it")
    if command.by.subject in case.ratings:
        raise Refused("rating.once", "this person has rated the case already")
    return (Rated(rating=command.rating, comment=command.comment),)


def _refuse_checker(by: Person, case: Case, filing: Filing) -> None:
    _refuse_closed(case)
    if case.checking is None:
        raise Refused("check.not_ready", "the work on the case is not done, there is nothing to check yet")
    if filing.check.method == "call_back" and not by.evaluator:
        raise Refused("check.by", f"the check is a call back, to be made by {filing.check.by}: it takes an evaluator")
    _refuse_elsewhere("check.area", by, filing)
    _refuse_handler("check.separation", by, case, "checks")


def _refuse_closed(case: Case) -> None:
    if case.closing is not None:
        raise Refused("case.closed", f"the case was closed as {case.closing.outcome}")


def _refuse_elsewhere(rule: str, by: Person, filing: Filing) -> None:
    if by.areas and not any(lies_in(filing.area, own) for own in by.areas):
        raise Refused(rule, f"{filing.area} lies outside the areas of {by.subject}")


def _refuse_handler(rule: str, by: Person, case: Case, does: str) -> None:
    if by.subject in handlers(case):
        raise Refused(rule, f"{by.subject} handled the case, and whoever handled a case never {does} it")
    if by.unit is not None and by.unit in handling_units(case):
        raise Refused(rule, f"{by.unit} handled the case, and whoever handled a case never {does} it")
