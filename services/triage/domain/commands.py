"""What people may ask of a case that waits for them, and the rules for it.

Verify                     -> VerifiedBeforeFiling and Dispatched, or Rejected
Dispatch, Merge, Reject    -> Dispatched, Merged, Rejected: the rulings

`may_verify` and `may_rule` hold the rules that depend only on who asks and on the state. Both `decide` and `actions`
ask them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from chassis.engine.decider import Facts, Inputs, Refused, Unknown, refusal
from contracts import times
from contracts.envelope import Event
from contracts.fields import LINE, Attachment
from contracts.intake import NewReport
from contracts.progress import VerifiedBeforeFiling
from contracts.status import Status
from contracts.times import Counted
from contracts.triage import Explanation, Rejected, RejectionReason
from services.triage.domain import planning
from services.triage.domain.assessment import assess, locate
from services.triage.domain.case import OVER, Case, Waiting
from services.triage.domain.planning import Decision, Draft
from services.triage.domain.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class By:
    """What matters of whoever asks, beside the name."""

    shift_leader: bool = False


@dataclass(frozen=True, slots=True)
class Verify:
    """A grid member has looked at the place: it is as reported, or it is not, and `why` says what else."""

    confirmed: bool
    why: RejectionReason = "not_reproducible"
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedUnit:
    """A unit that the person assigns. `replaces`: the returned assignment whose work it takes over."""

    unit: str
    task: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Assign the case to units. What is None stays as it is, or as the rules find it. The first unit leads."""

    category: str | None = None
    condition: str | None = None
    area: str | None = None
    priority: int | None = None
    units: tuple[NamedUnit, ...] = ()
    reason: str | None = None
    by: By = By()


