"""A small district drawn by hand, and a case in it that is told step by step, as the runtime would tell it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.engine.decider import Decider, Inputs, Refused, Unfit, decided
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Point
from contracts.fields import Place as Where
from contracts.homes import HOMES
from contracts.intake import NewReport
from contracts.progress import AwaitingRuling
from contracts.reference import (
    LEVELS,
    Area,
    Areas,
    Calendar,
    Catalogue,
    Member,
    Place,
    Places,
    Policy,
    Shift,
    Unit,
    UnitKind,
    Units,
)
from contracts.territory import Territory
from contracts.triage import Assignment, Dispatched
from contracts.wire import Circumstances, build, parse
from deploy import district
from services.triage.domain import decider
from services.triage.domain.case import Case
from services.triage.domain.commands import By, Command
from services.triage.domain.neighbours import Neighbourhood
from services.triage.domain.rulebook import Rulebook

HERE = Path(district.__file__).parent
CATALOGUE = Catalogue.model_validate_json((HERE / "catalogue.json").read_bytes())
POLICY = Policy.model_validate_json((HERE / "policy.json").read_bytes())
CALENDAR = Calendar.model_validate_json((HERE / "calendar.json").read_bytes())

NOW = datetime(2026, 5, 9, 1, 12, tzinfo=UTC)
"""09:12 in Chengdu, on a Saturday that is worked."""
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
GRID = "CH/north/mill/g001"
MAIN = "event.emergency.water-main"
POTHOLE = "component.road-traffic.surface"
POSTER = "event.advertising.poster"
LEADER = By(shift_leader=True)

AREAS = (
    "CH",
    "CH/north",
    "CH/north/mill",
    GRID,
    f"{GRID}/s01",
    "CH/north/mill/g002",
    "CH/north/hill",
    "CH/north/hill/g001",
)
CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")
WATER, STREET, FIRE, CENTRE = "dept:water", "street:CH/north", "dept:fire", "district:CH"
EVERYTHING = ("component", "event", "dispute", "service")
DAY = Shift(weekdays=(1, 2, 3, 4, 5, 6, 7), starts=time(8), ends=time(20))
NIGHT = Shift(weekdays=(1, 2, 3, 4, 5, 6, 7), starts=time(20), ends=time(8))


SCHOOL = Place(
    id="place:school",
    name="school",
    name_en="school",
    kind="school",
    point=(104.005, 30.005),
    area=GRID,
    radius_m=50,
    priority_raise=1,
)


def _area(path: str, south: float = 30.00, north: float = 30.03, east: float = 104.01) -> Area:
    ring = ((104.0, south), (east, south), (east, north), (104.0, north), (104.0, south))
    level = LEVELS[path.count("/")]
    return Area(path=path, level=level, name=path, name_en=path, households=1, polygon=ring)


def territory(areas: Iterable[Area], *places: Place) -> Territory:
    """Where these areas and places are."""
    return Territory(Areas(version="1", areas=tuple(areas)), Places(version="1", places=places))


def _areas() -> list[Area]:
    """Grids are 0.01 degrees high: mill's two from 30.00, hill's one above; a sub-grid in the west of the first."""
    leaves = {
        GRID: _area(GRID, 30.00, 30.01),
        f"{GRID}/s01": _area(f"{GRID}/s01", 30.00, 30.01, 104.002),
        "CH/north/mill/g002": _area("CH/north/mill/g002", 30.01, 30.02),
        "CH/north/hill/g001": _area("CH/north/hill/g001", 30.02, 30.03),
    }
    return [leaves.get(path) or _area(path) for path in AREAS]


TERRITORY = territory(_areas(), SCHOOL)


def _unit(name: str, kind: UnitKind, area: str, superior: str | None, *competences: str) -> Unit:
    return Unit(
        id=name,
        name=name,
        name_en=name,
        kind=kind,
        area=area,
        superior=superior,
        competences=competences or EVERYTHING,
    )


def _units() -> list[Unit]:
    made = [_unit("district:CH", "district", "CH", None), _unit("street:CH/north", "street", "CH/north", "district:CH")]
    for area in AREAS:
        depth, above = area.count("/"), area.rpartition("/")[0]
        if depth == 2:
            made.append(_unit(f"community:{area}", "community", area, f"street:{above}"))
            made.append(_unit(f"mediator:{area}", "mediator", area, f"street:{above}", "dispute"))
        if depth == 3:
            made.append(_unit(f"grid:{area}", "grid", area, f"community:{above}"))
    offices = {task.unit for category in CATALOGUE.categories for task in (category.lead, *category.supports)}
    made += [_unit(name, "department", "CH", "district:CH") for name in sorted(offices) if name.startswith("dept:")]
    made += [_unit(name, "partner", "CH", "district:CH") for name in sorted(offices) if name.startswith("partner:")]
    return made


def area(path: str, name: str | None = None) -> Area:
    """An area; where it lies on the map does not matter here. Without a name of its own it is called as its path."""
    called = name or path
    ring = ((0, 0), (1, 0), (1, 1), (0, 0))
    return Area(path=path, level=LEVELS[path.count("/")], name=called, name_en=called, households=1, polygon=ring)


def rulebook(**changes: Any) -> Rulebook:
    """The rules of the small district."""
    members = [
        Member(
            id=f"member:mill-{order + 1}",
            unit=f"grid:{GRID}",
            grid=GRID,
            full_time=order == 0,
            order=order,
            shifts=(shift,),
        )
        for order, shift in enumerate((DAY, NIGHT, DAY))
    ]
    settled: dict[str, Any] = {
        "catalogue": CATALOGUE,
        "policy": POLICY,
        "calendar": CALENDAR,
        "units": Units(version="1", units=tuple(_units())),
        "members": {f"grid:{GRID}": tuple(members)},
        "places": {SCHOOL.id: SCHOOL},
        "territory": TERRITORY,
    }
    return Rulebook(**{**settled, **changes})


RULES = rulebook()


def report(category: str | None = MAIN, **more: Any) -> NewReport:
    """A grid member's report in the first grid of mill."""
    at: dict[str, Any] = {"channel": "handset", "title": "water gushes out of the road", "place": Where(area=GRID)}
    return NewReport(category=category, **{**at, **more})


