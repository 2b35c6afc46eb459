"""What people may ask of a case that waits for them, and the rules about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from chassis.decider import Facts, Inputs, Refused, Unknown
from contracts.envelope import Event
from contracts.fields import LINE, Attachment
from contracts.intake import NewReport
from contracts.progress import VerifiedBeforeFiling
from contracts.reference import Category
from contracts.status import Status
from contracts.times import Counted, counted
from contracts.triage import Explanation, Rejected, Why
from services.triage.domain import planning
from services.triage.domain.assessment import assess, locate
from services.triage.domain.case import OVER, Case, Waiting
from services.triage.domain.planning import Part
from services.triage.domain.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Verify:
    """A grid member has looked: it is as reported, or it is not, and then why."""

    confirmed: bool
    why: Why = "not_reproducible"
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """A unit that the person gives work to. `replaces`: whose work, where some came back."""

    unit: str
    task: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """Give the case out; what is not said stays as it is, or as the rules have it. The first unit leads."""

    category: str | None = None
    condition: str | None = None
    area: str | None = None
    priority: int | None = None
    units: tuple[Charge, ...] = ()
    reason: str | None = None
    shift_leader: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """It is about what case `into` is about already."""

    into: str
    reason: str | None = None
    shift_leader: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """It is not to be filed, or not to be followed any further."""

    why: Why
    reason: str
    shift_leader: bool = False


Command = Verify | File | Merge | Reject


@dataclass(frozen=True)
class Commanding:
    """Decides on commands under these rules."""

    rules: Rulebook

    def decide(self, command: Command, state: Case, inputs: Inputs) -> Facts:
        """The facts that follow. Raises `Unknown` and `Refused`."""
        report = state.report
        if report is None:
            raise Unknown(f"there is no case {inputs.stream}")
        waiting = self._waiting(command, state, inputs)
        match command:
            case Verify(confirmed=True):
                return self._confirmed(command, state, waiting, inputs)
            case Verify():
                return self._disproved(command, waiting, inputs)
            case File() if state.filed is None:
                return self._first(command, state, inputs)
            case File():
                return self._further(command, state, inputs)
            case Merge():
                if command.into == inputs.stream:
                    raise Refused("merge.self", "a case cannot be merged into itself")
                why = self._explained(f"merged into case {command.into} as ruled", command.reason, inputs)
                return [planning.merged(command.into, report.data, state.category, state.area, why)]
            case Reject():
                why = self._explained(f"rejected as ruled: {command.why}", None, inputs)
                return [Rejected(why=command.why, reason=command.reason, explanation=why)]
            case _:
                assert_never(command)

    def counted(self, _: Command, state: Case, inputs: Inputs) -> Counted:
        """Which instant counts: that of arrival; in a case entered long after the fact, the one that was claimed."""
        report, waiting = state.report, state.waiting
        if report is None or waiting is None:
            return Counted(inputs.at)
        # The steps of a late entry were all written long after what it tells of, so only the report bounds a claim.
        late = report.data.retrospective
        return counted(
            inputs.claimed,
            inputs.at,
            skew=timedelta(seconds=self.rules.policy.max_future_skew_seconds),
            earliest=report.time if late else waiting.since,
            believed=late and inputs.believed,
        )

    def _waiting(self, command: Command, state: Case, inputs: Inputs) -> Waiting:
        waiting = state.waiting
        if isinstance(command, Verify):
            if waiting is None or waiting.queue != "verify":
                raise Refused("verification.state", f"case {inputs.stream} does not wait to be verified")
        elif waiting is None:
            raise Refused(
                "ruling.state", f"case {inputs.stream} does not wait for a ruling, it is {state.standing.status}"
            )
        elif waiting.queue == "second_return" and not command.shift_leader:
            raise Refused("ruling.second_return", "a case that came back twice is for the shift leader to rule on")
        return waiting

    def _confirmed(self, command: Verify, state: Case, waiting: Waiting, inputs: Inputs) -> Facts:
        report, category, area = state.report, state.category, state.area
        assert report is not None
        assert category is not None
        assert area is not None
        step = VerifiedBeforeFiling(unit=waiting.unit, note=command.note, evidence=command.evidence)
        why = (*waiting.words.split("\n"), f"verified before filing by {inputs.actor}")
        return [
            step,
            planning.file(
                inputs.stream,
                report.data,
                locate(report.data.place, self.rules)[0],
                self._category(category),
                area,
                begins(report, inputs.at),
                self.rules,
                why,
            ),
        ]

    def _disproved(self, command: Verify, waiting: Waiting, inputs: Inputs) -> Facts:
        reason = (command.note or "not found as reported")[:LINE]
        rules = (*waiting.words.split("\n"), f"looked at by {inputs.actor}, and not confirmed: {command.why}")
        why = planning.explanation(self.rules, rules)
        return [Rejected(why=command.why, reason=reason, explanation=why)]

    def _first(self, command: File, state: Case, inputs: Inputs) -> Facts:
        report = state.report
        assert report is not None
        found = assess(report.data, self.rules)
        category, area = command.category or state.category, command.area or state.area
        if category is None:
            raise Refused("ruling.category", "the rules found no category: name one")
        if area is None:
            raise Refused("ruling.area", "the rules found no area: name one")
        parts = None
        if command.units:
            lead = self._category(category).lead
            parts = [
                Part(charge.unit, charge.task or planning.words(lead), n == 0) for n, charge in enumerate(command.units)
            ]
        why = (*found.rules, *self._as_ruled(command, inputs))
        return [
            planning.file(
                inputs.stream,
                report.data,
                found.place,
                self._category(category),
                area,
                begins(report, inputs.at),
                self.rules,
                why,
                condition=command.condition,
                priority=command.priority,
                reason=command.reason,
                parts=parts,
            )
        ]

    def _further(self, command: File, state: Case, inputs: Inputs) -> Facts:
        category = self._category(command.category or (state.category or ""))
        parts = self._charged(command.units, state) if command.units else self._up_the_ladder(state, category)
        return [
            planning.again(
                inputs.stream,
                state,
                "manual",
                parts,
                inputs.at,
                self.rules,
                self._as_ruled(command, inputs),
                category=category,
                condition=command.condition,
                area=command.area,
                priority=command.priority,
                reason=command.reason,
            )
        ]

    def _charged(self, charges: Sequence[Charge], state: Case) -> list[Part]:
        """Who takes over which gap: as said, else in order. All share a single gap; beside several the rest support."""
        gaps = {work.assignment_id: work for work in state.gaps}
        left = [work for work in gaps.values() if work.assignment_id not in {c.replaces for c in charges}]
        parts: list[Part] = []
        led: set[str] = set()
        for charge in charges:
            if charge.replaces is not None and charge.replaces not in gaps:
                raise Refused("ruling.replaces", f"assignment {charge.replaces} did not come back, or was replaced")
            work = gaps[charge.replaces] if charge.replaces else left.pop(0) if left else None
            if work is None and len(gaps) == 1:
                (work,) = gaps.values()
            if work is None:
                parts.append(Part(charge.unit, charge.task or "support", False))
                continue
            lead = work.lead and work.assignment_id not in led
            led.add(work.assignment_id)
            parts.append(Part(charge.unit, charge.task or work.task, lead, work.assignment_id))
        if left:
            names = ", ".join(work.assignment_id for work in left)
            raise Refused("ruling.incomplete", f"nobody is named to take over {names}")
        return parts

    def _up_the_ladder(self, state: Case, category: Category) -> list[Part]:
        parts = []
        for work in state.gaps:
            unit = planning.next_unit(work, state, category.code, self.rules)
            if unit is None:
                raise Refused("ruling.units", f"no unit is left above {work.unit}: name the units")
            parts.append(planning.taking_over(work, unit))
        return parts

    def _as_ruled(self, command: File, inputs: Inputs) -> list[str]:
        said = [
            f"{name} {value}"
            for name, value in (
                ("category", command.category),
                ("condition", command.condition),
                ("area", command.area),
                ("priority", command.priority),
            )
            if value is not None
        ]
        lines = [f"ruled by {inputs.actor}: {', '.join(said) or 'as the rules have it'}"]
        for charge in command.units:
            unit = self.rules.units.by_id[charge.unit]
            competent = command.category is None or unit.competent(command.category)
            lines.append(f"unit {charge.unit} as ruled" + ("" if competent else ", though it is not competent"))
        if command.reason:
            lines.append(command.reason)
        return lines

    def _explained(self, what: str, reason: str | None, inputs: Inputs) -> Explanation:
        return planning.explanation(self.rules, (f"{what} by {inputs.actor}", reason or ""))

    def _category(self, code: str) -> Category:
        return self.rules.catalogue.by_code[code]


def begins(report: Event[NewReport], at: datetime) -> datetime:
    """When the clocks of a first round start: now, or for what was entered long after the fact when it was seen."""
    return report.time if report.data.retrospective else at


def refuse_target(into: str, status: Status | None) -> None:
    """Raises where no case may be merged into one of that status (None: there is no such case)."""
    if status is None:
        raise Unknown(f"there is no case {into}")
    if status in OVER:
        raise Refused("merge.target", f"case {into} is {status}: nothing can be merged into it any more")