@dataclass(frozen=True, slots=True)
class Merge:
    """The case is about the same matter as case `into`, whose category is `category`, as far as it is known."""

    into: str
    reason: str | None = None
    by: By = By()
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The case is not to be filed, or not to be followed any further."""

    why: RejectionReason
    reason: str
    by: By = By()


Ruling = Dispatch | Merge | Reject
Command = Verify | Ruling
Action = Literal["verify", "rule"]
"""What may be done with a case: verify it, or give any of the rulings, for which the same rules hold."""


def decide(command: Command, state: Case, inputs: Inputs, rules: Rulebook) -> Facts:
    """The facts that follow. Raises `Unknown` and `Refused`."""
    if isinstance(command, Verify):
        waiting = may_verify(state, inputs)
        if not command.confirmed:
            return _not_confirmed(command, state, waiting, inputs, rules)
        return _confirmed(command, state, waiting, inputs, rules)
    report = may_rule(command.by, state, inputs)
    match command:
        case Dispatch() if not state.rounds:
            return _first_round(command, state, report, inputs, rules)
        case Dispatch():
            return _further_round(command, state, inputs, rules)
        case Merge():
            if command.into == inputs.stream:
                raise Refused("merge.self", "a case cannot be merged into itself")
            if state.category in rules.catalogue.sensitive and command.category not in rules.catalogue.sensitive:
                # Its words reach whoever works on the leader, and whoever may read the leader sees that it is there.
                raise Refused("merge.sensitive", "a sensitive case is merged into a sensitive one only")
            why = _by_hand(f"merged into case {command.into} as ruled", command.reason, inputs, rules)
            # What is merged into a sensitive case is as sensitive: it would give that case away.
            category = command.category if command.category in rules.catalogue.sensitive else state.category
            return [planning.merged(command.into, report.data, category, state.area, why)]
        case Reject():
            why = _by_hand(f"rejected as ruled: {command.why}", None, inputs, rules)
            return [_rejected(command.why, command.reason, why, state)]


def may_verify(state: Case, inputs: Inputs) -> Waiting:
    """Since when the case waits to be verified, and why. Raises `Unknown` and `Refused`."""
    _report_of(state, inputs)
    waiting = state.waiting
    if waiting is None or waiting.queue != "verify":
        raise Refused("verification.state", f"case {inputs.stream} does not wait to be verified")
    return waiting


def may_rule(by: By, state: Case, inputs: Inputs) -> Event[NewReport]:
    """The report of a case that waits for a ruling which is theirs to give. Raises `Unknown` and `Refused`."""
    report = _report_of(state, inputs)
    if state.waiting is None:
        raise Refused("ruling.state", f"case {inputs.stream} does not wait for a ruling, it is {state.standing.status}")
    if state.waiting.queue == "second_return" and not by.shift_leader:
        raise Refused("ruling.second_return", "only the shift leader rules on a case that was returned twice")
    return report


def actions(by: By, state: Case, inputs: Inputs) -> Mapping[Action, Refused | None]:
    """What may be done with the case, and for each the rule that forbids it now, if one does."""
    return {"verify": refusal(may_verify, state, inputs), "rule": refusal(may_rule, by, state, inputs)}


def counted(_: Command, state: Case, inputs: Inputs, rules: Rulebook) -> Counted:
    """Which instant counts: that of arrival; in a case entered long after the fact, the claimed one."""
    report, waiting = state.report, state.waiting
    if report is None or waiting is None:
        return Counted(inputs.at)
    # The steps of a late entry were all recorded long after they happened, so only the report bounds a claim.
    late = report.data.retrospective
    return times.counted(
        inputs.claimed,
        inputs.at,
        skew=timedelta(seconds=rules.policy.max_future_skew_seconds),
        earliest=report.time if late else waiting.since,
        believed=late and inputs.believed,
    )


def refuse_target(into: str, status: Status | None) -> None:
    """Raises if no case may be merged into a case of that status (None: there is no such case)."""
    if status is None:
        raise Unknown(f"there is no case {into}")
    if status in OVER:
        raise Refused("merge.target", f"case {into} is {status}: nothing can be merged into it any more")


def _report_of(state: Case, inputs: Inputs) -> Event[NewReport]:
    if state.report is None:
        raise Unknown(f"there is no case {inputs.stream}")
    return state.report


def _confirmed(command: Verify, state: Case, waiting: Waiting, inputs: Inputs, rules: Rulebook) -> Facts:
    report, category, area = state.report, state.category, state.area
    assert report is not None
    assert category is not None
    assert area is not None
    why = (*waiting.words.split("\n"), f"verified before filing by {inputs.actor}")
    place, _ = locate(report.data.place, rules)
    at = planning.starts_at(report, inputs.at)
    return [
        VerifiedBeforeFiling(unit=waiting.unit, note=command.note, evidence=command.evidence),
        planning.first_round(inputs.stream, report.data, place, Decision(category, area, why), at, rules),
    ]


def _not_confirmed(command: Verify, state: Case, waiting: Waiting, inputs: Inputs, rules: Rulebook) -> Facts:
    reason = (command.note or "not found as reported")[:LINE]
    why = (*waiting.words.split("\n"), f"looked at by {inputs.actor}, and not confirmed: {command.why}")
    return [_rejected(command.why, reason, planning.explanation(why, rules), state)]


def _rejected(kind: RejectionReason, reason: str, why: Explanation, state: Case) -> Rejected:
    return Rejected(why=kind, reason=reason, category=state.category, area=state.area, explanation=why)


def _first_round(command: Dispatch, state: Case, report: Event[NewReport], inputs: Inputs, rules: Rulebook) -> Facts:
    found = assess(report.data, rules)
    category, area = command.category or state.category, command.area or state.area
    if category is None:
        raise Refused("ruling.category", "the rules found no category: name one")
    if area is None:
        raise Refused("ruling.area", "the rules found no area: name one")
    drafts = None
    if command.units:
        task = planning.words(rules.catalogue.by_code[category].lead)
        drafts = [Draft(named.unit, named.task or task, n == 0) for n, named in enumerate(command.units)]
    why = (*found.rules, *_as_ruled(command, inputs, rules))
    decision = Decision(category, area, why, command.condition, command.priority, drafts, command.reason)
    at = planning.starts_at(report, inputs.at)
    return [planning.first_round(inputs.stream, report.data, found.place, decision, at, rules)]


def _further_round(command: Dispatch, state: Case, inputs: Inputs, rules: Rulebook) -> Facts:
    before = state.rounds[-1]
    category, area = command.category or before.category, command.area or before.area
    drafts = _by_name(command.units, state) if command.units else _by_the_ladder(state, category, rules)
    why = _as_ruled(command, inputs, rules)
    decision = Decision(category, area, why, command.condition, command.priority, drafts, command.reason)
    return [planning.further_round(inputs.stream, before, "manual", decision, inputs.at, rules)]


def _by_name(units: Sequence[NamedUnit], state: Case) -> list[Draft]:
    """Which unit takes over which gap: as `replaces` says, else in order. All units share a single gap; with several
    gaps the units that are left over support.
    """
    gaps = {assignment.plan.id: assignment for assignment in state.gaps}
    named_gaps = {named.replaces for named in units}
    left = [assignment for name, assignment in gaps.items() if name not in named_gaps]
    drafts: list[Draft] = []
    led: set[str] = set()
    for named in units:
        if named.replaces is not None and named.replaces not in gaps:
            raise Refused("ruling.replaces", f"assignment {named.replaces} was not returned, or was taken over already")
        gap = gaps[named.replaces] if named.replaces else left.pop(0) if left else None
        if gap is None and len(gaps) == 1:
            (gap,) = gaps.values()
        if gap is None:
            drafts.append(Draft(named.unit, named.task or "support", False))
            continue
        lead = gap.plan.lead and gap.plan.id not in led
        led.add(gap.plan.id)
        drafts.append(Draft(named.unit, named.task or gap.plan.task, lead, gap.plan.id))
    if left:
        names = ", ".join(assignment.plan.id for assignment in left)
        raise Refused("ruling.incomplete", f"no unit is named to take over {names}")
    return drafts


def _by_the_ladder(state: Case, category: str, rules: Rulebook) -> list[Draft]:
    """Every gap goes to the next unit above the one that returned it."""
    drafts: list[Draft] = []
    for gap in state.gaps:
        unit = planning.next_unit(gap, state, category, rules)
        if unit is None:
            raise Refused("ruling.units", f"no unit is left above {gap.unit}: name the units")
        drafts.append(planning.taking_over(gap, unit))
    return drafts


def _as_ruled(command: Dispatch, inputs: Inputs, rules: Rulebook) -> list[str]:
    """What the person said, as lines of the explanation."""
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
    for named in command.units:
        unit = rules.units.by_id[named.unit]
        competent = command.category is None or unit.competent(command.category)
        lines.append(f"unit {named.unit} as ruled" + ("" if competent else ", though it is not competent"))
    return [*lines, command.reason or ""]


def _by_hand(what: str, reason: str | None, inputs: Inputs, rules: Rulebook) -> Explanation:
    return planning.explanation((f"{what} by {inputs.actor}", reason or ""), rules)
