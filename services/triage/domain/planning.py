"""Category and area -> assignments: who does what until when, who else is offered it, and who is told if it is late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from contracts.clocks import due
from contracts.envelope import Event
from contracts.fields import LINE, Place
from contracts.intake import NewReport
from contracts.reference import Category, Condition, Limit, Task
from contracts.territory import GRID, depth
from contracts.triage import Because, Check, Dispatched, Explanation, Merged
from services.triage.domain.assessment import priority_of
from services.triage.domain.case import Assignment, Case
from services.triage.domain.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Draft:
    """An assignment before it has deadlines; `replaces` names the one whose work it takes over."""

    unit: str
    task: str
    lead: bool
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules or a person decided about a round, and `why`, a line for each reason.

    None leaves it to the catalogue in the first round; in a further round it stays as it was. A further round needs
    `drafts`.
    """

    category: str
    area: str
    why: Sequence[str]
    condition: str | None = None
    priority: int | None = None
    drafts: Sequence[Draft] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines of every assignment of a round."""

    acknowledge_by: datetime
    resolve_by: datetime
    extensions: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What is the same in all rounds under one condition of a category."""

    check: Check
    closing: str
    limits: str


def first_round(
    case: str, report: NewReport, place: Place, decision: Decision, at: datetime, rules: Rulebook
) -> Dispatched:
    """The first round of a case that lies at `place`, from `at` on."""
    category, area = rules.catalogue.by_code[decision.category], decision.area
    place = place.model_copy(update={"area": area})
    priority, how_urgent = priority_of(category, place, rules)
    if decision.priority is not None and decision.priority != priority:
        priority, how_urgent = decision.priority, f"priority {decision.priority} as ruled; by the rules {priority}"
    drafts, who = decision.drafts, ()
    if drafts is None:
        drafts, who = planned_units(category.code, area, rules)
    ruling = {
        "round": 1,
        "because": "first",
        "reason": decision.reason,
        "category": category.code,
        "condition": condition_of(category, decision.condition).code,
        "priority": priority,
        "title": report.title,
        "text": report.text,
        "attachments": report.attachments,
        "place": place,
        "area": area,
        "filed_at": at,
        "retrospective": report.retrospective,
    }
    return _built(case, ruling, drafts, (*decision.why, how_urgent, *who), at, rules)


def further_round(
    case: str, before: Dispatched, because: Because, decision: Decision, at: datetime, rules: Rulebook
) -> Dispatched:
    """The round after `before`, from `at` on."""
    category, area = rules.catalogue.by_code[decision.category], decision.area
    condition = decision.condition or (before.condition if category.code == before.category else None)
    ruling = {
        "round": before.round + 1,
        "because": because,
        "reason": decision.reason[:LINE] if decision.reason else None,
        "category": category.code,
        "condition": condition_of(category, condition).code,
        "priority": decision.priority or before.priority,
        "title": before.title,
        "text": before.text,
        "attachments": before.attachments,
        "place": before.place.model_copy(update={"area": area}),
        "area": area,
        "filed_at": before.filed_at,
        "retrospective": before.retrospective,
    }
    return _built(case, ruling, decision.drafts or (), decision.why, at, rules)


def merged(into: str, report: NewReport, category: str | None, area: str | None, why: Explanation) -> Merged:
    """The report joins another case."""
    return Merged(into=into, category=category, area=area, said=report.title, explanation=why)


def _built(
    case: str, ruling: Mapping[str, Any], drafts: Sequence[Draft], why: Sequence[str], at: datetime, rules: Rulebook
) -> Dispatched:
    """A round of these assignments; validated once and as a whole, because part by part takes twice the time."""
    terms = _terms(ruling["category"], ruling["condition"], rules)
    limits = deadlines(ruling["category"], ruling["condition"], at, rules)
    return Dispatched.model_validate(
        {
            **ruling,
            "plan": [
                _assignment(f"{case}.{ruling['round']}.{n}", draft, ruling["area"], limits, at, rules)
                for n, draft in enumerate(drafts, start=1)
            ],
            "closing": terms.closing,
            "check": terms.check,
            "explanation": _explanation((*why, terms.limits), rules),
        }
    )


def _assignment(name: str, draft: Draft, area: str, limits: Deadlines, at: datetime, rules: Rulebook) -> dict[str, Any]:
    member, backups = on_duty(draft.unit, area, at, rules)
    return {
        "id": name,
        "unit": draft.unit,
        "lead": draft.lead,
        "task": draft.task[:LINE],
        "acknowledge_by": limits.acknowledge_by,
        "resolve_by": limits.resolve_by,
        "extensions": limits.extensions,
        "member": member,
        "backups": backups,
        "replaces": draft.replaces,
        "escalated_to": rules.units.superiors.get(draft.unit, ()),
    }


def starts_at(report: Event[NewReport], at: datetime) -> datetime:
    """When the clocks of the first round start: at `at`; for a report entered long after the fact, at its own time."""
    return min(report.time, at) if report.data.retrospective else at


