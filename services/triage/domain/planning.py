"""Category and area -> assignments: who does what, until when, and who hears of it if not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from contracts.clocks import due
from contracts.fields import LINE, Place
from contracts.intake import NewReport
from contracts.reference import Category, Condition, Limit, Task
from contracts.triage import Because, Check, Dispatched, Explanation, Merged
from services.triage.domain.assessment import GRID, priority_of
from services.triage.domain.case import Case, Work
from services.triage.domain.rulebook import Rulebook, depth


@dataclass(frozen=True, slots=True)
class Part:
    """What one unit is to do; `replaces` names the work it takes over."""

    unit: str
    task: str
    lead: bool
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Of every assignment of a round."""

    acknowledge_by: datetime
    resolve_by: datetime
    extensions: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What every round under one condition of a category says."""

    check: Check
    closing: str
    limits: str


def file(
    case: str,
    report: NewReport,
    place: Place,
    category: Category,
    area: str,
    at: datetime,
    rules: Rulebook,
    why: Sequence[str],
    *,
    condition: str | None = None,
    priority: int | None = None,
    parts: Sequence[Part] | None = None,
    reason: str | None = None,
) -> Dispatched:
    """The first round of a case: by default the catalogue's lead and supports for that area."""
    chosen = condition_of(category, condition)
    if place.area != area:
        place = place.model_copy(update={"area": area})
    found, how_urgent = priority_of(category, place, rules)
    if priority is not None and priority != found:
        found, how_urgent = priority, f"priority {priority} as ruled; by the rules {found}"
    given, who = (tuple(parts), ()) if parts is not None else cast_of(rules, category.code, area)
    return _built(
        case,
        given,
        at,
        rules,
        (*why, how_urgent, *who),
        round=1,
        because="first",
        reason=reason,
        category=category.code,
        condition=chosen.code,
        priority=found,
        title=report.title,
        text=report.text,
        attachments=report.attachments,
        place=place,
        area=area,
        filed_at=at,
        retrospective=report.retrospective,
    )


def again(
    case: str,
    state: Case,
    because: Because,
    parts: Sequence[Part],
    at: datetime,
    rules: Rulebook,
    why: Sequence[str],
    *,
    category: Category | None = None,
    condition: str | None = None,
    area: str | None = None,
    priority: int | None = None,
    reason: str | None = None,
) -> Dispatched:
    """A further round of a filed case: what stays as it was unless it is given."""
    filed = state.filed
    assert filed is not None
    found = category or rules.catalogue.by_code[filed.category]
    same = found.code == filed.category
    chosen = condition_of(found, condition or (filed.condition if same else None))
    area = area or filed.area
    return _built(
        case,
        parts,
        at,
        rules,
        why,
        round=filed.round + 1,
        because=because,
        reason=reason[:LINE] if reason else None,
        category=found.code,
        condition=chosen.code,
        priority=priority or filed.priority,
        title=filed.title,
        text=filed.text,
        attachments=filed.attachments,
        place=filed.place.model_copy(update={"area": area}),
        area=area,
        filed_at=filed.filed_at,
        retrospective=filed.retrospective,
    )


def merged(into: str, report: NewReport, category: str | None, area: str | None, why: Explanation) -> Merged:
    """The report joins another case."""
    return Merged(into=into, category=category, area=area, said=report.title, explanation=why)


def _built(
    case: str, parts: Sequence[Part], at: datetime, rules: Rulebook, why: Sequence[str], **ruling: Any
) -> Dispatched:
    """A round of these parts; validated once and as a whole, for that takes half the time of part by part."""
    terms = _terms(rules, ruling["category"], ruling["condition"])
    limits = deadlines(rules, ruling["category"], ruling["condition"], at)
    return Dispatched.model_validate(
        {
            **ruling,
            "plan": [
                _assignment(f"{case}.{ruling['round']}.{n}", part, limits, at, rules)
                for n, part in enumerate(parts, start=1)
            ],
            "closing": terms.closing,
            "check": terms.check,
            "explanation": _explanation(rules, (*why, terms.limits)),
        }
    )


def _assignment(name: str, part: Part, limits: Deadlines, at: datetime, rules: Rulebook) -> dict[str, Any]:
    member, backups = on_duty(part.unit, at, rules)
    return {
        "id": name,
        "unit": part.unit,
        "lead": part.lead,
        "task": part.task[:LINE],
        "acknowledge_by": limits.acknowledge_by,
        "resolve_by": limits.resolve_by,
        "extensions": limits.extensions,
        "member": member,
        "backups": backups,
        "replaces": part.replaces,
        "escalated_to": rules.units.superiors.get(part.unit, ()),
    }


