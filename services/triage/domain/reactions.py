"""What follows from a report, a withdrawal, the end of an assignment, and a verdict."""

from datetime import datetime, timedelta
from typing import Any

from chassis.engine.decider import Facts, Inputs, Unfit
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import AwaitingRuling, Queue, Verifying
from contracts.reference import Category
from contracts.triage import Upheld, Withdrawn
from services.triage.domain import planning
from services.triage.domain.assessment import Assessment
from services.triage.domain.case import Case, evolve
from services.triage.domain.neighbours import Neighbourhood
from services.triage.domain.planning import Decision
from services.triage.domain.rulebook import Rulebook

VERIFIED_CHANNELS = frozenset({"citizen", "hotline", "open311"})
"""Reports from outside the grid. What a grid member, a sensor or a partner reports is not verified before it is filed.
"""


def react(event: Event[Any], state: Case, inputs: Inputs, rules: Rulebook) -> Facts | Unfit:
    """The facts that follow from another service's fact, or why it cannot take effect.

    A report and a withdrawal need their `Neighbourhood` as the context.
    """
    match event.data:
        case NewReport():
            return () if state.report is not None else _on_report(event, inputs, rules)
        case _ if state.report is None:
            return Unfit(f"subject: there is no report of case {event.subject}")
        case Withdrawal() as withdrawal:
            return _on_withdrawal(withdrawal, state, inputs)
        case Resolved() | Evaluated() as fact:
            # What was entered long after the fact goes on when its cause happened.
            at = min(event.time, inputs.at) if state.report.data.retrospective else inputs.at
            return _on_end(fact, state, evolve(state, event), inputs.stream, at, rules)
        case Supplement():  # it is shown with the case, and nothing is ruled on it
            return ()
        case _:
            return Unfit(f"data: triage does not read {type(event.data).__name__}")


def _on_report(event: Event[NewReport], inputs: Inputs, rules: Rulebook) -> Facts:
    report, near = event.data, _neighbourhood(inputs)
    at = planning.starts_at(event, inputs.at)
    found = near.assessment(event)
    if found.queue is not None:
        return [_awaiting(found.queue, found.rules[-1], at, rules, found.category, found.area)]
    assert found.category is not None
    assert found.area is not None
    category = rules.catalogue.by_code[found.category]
    duplicate = near.duplicate(event, category, found.area)
    if duplicate is not None:
        why = planning.explanation((*found.rules, duplicate.why), rules)
        return [planning.merged(duplicate.case_id, report, found.category, found.area, why)]
    bounds = category.duplicates
    whose = " by the same reporter" if category.personal else ""
    nothing = f"no open case of the category{whose} within {bounds.radius_m} m and {bounds.window_hours} h"
    why = (*found.rules, nothing)
    if category.verify_first and report.channel in VERIFIED_CHANNELS:
        return [_verifying(found, category, why, at, rules)]
    decision = Decision(found.category, found.area, why)
    return [planning.first_round(inputs.stream, report, found.place, decision, at, rules)]


def _neighbourhood(inputs: Inputs) -> Neighbourhood:
    assert isinstance(inputs.context, Neighbourhood)
    return inputs.context


def _verifying(found: Assessment, category: Category, why: tuple[str, ...], at: datetime, rules: Rulebook) -> Verifying:
    assert found.area is not None
    return Verifying(
        unit=rules.unit_of("grid", found.area),
        category=category.code,
        area=found.area,
        note="\n".join(why),
        due_at=at + timedelta(minutes=rules.policy.verify_minutes),
    )


def _awaiting(
    queue: Queue, why: str, at: datetime, rules: Rulebook, category: str | None = None, area: str | None = None
) -> AwaitingRuling:
    policy = rules.policy
    minutes = policy.file_minutes if queue in ("unlocated", "unclassified") else policy.dispatch_minutes
    due_at = at + timedelta(minutes=minutes)
    return AwaitingRuling(queue=queue, note=why, category=category, area=area, due_at=due_at)


def _on_withdrawal(withdrawal: Withdrawal, state: Case, inputs: Inputs) -> Facts:
    if state.over:
        return ()
    if inputs.stream in _neighbourhood(inputs).leaders:
        return [Upheld(reason="others reported the same and were merged into this case: it goes on")]
    if any(one.outcome == "fixed" and not one.failed for one in state.assignments.values()):
        return [Upheld(reason="work has been entered as done: it is checked, whoever reported it")]
    return [Withdrawn(reason=withdrawal.reason, category=state.category, area=state.area)]


def _on_end(
    fact: Resolved | Evaluated, before: Case, after: Case, case: str, at: datetime, rules: Rulebook
) -> Facts | Unfit:
    """What follows from the end of an assignment or from a verdict; `after` is the case with it."""
    named = (fact.assignment_id,) if isinstance(fact, Resolved) else fact.failed
    unknown = [name for name in named if name not in before.assignments]
    if unknown:
        return Unfit(f"assignment_id: the case has no assignment {unknown[0]}")
    if after.over or after.assignments == before.assignments:
        return ()
    if isinstance(fact, Resolved) and fact.outcome == "returned":
        return [_on_return(fact, after, case, at, rules)]
    return _rework(after, case, at, rules)


def _on_return(result: Resolved, state: Case, case: str, at: datetime, rules: Rulebook) -> Fact:
    words = f"{result.unit} returned assignment {result.assignment_id}: {result.reason}"
    if len(state.returned) >= rules.policy.returns_before_shift_leader:
        return _awaiting("second_return", words, at, rules)
    assignment, before = state.assignments[result.assignment_id], state.rounds[-1]
    unit = planning.next_unit(assignment, state, before.category, rules)
    if unit is None:
        return _awaiting("no_unit", f"{words}; no unit is left above it", at, rules)
    why = (words, f"{unit} is the next unit above it that did not return it")
    drafts = [planning.taking_over(assignment, unit)]
    decision = Decision(before.category, before.area, why, drafts=drafts, reason=result.reason)
    return planning.further_round(case, before, "returned", decision, at, rules)


def _rework(state: Case, case: str, at: datetime, rules: Rulebook) -> Facts:
    """Every unit does its failed work again, all in one round; so the round waits until all of it has been resolved."""
    failed = state.failed
    if not failed or any(one.outcome is None for one in failed):
        return ()
    assert state.verdict is not None
    before, reason = state.rounds[-1], state.verdict.reason
    why = [f"failed at the check: {reason or 'no reason given'}"]
    why += [f"{one.unit} does the work of {one.plan.id} again" for one in failed]
    drafts = [planning.taking_over(one, one.unit) for one in failed]
    decision = Decision(before.category, before.area, why, drafts=drafts, reason=reason)
    return [planning.further_round(case, before, "rework", decision, at, rules)]