def at(lat: float, lon: float = 104.005, area: str | None = None, **more: Any) -> Where:
    """A position, with the area that lies around it if none is given."""
    point = Point(lat=lat, lon=lon)
    return Where(point=point, area=area or TERRITORY.area_at(point), **more)


def event(
    data: Fact,
    *,
    case: str = CASE,
    when: datetime = NOW,
    number: int = 1,
    actor: str = "somebody",
) -> Event[Any]:
    """A fact with circumstances that matter little, after a journey over the wire."""
    topic: str = data.topic  # pyright: ignore[reportAttributeAccessIssue]
    _, raw = build(
        data,
        Circumstances(
            event_id=f"019e0a9c-1f78-7c3e-8b1a-{number:012x}",
            source=HOMES.get(topic, "/services/triage"),
            subject=case,
            time=when,
            recorded=when,
            sequence=number,
            actor=actor,
        ),
    )
    return parse(topic, raw)


def result(assignment: str, outcome: str = "fixed", unit: str = "dept:water", **more: Any) -> Resolved:
    """How an assignment ended."""
    made: dict[str, Any] = {"assignment_id": assignment, "unit": unit, "outcome": outcome, "resolve_by": NOW}
    reason = None if outcome == "fixed" else "for a reason"
    return Resolved.model_validate({**made, "reason": reason, "late_by_seconds": 0, **more})


