"""What follows from a report, a result, a verdict, and from a deadline that has passed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chassis.decider import Early, Facts, Inputs, Unfit
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.reference import Category
from contracts.triage import Merged, Withdrawn
from services.triage.domain import planning
from services.triage.domain.assessment import Assessment, Queue, assess
from services.triage.domain.case import Case, Work
from services.triage.domain.commands import begins
from services.triage.domain.neighbours import Neighbourhood
from services.triage.domain.rulebook import Rulebook

VERIFIED_CHANNELS = frozenset({"citizen", "hotline", "open311"})
"""Reports from outside the grid; a grid member's own, a sensor's or a partner's need no look beforehand."""

Reaction = Facts | Early | Unfit


@dataclass(frozen=True)
class Reacting:
    """Reacts under these rules."""

    rules: Rulebook

    def react(self, event: Event[Any], state: Case, inputs: Inputs) -> Reaction:
        """The facts that follow from another's fact, or why it cannot take effect (yet)."""
        match event.data:
            case NewReport():
                return () if state.report is not None else self._reported(event, inputs)
            case _ if state.report is None:
                return Early(f"unknown case {event.subject}: no report of it has come yet")
            case Supplement():
                return ()
            case Withdrawal() as withdrawal:
                return self._taken_back(withdrawal, state, inputs)
            case Resolved() as result:
                return self._resolved(result, state, self._now(event, state, inputs), inputs.stream)
            case Evaluated(verdict="rework") as verdict:
                return self._rework(verdict, state, self._now(event, state, inputs), inputs.stream)
            case _:
                return ()

    def lapse(self, state: Case, inputs: Inputs) -> Facts:
        """Says once that nobody decided in time."""
        waiting = state.waiting
        if waiting is None or waiting.overdue or waiting.due_at is None or waiting.due_at > inputs.now:
            return ()
        reason = f"nobody has decided in time ({waiting.queue})"
        return [Progressed(step="overdue", due_at=waiting.due_at, unit=waiting.unit, reason=reason)]

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
            return [Merged(into=twin.case_id, category=found.category, area=found.area, explanation=why)]
        else:
            bounds = category.duplicates
            alone = f"no open case of the category within {bounds.radius_m} m and {bounds.window_hours} h"
        if category.verify_first and report.channel in VERIFIED_CHANNELS:
            return [self._verify(found, category, alone, at)]
        why = (*found.rules, alone)
        return [planning.file(inputs.stream, report, found.place, category, found.area, at, self.rules, why)]

    def _verify(self, found: Assessment, category: Category, alone: str, at: datetime) -> Progressed:
        assert found.area is not None
        return Progressed(
            step="verifying",
            unit=self.rules.unit_of("grid", found.area),
            category=category.code,
            area=found.area,
            note="\n".join((*found.rules, alone)),
            due_at=at + timedelta(minutes=self.rules.policy.verify_minutes),
        )

    def _await(
        self, queue: Queue, words: str, at: datetime, *, category: str | None = None, area: str | None = None
    ) -> Progressed:
        policy = self.rules.policy
        minutes = policy.file_minutes if queue in ("unlocated", "unclassified") else policy.dispatch_minutes
        due_at = at + timedelta(minutes=minutes)
        return Progressed(step="awaiting_ruling", reason=queue, note=words, category=category, area=area, due_at=due_at)

    def _taken_back(self, withdrawal: Withdrawal, state: Case, inputs: Inputs) -> Reaction:
        report = state.report
        assert report is not None
        theirs, whose = withdrawal.reporter_ref, report.data.reporter_ref
        if theirs is not None and whose is not None and theirs != whose:
            return Unfit(f"reporter_ref: {theirs} did not make this report")
        if state.ended is not None:
            return ()
        if isinstance(inputs.gathered, Neighbourhood) and inputs.stream in inputs.gathered.leaders:
            words = "others reported the same and were merged into this case: it goes on"
            return [Progressed(step="refused", reason="withdrawal", note=words)]
        return [Withdrawn(reason=withdrawal.reason)]

    def _resolved(self, result: Resolved, state: Case, at: datetime, case: str) -> Reaction:
        work = state.works.get(result.assignment_id)
        if work is None:
            if state.filed is None and state.ended is not None:
                return Unfit(f"assignment_id: the case was {state.ended}, nobody was assigned")
            return Early(f"unknown assignment {result.assignment_id}")
        if work.unit != result.unit:
            return Unfit(f"unit: assignment {work.assignment_id} is {work.unit}'s, not {result.unit}'s")
        if work.end is not None or work.replaced or state.ended is not None:
            return ()
        match result.outcome:
            case "fixed" | "cancelled":
                return ()
            case "returned":
                return self._returned(work, result, state, at, case)
            case "escalated":
                return self._escalated(work, result, state, at, case)

    def _returned(self, work: Work, result: Resolved, state: Case, at: datetime, case: str) -> Facts:
        words = f"{work.unit} returned assignment {work.assignment_id}: {result.reason}"
        if state.returns + 1 >= self.rules.policy.returns_before_shift_leader:
            return [self._await("second_return", words, at)]
        returned = {work.unit} | {other.unit for other in state.works.values() if other.end == "returned"}
        unit = planning.next_unit(work, state.category or "", returned, self.rules)
        if unit is None:
            return [self._await("no_unit", f"{words}; no unit is left above it", at)]
        parts = [planning.taking_over(work, unit)]
        why = (words, f"{unit} is the next above it that did not return it")
        return [planning.again(case, state, "returned", parts, at, self.rules, why)]

    def _escalated(self, work: Work, result: Resolved, state: Case, at: datetime, case: str) -> Facts:
        words = f"assignment {work.assignment_id} of {work.unit} escalated: {result.reason}"
        above = self.rules.superiors.get(work.unit, ())
        if not above:
            due_at = at + timedelta(minutes=self.rules.policy.dispatch_minutes)
            return [
                Progressed(
                    step="escalation_failed",
                    assignment_id=work.assignment_id,
                    unit=work.unit,
                    reason=f"no unit is above {work.unit}",
                    note=words,
                    due_at=due_at,
                )
            ]
        parts = [planning.taking_over(work, above[0])]
        return [planning.again(case, state, "escalated", parts, at, self.rules, (words, f"{above[0]} is above it"))]

    def _rework(self, verdict: Evaluated, state: Case, at: datetime, case: str) -> Reaction:
        unknown = [failed for failed in verdict.failed if failed not in state.works]
        if unknown:
            return Early(f"unknown assignment {unknown[0]}")
        failed = [state.works[name] for name in dict.fromkeys(verdict.failed) if not state.works[name].replaced]
        if state.ended is not None or not failed:
            return ()
        parts = [planning.taking_over(work, work.unit) for work in failed]
        why = [f"failed at the check: {verdict.reason or 'no reason given'}"]
        why += [f"{work.unit} does again what {work.assignment_id} was" for work in failed]
        return [planning.again(case, state, "rework", parts, at, self.rules, why)]
