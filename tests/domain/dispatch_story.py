"""A case as dispatch lives it: plans to give out, and a world in which facts come, people and partners ask, other cases
are heard of, and time passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chassis.engine.decider import Inputs, Unfit, decided
from chassis.ids import uuid7
from contracts import causes, triage
from contracts.envelope import Event
from contracts.fields import Fact, Place, Point
from contracts.intake import Supplement
from contracts.reference import NO_PARTNERS, Calendar, Catalogue, Partner, Partners, Policy, Unit, Units
from contracts.triage import Dispatched, Merged
from contracts.wire import Circumstances, build
from services.dispatch.domain import decider
from services.dispatch.domain.assignment import Assignment
from services.dispatch.domain.case import Case
from services.dispatch.domain.clock import DeadlineClock
from services.dispatch.domain.commands import Acknowledge, Command
from services.dispatch.domain.permissions import By
from services.dispatch.domain.rules import Rules
from tests.support import rulings
from tests.support.facts import case_id, event_of, home_of

DISTRICT = Path(__file__).parents[2] / "deploy" / "district"
POLICY = Policy.model_validate_json((DISTRICT / "policy.json").read_bytes())
CLOCK = DeadlineClock(
    Catalogue.model_validate_json((DISTRICT / "catalogue.json").read_bytes()),
    Calendar.model_validate_json((DISTRICT / "calendar.json").read_bytes()),
    80,
    100,
)

AREA = "CH/shengdeng/hualin/g001"
STREET, CENTRAL = "street:CH/shengdeng", "district:CH"
COMMUNITY, GRID = "community:CH/shengdeng/hualin", f"grid:{AREA}"
LADDER = (STREET, CENTRAL)
"""Above the water company, as in the plans."""


def _unit(name: str, superior: str | None) -> Unit:
    prefix, _, area = name.partition(":")
    return Unit.model_validate(
        {
            "id": name,
            "name": name,
            "name_en": name,
            "kind": "department" if prefix == "dept" else prefix,
            "area": area if "CH" in area else "CH",
            "competences": (),
            "superior": superior,
        }
    )


UNITS = Units(
    version="1",
    units=(
        _unit(CENTRAL, None),
        _unit(STREET, CENTRAL),
        _unit(COMMUNITY, STREET),
        _unit(GRID, COMMUNITY),
        _unit("dept:water", STREET),
        _unit("dept:fire", CENTRAL),
    ),
)
RULES = Rules(CLOCK, UNITS, POLICY)
DECIDER = decider(RULES)


def partners(**units: Sequence[str]) -> Partners:
    """Partners of these names, each answering for some units."""
    found = [Partner(id=name, name=name, units=tuple(of), says=("steps",)) for name, of in units.items()]
    return Partners(partners=tuple(found))


WATER_ONLY = partners(water=["dept:water"])
WATER_AND_FIRE = partners(water=["dept:water"], fire=["dept:fire"])

CASE, OTHER = case_id(), case_id()
T0 = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LEAD, SUPPORT = f"{CASE}.1.1", f"{CASE}.1.2"
CREW = By(frozenset({"dept:water"}))
FIRE = By(frozenset({"dept:fire"}))
STREETS = By(frozenset({STREET}))
CENTRE = By(centre=True)


def of(unit: str) -> By:
    """A person of that unit."""
    return By(frozenset({unit}))


def assignment(number: int, unit: str, *, of_round: int = 1, start: datetime = T0, **more: Any) -> triage.Assignment:
    extensions = (start + 8 * HOUR, start + 12 * HOUR)
    given = {"extensions": extensions, "escalated_to": LADDER, **more}
    return rulings.assignment(given.pop("id", f"{CASE}.{of_round}.{number}"), unit, start, **given)


def dispatched(*plan: triage.Assignment, of_round: int = 1, **more: Any) -> Dispatched:
    given = {
        "round": of_round,
        "because": "first",
        "category": "component.public-facilities.manhole",
        "condition": "a",
        "place": Place(point=Point(lat=30.66, lon=104.11), area=AREA),
        "filed_at": T0,
        **more,
    }
    plan = plan or (assignment(1, "dept:water"), assignment(2, "dept:fire"))
    return rulings.dispatched(*plan, area=AREA, **given)


def merged(said: str | None = "no water", into: str = CASE) -> Merged:
    return rulings.merged(into, said=said)


@dataclass
class World:
    """The case as the runtime would keep it: facts are folded as they come, own ones as they are decided."""

    partners: Partners = NO_PARTNERS
    case: str = CASE
    state: Case = field(default_factory=Case)
    events: list[Event[Any]] = field(default_factory=list)
    raws: list[tuple[str, bytes]] = field(default_factory=list)
    own: list[Any] = field(default_factory=list)
    marks: causes.Marks = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    def fold(self, data: Any, at: datetime, source: str, cause: str | None = None, actor: str = "test") -> Event[Any]:
        """An event of this case from now on."""
        self.sequences[source] = self.sequences.get(source, 0) + 1
        event, raw = build(
            data,
            Circumstances(
                event_id=uuid7(at),
                source=source,
                subject=self.case,
                time=at,
                recorded=at,
                sequence=self.sequences[source],
                cause=cause,
                actor=actor,
            ),
        )
        self.state = DECIDER.evolve(self.state, event)
        self.events.append(event)
        self.marks = causes.marked(self.marks, event, len(self.events))
        self.raws.append((data.topic, raw))
        return event

    def inputs(self, at: datetime, who: str | None = None, **more: Any) -> Inputs:
        return Inputs(at=at, now=at, stream=self.case, actor=who, partners=self.partners, **more)

    def took(self, data: Any, at: datetime = T0) -> Any:
        """Another's fact, and what follows from it here."""
        return self.met(data, at)[0]

    def met(self, data: Any, at: datetime = T0) -> tuple[Any, list[tuple[Any, str]]]:
        """Another's fact: what follows from it here, and which events which other cases are to hear of."""
        before = self.state
        event = self.fold(data, at, home_of(data))
        outcome = DECIDER.react(event, before, self.inputs(at))
        assert not isinstance(outcome, Unfit), outcome
        self.publish(outcome, at, cause=event)
        return outcome, [*DECIDER.propagates_to(event, self.state, self.inputs(at))]

    def hears(self, event: Event[Any], at: datetime = T0) -> Sequence[Any]:
        """Another case's event, and what follows from it here."""
        facts = DECIDER.on_propagated(event, self.state, self.inputs(at))
        self.publish(facts, at, cause=event)
        return facts

    def asked(self, command: Command, at: datetime = T0 + MINUTE, who: str = "li", **more: Any) -> Sequence[Any]:
        """A command of a person's, and what follows from it."""
        counted, facts = decided(DECIDER, command, self.state, self.inputs(at, who, **more))
        self.publish(facts, counted.at, actor=who)
        return facts

    def passed(self, now: datetime) -> Sequence[Any]:
        """What the time says until `now`."""
        facts = DECIDER.on_deadline(self.state, self.inputs(now, "clock"))
        self.publish(facts, now, actor="clock")
        return facts

    def publish(
        self, facts: Sequence[Fact], at: datetime, cause: Event[Any] | None = None, actor: str = "clock"
    ) -> None:
        first = len(self.events) + 1
        for fact in facts:
            self.own.append(fact)
            found = causes.cause(fact, self.marks, since=first, given=cause)
            self.fold(fact, at, "/services/dispatch", found, actor)

    def assignment(self, assignment_id: str = LEAD) -> Assignment:
        return self.state.assignments[assignment_id]

    def notices(self, to: str | None = None) -> list[Any]:
        """What partners were told, or what this one was told."""
        return [fact for fact in self.own if fact.name == "Notice" and to in (None, fact.to)]


