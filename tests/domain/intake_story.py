"""Cases as intake knows them, told in facts; shared by the tests of its rules."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.engine.decider import Decider, Inputs, Refused, decided
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Point
from contracts.fields import Place as Located
from contracts.intake import NewReport
from contracts.reference import Partner, Partners, Policy
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged, Rejected
from contracts.wire import Circumstances, build
from deploy.district import __main__ as district
from services.intake.domain import decider
from services.intake.domain.case import Case
from services.intake.domain.commands import Command, File, Rules
from services.intake.reference import UnknownArea
from tests.support.facts import home_of

POLICY = Policy.model_validate_json((Path(district.__file__).parent / "policy.json").read_bytes())


def somewhere(point: Point | None, address: str | None, area: str | None) -> Located:
    """Where things are in these tests: in the area that was named, but for one that is not of the district."""
    if area == "CH/atlantis":
        raise UnknownArea(area)
    return Located(point=point, address=address, area=area)


RULES = Rules.of(POLICY, somewhere)
INTAKE: Decider[Command, Case] = decider(RULES)
NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
WHY = Explanation(rules=("reporter's category",), catalogue="2026.1", policy="2026.1")
REPORT = NewReport(channel="citizen", title="water on the road", reporter_ref="reporter:1")
FILE = File("citizen", "water on the road", reporter_ref="reporter:1")
HOTLINE = Partner(id="hotline", name="Hotline", says=("reports",))
WATER = Partner(id="water", name="Water", says=("reports", "steps"), retrospective=True)
REGISTERED = Partners(partners=(HOTLINE, WATER))
THEIRS = NewReport(channel="hotline", title="water on the road", reporter_ref="hotline:9", reported_by="hotline")
LATE = timedelta(hours=POLICY.retrospective_after_hours)
SKEW = timedelta(seconds=POLICY.max_future_skew_seconds)


def event(
    data: Fact, *, actor: str = "reporter:1", at: datetime = NOW, number: int = 1, subject: str = CASE
) -> Event[Any]:
    """A fact with circumstances that matter little."""
    return build(
        data,
        Circumstances(
            event_id=f"019e0a9c-1f78-7c3e-8b1a-{number:012x}",
            source="/services/intake" if data.name == "Notice" else home_of(data),
            subject=subject,
            time=at,
            recorded=NOW,
            sequence=number,
            actor=actor,
        ),
    )[0]


def case(*facts: Fact | Event[Any]) -> Case:
    """The case after these facts, in this order."""
    state = INTAKE.initial
    for number, fact in enumerate(facts, 1):
        state = INTAKE.evolve(state, fact if isinstance(fact, Event) else event(fact, number=number))
    return state


def inputs(actor: str = "reporter:1", partners: Partners = REGISTERED, **more: Any) -> Inputs:
    return Inputs(at=NOW, now=NOW, stream=CASE, actor=actor, partners=partners, **more)


def decide(command: Command, state: Case, actor: str = "reporter:1", **more: Any) -> list[Fact]:
    """What follows from a command, as the runtime asks for it."""
    return list(decided(INTAKE, command, state, inputs(actor, **more))[1])


def refused(command: Command, state: Case, actor: str = "reporter:1") -> str:
    """The rule by which a command is refused."""
    with pytest.raises(Refused) as refusal:
        decide(command, state, actor)
    return refusal.value.rule


def dispatched(number: int = 1, **more: Any) -> Dispatched:
    """A round with one assignment."""
    plan = Assignment(
        id=f"{CASE}.{number}.1",
        unit=more.pop("unit", "dept:water"),
        lead=True,
        task="repair",
        acknowledge_by=NOW,
        resolve_by=NOW,
        replaces=more.pop("replaces", None),
    )
    base: dict[str, Any] = {
        "round": number,
        "because": "first" if number == 1 else "rework",
        "category": "event.emergency.water-main",
        "condition": "a",
        "closing": "dry",
        "priority": 1,
        "title": "water on the road",
        "place": {},
        "area": "CH/a/b/g001",
        "filed_at": NOW,
        "plan": (plan,),
        "check": Check(method="photo", by="grid"),
        "explanation": WHY,
    }
    return Dispatched(**{**base, **more})


CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")
REWORK = Evaluated(verdict="rework", failed=(f"{CASE}.1.1",), reason="still leaking")
MERGED = Merged(into=OTHER, explanation=WHY)
REJECTED = Rejected(why="not_ours", reason="private ground")
DUPLICATE = Evaluated(verdict="closed", outcome="duplicate")
