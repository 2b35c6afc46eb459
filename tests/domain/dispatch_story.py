"""A case as dispatch lives it: plans to give out, and a world in which facts come, people ask and time passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chassis.decider import Early, Inputs, Unfit
from chassis.ids import uuid7
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.fields import Fact, Place, Point
from contracts.progress import Progressed
from contracts.reference import Calendar, Catalogue
from contracts.triage import Assignment, Check, Dispatched, Explanation
from contracts.wire import build
from services.dispatch.domain import Reckoning, decider
from services.dispatch.domain.commands import (
    Acknowledge,
    By,
    Command,
)
from services.dispatch.domain.state import Case, Work
from tests.support.facts import case_id, event_of

DISTRICT = Path(__file__).parents[2] / "deploy" / "district"
RECKONING = Reckoning(
    Catalogue.model_validate_json((DISTRICT / "catalogue.json").read_bytes()),
    Calendar.model_validate_json((DISTRICT / "calendar.json").read_bytes()),
    80,
    100,
)
DECIDER = decider(RECKONING, extend_max=2, urge_cooldown_minutes=30, urge_daily_cap=3)

CASE = case_id()
T0 = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LEAD, SUPPORT = f"{CASE}.1.1", f"{CASE}.1.2"
AREA = "CH/shengdeng/hualin/g001"
LADDER = ("street:CH/shengdeng", "district:CH")
CREW = By(frozenset({"dept:water"}))
FIRE = By(frozenset({"dept:fire"}))
CENTRE = By()


def assignment(number: int, unit: str, *, of_round: int = 1, start: datetime = T0, **more: Any) -> Assignment:
    given_out = {
        "id": f"{CASE}.{of_round}.{number}",
        "unit": unit,
        "lead": number == 1,
        "task": "repair the main" if number == 1 else "bring water",
        "acknowledge_by": start + 10 * MINUTE,
        "resolve_by": start + 4 * HOUR,
        "extensions": (start + 8 * HOUR, start + 12 * HOUR),
        "escalated_to": LADDER,
        **more,
    }
    return Assignment.model_validate(given_out)


def dispatched(*plan: Assignment, of_round: int = 1, **more: Any) -> Dispatched:
    ruling = {
        "round": of_round,
        "because": "first",
        "category": "component.public-facilities.manhole",
        "condition": "a",
        "priority": 1,
        "title": "a water main has burst",
        "place": Place(point=Point(lat=30.66, lon=104.11), area=AREA),
        "area": AREA,
        "filed_at": T0,
        "plan": plan or (assignment(1, "dept:water"), assignment(2, "dept:fire")),
        "check": Check(method="photo", by="grid"),
        "explanation": Explanation(rules=("by hand",), catalogue="1", policy="1"),
        **more,
    }
    return Dispatched.model_validate(ruling)


@dataclass
class World:
    """The case as the runtime would keep it: facts are folded as they come, own ones as they are decided."""

    state: Case = field(default_factory=Case)
    events: list[Event[Any]] = field(default_factory=list)
    raws: list[tuple[str, bytes]] = field(default_factory=list)
    own: list[Fact] = field(default_factory=list)

    def fold(self, data: Any, at: datetime, source: str, actor: str | None = None) -> Event[Any]:
        event, raw = build(
            event_id=uuid7(at),
            source=source,
            subject=CASE,
            time=at,
            recorded=at,
            sequence=len(self.events) + 1,
            data=data,
            actor=actor or "partner:test",
        )
        self.state = DECIDER.evolve(self.state, event)
        self.events.append(event)
        self.raws.append((data.topic, raw))
        return event

    def took(self, data: Any, at: datetime = T0, source: str = "/services/triage") -> Any:
        """Another's fact, and what follows from it."""
        event, _ = event_of(CASE, data, source=source, time=at)
        outcome = DECIDER.react(event, self.state, Inputs(at=at, now=at, stream=CASE))
        if not isinstance(outcome, Early | Unfit):
            self.fold(data, at, source)
            self.publish(outcome, at, "clock")
        return outcome

    def asked(self, command: Command, at: datetime = T0 + MINUTE, who: str = "li") -> Sequence[Fact]:
        """A command of a person's, and what follows from it."""
        facts = DECIDER.decide(command, self.state, Inputs(at=at, now=at, stream=CASE, actor=who))
        self.publish(facts, at, who)
        return facts

    def passed(self, now: datetime) -> Sequence[Fact]:
        """What the time says until `now`."""
        facts = DECIDER.lapse(self.state, Inputs(at=now, now=now, stream=CASE, actor="clock"))
        self.publish(facts, now, "clock")
        return facts

    def publish(self, facts: Sequence[Fact], at: datetime, actor: str) -> None:
        for fact in facts:
            self.own.append(fact)
            self.fold(fact, at, "/services/dispatch", actor)

    def work(self, assignment_id: str = LEAD) -> Work:
        return self.state.work[assignment_id]


def given_out(*plan: Assignment, **more: Any) -> World:
    world = World()
    assert world.took(dispatched(*plan, **more)) == ()
    return world


def acknowledged(*plan: Assignment, **more: Any) -> World:
    """Given out, and acknowledged by every unit."""
    world = given_out(*plan, **more)
    for work in world.state.open:
        world.asked(Acknowledge(work.plan.id, By(frozenset({work.plan.unit}))))
    return world


def steps(facts: Sequence[Fact]) -> list[tuple[Any, ...]]:
    """(step, assignment, level) of each step, (outcome, assignment, None) of each end."""
    return [
        (fact.step, fact.assignment_id, fact.level)
        if isinstance(fact, Progressed)
        else (fact.outcome, fact.assignment_id, None)  # pyright: ignore[reportAttributeAccessIssue]
        for fact in facts
    ]


def ended(assignment_id: str = SUPPORT, unit: str = "dept:fire", outcome: str = "fixed", **more: Any) -> Resolved:
    reason = None if outcome == "fixed" else "because"
    return Resolved.model_validate(
        {"assignment_id": assignment_id, "unit": unit, "outcome": outcome, "reason": reason, **more}
    )