def taking_over(work: Work, unit: str) -> Part:
    """The same work, done by that unit."""
    return Part(unit, work.task, work.lead, work.assignment_id)


def next_unit(work: Work, state: Case, category: str, rules: Rulebook) -> str | None:
    """Who takes over what came back: the first competent unit above the one that returned it, else the first above it;
    never one that returned work of this case. None where none is left.
    """
    refusing = {other.unit for other in state.returned}
    above = [unit for unit in rules.units.superiors.get(work.unit, ()) if unit not in refusing]
    competent = [unit for unit in above if rules.units.by_id[unit].competent(category)]
    return (competent or above or [None])[0]


def on_duty(unit: str, at: datetime, rules: Rulebook) -> tuple[str | None, tuple[str, ...]]:
    """Of a grid: the first member whose shift covers the instant, and the others in order; of other units nobody."""
    members = rules.members.get(unit)
    if members is None:
        return None, ()
    local = at.astimezone(rules.zone)
    first = next((member for member in members if member.on_duty(local)), None)
    return (first.id if first else None), tuple(member.id for member in members if member is not first)[:50]


@lru_cache(maxsize=32_768)
def cast_of(rules: Rulebook, code: str, area: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The catalogue's lead and supports as units of that area, and why those."""
    category = rules.catalogue.by_code[code]
    parts, why = [], []
    for task in (category.lead, *category.supports):
        lead = task is category.lead
        unit, reason = _unit(rules, task.unit, code, area)
        parts.append(Part(unit, words(task), lead))
        why.append(f"{'lead' if lead else 'support'} {unit}{reason}")
    if depth(area) < GRID:
        why.append(f"area {area} is wider than a grid")
    return tuple(parts), tuple(why)


def _unit(rules: Rulebook, role: str, category: str, area: str) -> tuple[str, str]:
    unit = rules.unit_of(role, area)
    if unit is None:
        raise LookupError(f"no unit of the district fills the role {role} in {area}, nor any above it")
    kind, _, _ = unit.partition(":")
    instead = "" if role in (kind, unit) else f", in the place of any {role}"
    if rules.units.by_id[unit].competent(category):
        return unit, f"{instead} by the catalogue"
    for superior in rules.units.superiors[unit]:
        if rules.units.by_id[superior].competent(category):
            return superior, f", for {unit} is not competent"
    return unit, f"{instead} by the catalogue, though neither it nor any above it is competent"


@lru_cache(maxsize=8_192)
def deadlines(rules: Rulebook, category: str, condition: str, at: datetime) -> Deadlines:
    """From `at` on; extensions are one original limit each. Kept, for all of a batch begin at one instant."""
    chosen = condition_of(rules.catalogue.by_code[category], condition)
    resolve_by = due(at, chosen.resolve, rules.calendar)
    extensions, last = [], resolve_by
    for _ in range(rules.policy.extend_max):
        last = due(last, chosen.resolve, rules.calendar)
        extensions.append(last)
    return Deadlines(due(at, chosen.acknowledge, rules.calendar), resolve_by, tuple(extensions))


def condition_of(category: Category, code: str | None) -> Condition:
    """The condition of that code; the first where none is named or known."""
    return next((condition for condition in category.conditions if condition.code == code), category.conditions[0])


@lru_cache(maxsize=1_024)
def _terms(rules: Rulebook, category: str, condition: str) -> _Terms:
    found = rules.catalogue.by_code[category]
    chosen = condition_of(found, condition)
    return _Terms(
        Check(method=found.check.method, by=found.check.by, within_minutes=rules.policy.check_hours * 60),
        f"{chosen.closing} / {chosen.closing_en}"[:LINE],
        f"condition {condition} of {category}: acknowledge within {_span(chosen.acknowledge)},"
        f" resolve within {_span(chosen.resolve)}",
    )


def explanation(rules: Rulebook, why: Sequence[str]) -> Explanation:
    """These lines, with the versions that they come from."""
    return Explanation.model_validate(_explanation(rules, why))


def _explanation(rules: Rulebook, why: Sequence[str]) -> dict[str, Any]:
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