def given_out(*plan: triage.Assignment, to: Partners = NO_PARTNERS, **more: Any) -> World:
    """A world in which the case was given out."""
    world = World(to)
    world.took(dispatched(*plan, **more))
    return world


def acknowledged(*plan: triage.Assignment, to: Partners = NO_PARTNERS, **more: Any) -> World:
    """Given out, and acknowledged by every unit."""
    world = given_out(*plan, to=to, **more)
    for one in world.state.open_assignments:
        world.asked(Acknowledge(one.plan.id, of(one.plan.unit)))
    return world


def steps(facts: Sequence[Any]) -> list[tuple[str, str, int | None]]:
    """(step, assignment, level) of each step, (outcome, assignment, None) of each end."""
    return [
        (fact.step, fact.assignment_id, getattr(fact, "level", None))
        if fact.name == "Progressed"
        else (fact.outcome, fact.assignment_id, None)
        for fact in facts
        if fact.name != "Notice"
    ]


def told(facts: Sequence[Any]) -> list[tuple[str, str, str | None]]:
    """(partner, kind, assignment) of each notice."""
    return [(fact.to, fact.kind, getattr(fact, "assignment_id", None)) for fact in facts if fact.name == "Notice"]


def follower(*, said: str | None = "no water", case: str = OTHER) -> Event[Any]:
    """The event by which another case was merged into this one."""
    return event_of(case, merged(said), time=T0)[0]


def added(text: str, case: str = OTHER) -> Event[Any]:
    """A supplement to another case."""
    return event_of(case, Supplement(text=text), time=T0)[0]