@dataclass
class Story:
    """A case as it is told: `hear` what others publish, `ask` as a person would, `wait` for deadlines."""

    rules: Rulebook = RULES
    case: str = CASE
    now: datetime = NOW
    near: Neighbourhood | None = None
    state: Case = field(default_factory=Case)
    told: list[Event[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decider: Decider[Command, Case] = decider(self.rules)
        self.near = self.near or Neighbourhood(self.rules)

    @property
    def status(self) -> str | None:
        """As people are shown it."""
        return self.state.standing.status

    def hear(self, fact: Fact, *, when: datetime | None = None) -> list[Fact]:
        """What follows from another's fact, which must be able to take effect."""
        heard = event(fact, case=self.case, when=when or self.now, number=len(self.told) + 1)
        facts = self.decider.react(heard, self.state, self.inputs())
        assert not isinstance(facts, Unfit), facts
        self._take(heard)
        return self._publish(facts, self.now)

    def refuses_to_hear(self, fact: Fact) -> str:
        """Why another's fact cannot take effect."""
        outcome = self.decider.react(event(fact, case=self.case), self.state, self.inputs())
        assert isinstance(outcome, Unfit)
        return outcome.reason

    def ask(self, command: Command, actor: str = "wang", **claim: Any) -> list[Fact]:
        """What follows from a person's command; `claimed` says when it was done, by that person's word."""
        counted, facts = decided(self.decider, command, self.state, self.inputs(actor, **claim))
        return self._publish(facts, counted.at)

    def wait(self, **span: float) -> list[Fact]:
        """What follows from the time that passes, and only when something is due."""
        self.now += timedelta(**span)
        due = self.decider.due(self.state)
        if due is None or due > self.now:
            return []
        return self._publish(self.decider.on_deadline(self.state, self.inputs()), self.now)

    def inputs(self, actor: str | None = None, **claim: Any) -> Inputs:
        return Inputs(at=self.now, now=self.now, stream=self.case, actor=actor, context=self.near, **claim)

    def end(self, assignment: str, outcome: str = "fixed", **more: Any) -> list[Fact]:
        """What follows when an assignment ends, by default in the hands of the unit that it was given to."""
        return self.hear(result(assignment, outcome, **{"unit": self.state.assignments[assignment].unit, **more}))

    def _publish(self, facts: Sequence[Fact], when: datetime) -> list[Fact]:
        for fact in facts:
            self._take(event(fact, case=self.case, when=when, number=len(self.told) + 1))
        return list(facts)

    def _take(self, happened: Event[Any]) -> None:
        self.told.append(happened)
        self.state = self.decider.evolve(self.state, happened)
        assert self.near is not None
        self.near.learn(happened)


def filed(**more: Any) -> Story:
    """A case that is given out: a burst main with water, street and fire brigade."""
    story = Story()
    story.hear(report(**more))
    assert story.status == "dispatched"
    return story


def only(facts: Sequence[Fact]) -> Dispatched:
    """The one ruling among facts that must be a dispatch."""
    [fact] = facts
    assert isinstance(fact, Dispatched), fact
    return fact


def sole(facts: Sequence[Fact]) -> Assignment:
    """The one assignment of the one ruling."""
    [assignment] = only(facts).plan
    return assignment


def verifying(**more: Any) -> Story:
    """A case that a grid member is to look at first."""
    story = Story()
    story.hear(report(POTHOLE, channel="citizen", **more))
    return story


def waiting(**more: Any) -> Story:
    """A case of which the rules know neither what nor where."""
    story = Story()
    story.hear(report(None, **{"title": "zzz", "place": Where(), **more}))
    return story


def returned_twice() -> Story:
    """A case of which the same work was returned twice, so that only the shift leader rules on it."""
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    [step] = story.end(f"{CASE}.2.1", "returned")
    assert isinstance(step, AwaitingRuling)
    assert step.queue == "second_return"
    return story


def rework(*failed: str) -> Evaluated:
    """A check that failed."""
    return Evaluated(verdict="rework", failed=failed, reason="still leaking")


def refused(story: Story, command: Command) -> str:
    """The rule by which a command is refused; nothing has happened."""
    with pytest.raises(Refused) as refusal:
        story.ask(command)
    return refusal.value.rule