def taking_over(assignment: Assignment, unit: str) -> Draft:
    """The same work, to be done by that unit."""
    return Draft(unit, assignment.plan.task, assignment.plan.lead, assignment.plan.id)


def next_unit(assignment: Assignment, state: Case, category: str, rules: Rulebook) -> str | None:
    """Who takes over returned work: the first competent unit above the one that returned it, else the first above it;
    never a unit that returned work of this case. None if no unit is left.
    """
    refusing = {other.unit for other in state.returned}
    above = [unit for unit in rules.units.superiors.get(assignment.unit, ()) if unit not in refusing]
    competent = [unit for unit in above if rules.units.by_id[unit].competent(category)]
    return (competent or above or [None])[0]


def on_duty(unit: str, area: str, at: datetime, rules: Rulebook) -> tuple[str | None, tuple[str, ...]]:
    """Of a grid: the member on duty for a report in that area, and the others as backups; of other units nobody.

    The members of the report's own sub-grid are asked first, then the others of the grid in their order. Whoever is on
    duty is a full-time member, if the shift of one covers the instant.
    """
    members = rules.members.get(unit)
    if members is None:
        return None, ()
    local = at.astimezone(rules.zone)
    near_first = sorted(members, key=lambda member: member.subgrid != area)
    on = [member for member in near_first if member.on_duty(local)]
    first = min(on, key=lambda member: not member.full_time, default=None)
    return (first.id if first else None), tuple(member.id for member in near_first if member is not first)[:50]


@lru_cache(maxsize=32_768)
def planned_units(category: str, area: str, rules: Rulebook) -> tuple[tuple[Draft, ...], tuple[str, ...]]:
    """The catalogue's lead and supports as units of that area, and why those."""
    found = rules.catalogue.by_code[category]
    drafts: list[Draft] = []
    why: list[str] = []
    for task in (found.lead, *found.supports):
        lead = task is found.lead
        unit, reason = _unit(task.unit, category, area, rules)
        drafts.append(Draft(unit, words(task), lead))
        why.append(f"{'lead' if lead else 'support'} {unit}{reason}")
    if depth(area) < GRID:
        why.append(f"area {area} is wider than a grid")
    return tuple(drafts), tuple(why)


def _unit(role: str, category: str, area: str, rules: Rulebook) -> tuple[str, str]:
    unit = rules.unit_of(role, area)
    if unit is None:
        raise LookupError(f"no unit of the district fills the role {role} in {area}, nor any above it")
    kind, _, _ = unit.partition(":")
    instead = "" if role in (kind, unit) else f", in the place of any {role}"
    if rules.units.by_id[unit].competent(category):
        return unit, f"{instead} by the catalogue"
    for superior in rules.units.superiors[unit]:
        if rules.units.by_id[superior].competent(category):
            return superior, f", because {unit} is not competent"
    return unit, f"{instead} by the catalogue, though neither it nor any above it is competent"


@lru_cache(maxsize=8_192)
def deadlines(category: str, condition: str, at: datetime, rules: Rulebook) -> Deadlines:
    """From `at` on, each extension one original limit. Cached, because all rounds of a batch begin at one instant."""
    chosen = condition_of(rules.catalogue.by_code[category], condition)
    resolve_by = due(at, chosen.resolve, rules.calendar)
    extensions: list[datetime] = []
    last = resolve_by
    for _ in range(rules.policy.extend_max):
        last = due(last, chosen.resolve, rules.calendar)
        extensions.append(last)
    return Deadlines(due(at, chosen.acknowledge, rules.calendar), resolve_by, tuple(extensions))


def condition_of(category: Category, code: str | None) -> Condition:
    """The condition of that code; the first one if the code is None or unknown."""
    return next((condition for condition in category.conditions if condition.code == code), category.conditions[0])


@lru_cache(maxsize=1_024)
def _terms(category: str, condition: str, rules: Rulebook) -> _Terms:
    found = rules.catalogue.by_code[category]
    chosen = condition_of(found, condition)
    return _Terms(
        Check(method=found.check.method, by=found.check.by, within_minutes=rules.policy.check_hours * 60),
        f"{chosen.closing} / {chosen.closing_en}"[:LINE],
        f"condition {condition} of {category}: acknowledge within {_span(chosen.acknowledge)},"
        f" resolve within {_span(chosen.resolve)}",
    )


def explanation(why: Sequence[str], rules: Rulebook) -> Explanation:
    """These lines, with the versions of the reference files that they come from."""
    return Explanation.model_validate(_explanation(why, rules))


def _explanation(why: Sequence[str], rules: Rulebook) -> dict[str, Any]:
    return {
        "rules": [line[:LINE] for line in why[:50] if line],
        "catalogue": rules.catalogue.version,
        "policy": rules.policy.version,
    }


def words(task: Task) -> str:
    """A task in both languages of the catalogue."""
    return f"{task.task} / {task.task_en}"


def _span(limit: Limit) -> str:
    return f"{limit.amount} {limit.unit} ({limit.clock})"
