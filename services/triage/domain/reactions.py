"""What follows from a report, a result, a verdict, and from a deadline that has passed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chassis.decider import Facts, Inputs, Unfit
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import AwaitingRuling, Queue, RulingOverdue, Verifying
from contracts.reference import Category
from contracts.triage import Upheld, Withdrawn
from services.triage.domain import planning
from services.triage.domain.assessment import Assessment, assess
from services.triage.domain.case import Case, evolve
from services.triage.domain.commands import begins
from services.triage.domain.neighbours import Neighbourhood
from services.triage.domain.rulebook import Rulebook

VERIFIED_CHANNELS = frozenset({"citizen", "hotline", "open311"})
"""Reports from outside the grid; a grid member's own, a sensor's or a partner's need no look beforehand."""

Reaction = Facts | Unfit


@dataclass(frozen=True)
class Reacting:
    """Reacts under these rules."""

    rules: Rulebook

    def react(self, event: Event[Any], state: Case, inputs: Inputs) -> Reaction:
        """The facts that follow from another's fact, or why it cannot take effect."""
        match event.data:
            case NewReport():
                return () if state.report is not None else self._reported(event, inputs)
            case _ if state.report is None:
                return Unfit(f"subject: there is no report of case {event.subject}")
            case Supplement():
                return ()
            case Withdrawal() as withdrawal:
                return self._taken_back(withdrawal, state, inputs)
            case Resolved() | Evaluated() as fact:
                return self._ended(fact, state, evolve(state, event), self._now(event, state, inputs), inputs.stream)
            case _:
                return ()

    def lapse(self, state: Case, inputs: Inputs) -> Facts:
        """Says once that nobody decided in time."""
        waiting = state.waiting
        if waiting is None or waiting.overdue or waiting.due_at > inputs.now:
            return ()
        return [RulingOverdue(queue=waiting.queue, unit=waiting.unit, due_at=waiting.due_at)]

    @staticmethod
    def _now(event: Event[Any], state: Case, inputs: Inputs) -> datetime:
        """When what follows begins; for a case entered long after the fact when its cause happened."""
        assert state.report is not None
        return event.time if state.report.data.retrospective else inputs.at

    def _reported(self, event: Event[NewReport], inputs: Inputs) -> Facts:
        report = event.data
        near = inputs.gathered
        at = begins(event, inputs.at)
        found = near.assessment(event) if isinstance(near, Neighbourhood) else assess(report, self.rules)
        if found.queue is not None:
            return [self._await(found.queue, found.rules[-1], at, category=found.category, area=found.area)]
        assert found.category is not None
        assert found.area is not None
        category = self.rules.catalogue.by_code[found.category]
        if not isinstance(near, Neighbourhood):
            alone = "duplicates were not looked for"
        elif (twin := near.twin(event, category, found.area)) is not None:
            why = planning.explanation(self.rules, (*found.rules, twin.why))
            return [planning.merged(twin.case_id, report, found.category, found.area, why)]
        else:
            bounds = category.duplicates
            alone = f"no open case of the category within {bounds.radius_m} m and {bounds.window_hours} h"
        if category.verify_first and report.channel in VERIFIED_CHANNELS:
            return [self._verify(found, category, alone, at)]
        why = (*found.rules, alone)
        return [planning.file(inputs.stream, report, found.place, category, found.area, at, self.rules, why)]

    def _verify(self, found: Assessment, category: Category, alone: str, at: datetime) -> Verifying:
        assert found.area is not None
        return Verifying(
            unit=self.rules.unit_of("grid", found.area),
            category=category.code,
            area=found.area,
            note="\n".join((*found.rules, alone)),
            due_at=at + timedelta(minutes=self.rules.policy.verify_minutes),
        )

    def _await(
        self, queue: Queue, words: str, at: datetime, *, category: str | None = None, area: str | None = None
    ) -> AwaitingRuling:
        policy = self.rules.policy
        minutes = policy.file_minutes if queue in ("unlocated", "unclassified") else policy.dispatch_minutes
        due_at = at + timedelta(minutes=minutes)
        return AwaitingRuling(queue=queue, note=words, category=category, area=area, due_at=due_at)

    def _taken_back(self, withdrawal: Withdrawal, state: Case, inputs: Inputs) -> Facts:
        if state.over:
            return ()
        if isinstance(inputs.gathered, Neighbourhood) and inputs.stream in inputs.gathered.leaders:
            return [Upheld(reason="others reported the same and were merged into this case: it goes on")]
        if any(work.end == "fixed" and not work.failed for work in state.works.values()):
            return [Upheld(reason="work has been entered as done: it is checked, whoever reported it")]
        return [Withdrawn(reason=withdrawal.reason)]

    def _ended(self, fact: Resolved | Evaluated, before: Case, after: Case, at: datetime, case: str) -> Reaction:
        """What follows from the end of an assignment, or from a verdict."""
        named = (fact.assignment_id,) if isinstance(fact, Resolved) else fact.failed
        unknown = [name for name in named if name not in before.works]
        if unknown:
            return Unfit(f"assignment_id: the case has no assignment {unknown[0]}")
        if after.over or after.works == before.works:
            return ()
        if isinstance(fact, Resolved) and fact.outcome == "returned":
            return [self._returned(fact, after, at, case)]
        return self._rework(after, at, case)

    def _returned(self, result: Resolved, state: Case, at: datetime, case: str) -> Fact:
        words = f"{result.unit} returned assignment {result.assignment_id}: {result.reason}"
        if len(state.returned) >= self.rules.policy.returns_before_shift_leader:
            return self._await("second_return", words, at)
        work = state.works[result.assignment_id]
        unit = planning.next_unit(work, state, state.category or "", self.rules)
        if unit is None:
            return self._await("no_unit", f"{words}; no unit is left above it", at)
        why = (words, f"{unit} is the next above it that did not return it")
        return planning.again(
            case, state, "returned", [planning.taking_over(work, unit)], at, self.rules, why, reason=result.reason
        )

    def _rework(self, state: Case, at: datetime, case: str) -> Facts:
        """What failed is done again by who did it, in one round; so it waits until every `Resolved` of it was heard."""
        failed = state.wanting
        if not failed or any(work.end is None for work in failed):
            return ()
        assert state.verdict is not None
        parts = [planning.taking_over(work, work.unit) for work in failed]
        why = [f"failed at the check: {state.verdict.reason or 'no reason given'}"]
        why += [f"{work.unit} does again what {work.assignment_id} was" for work in failed]
        reason = state.verdict.reason
        return [planning.again(case, state, "rework", parts, at, self.rules, why, reason=reason)]
