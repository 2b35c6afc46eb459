"""Any interleaving of topics, any duplicated delivery and any batches give the same final state, on the real chassis.

A script is played once through all services. Then each service alone is given what it had read, in another order:
within a topic a case keeps its order, and nothing comes before the service's own fact that led to it; all else is free.
"""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.records import Record, read
from contracts.dispatch import Resolved
from contracts.fields import Place
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.reference import Areas
from contracts.triage import Dispatched
from deploy.bench.chain import CATEGORY, places
from tests.support.facts import case_id
from tests.support.infrastructure import Database
from tests.system.bus import DECIDING, Bus, Node, nodes


@pytest.fixture
async def city(district: Path, database: Database) -> AsyncIterator[dict[str, Node]]:
    found = await nodes(district, database)
    yield found
    for node in found.values():
        await node.database.close()


def report(place: Place, category: str = CATEGORY) -> NewReport:
    return NewReport(channel="sensor", title="cover tilted", category=category, place=place)


def plan_of(bus: Bus, case: str, round: int = 1) -> list[tuple[str, str, str]]:
    """(assignment, unit, id of the event) of a round that triage gave out."""
    for record in bus.log:
        if record.topic == "Assigned" and record.stream_id == case:
            event = read(record)
            if isinstance(event.data, Dispatched) and event.data.round == round:
                return [(assignment.id, assignment.unit, event.id) for assignment in event.data.plan]
    raise AssertionError(f"case {case} has no round {round}: {[r.topic for r in bus.log if r.stream_id == case]}")


async def play(bus: Bus, district: Path) -> tuple[str, str]:
    """Straight; returned once; answered twice; a duplicate; withdrawn with work open; three units and a supplement.

    Gives the duplicate and the case it is one of.
    """
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    spots = places(areas, 10)
    straight, returned, twice, duplicate, withdrawn, three = (case_id() for _ in range(6))
    await bus.say(straight, report(spots[0]))
    [(assignment, unit, cause)] = plan_of(bus, straight)
    await bus.say(straight, Resolved(assignment_id=assignment, unit=unit, outcome="fixed"), sequence=2, cause=cause)

    await bus.say(returned, report(spots[1]))
    [(assignment, unit, cause)] = plan_of(bus, returned)
    back = Resolved(assignment_id=assignment, unit=unit, outcome="returned", reason="not ours")
    await bus.say(returned, back, sequence=2, cause=cause)
    [(assignment, unit, cause)] = plan_of(bus, returned, round=2)
    await bus.say(returned, Resolved(assignment_id=assignment, unit=unit, outcome="fixed"), sequence=3, cause=cause)

    await bus.say(twice, report(spots[2]))
    await bus.say(duplicate, report(spots[2]))
    [(assignment, unit, cause)] = plan_of(bus, twice)
    await bus.say(twice, Supplement(text="it rings, too"), sequence=2)
    await bus.say(twice, Resolved(assignment_id=assignment, unit=unit, outcome="fixed"), sequence=3, cause=cause)
    again = Resolved(assignment_id=assignment, unit=unit, outcome="returned", reason="too late to count")
    await bus.say(twice, again, sequence=4, cause=cause)

    await bus.say(withdrawn, report(spots[3]))
    await bus.say(withdrawn, Withdrawal(reason="my mistake"), sequence=2)

    await bus.say(three, report(spots[4], "event.emergency.water-main"))
    for n, (assignment, unit, cause) in enumerate(plan_of(bus, three)):
        end = Resolved(assignment_id=assignment, unit=unit, outcome="fixed", handled_by=(f"person:{n}",))
        await bus.say(three, end, sequence=2 + n, cause=cause)
    return duplicate, twice


def constraints(
    records: list[Record], log: list[Record], own: str, duplicate: str, original: str
) -> dict[int, set[int]]:
    """Index of a record -> indexes of those that must come before it.

    Of two reports of one thing the first makes the case: the duplicate's comes after the original's, before its end.
    """
    events = {id(record): read(record) for record in log}
    by_id = {event.id: event for event in events.values()}
    position = {events[id(record)].id: n for n, record in enumerate(records)}
    last: dict[tuple[str, str], int] = {}
    before: dict[int, set[int]] = {}
    for n, record in enumerate(records):
        event = events[id(record)]
        before[n] = set()
        lane = (record.topic, event.subject)
        if lane in last:
            before[n].add(last[lane])
        last[lane] = n
        while event.causationid is not None:
            cause = by_id[event.causationid]
            if cause.source == own and cause.causationid in position:
                before[n].add(position[cause.causationid])
            event = cause
    first = {(r.topic, r.stream_id): n for n, r in reversed(list(enumerate(records)))}
    report_of_duplicate = first.get(("ReportFiled", duplicate))
    if report_of_duplicate is not None:
        before[report_of_duplicate].add(first["ReportFiled", original])
        before[first["Evaluated", original]].add(report_of_duplicate)
    return before


def shuffled(count: int, before: dict[int, set[int]], chance: random.Random) -> list[int]:
    """An order that keeps the constraints, by chance; some records come twice or later again."""
    order: list[int] = []
    open_ones = set(range(count))
    while open_ones:
        free = sorted(n for n in open_ones if not before[n] & open_ones)
        chosen = chance.choice(free)
        open_ones.remove(chosen)
        order.append(chosen)
        if chance.random() < 0.3:
            order.append(chance.choice(order))
    return order


class Played:
    """A service after the script: what it read, what it said, what it shows. No dataclass: its repr would be huge."""

    def __init__(self, node: Node, records: list[Record], before: dict[int, set[int]]) -> None:
        self.node = node
        self.records = records
        self.before = before
        self.said: list[tuple[str, str, str]] = []
        self.shown: dict[str, list[tuple[Any, ...]]] = {}


@pytest.fixture(params=list(DECIDING))
async def played(request: pytest.FixtureRequest, city: dict[str, Node], district: Path) -> Played:
    """The script, played once through all; seen by the service of this parameter."""
    bus = Bus(city)
    duplicate, original = await play(bus, district)
    node = city[request.param]
    own = node.service.source
    records = [r for r in bus.log if r.topic in node.service.topics and read(r).source != own]
    found = Played(node, records, constraints(records, bus.log, own, duplicate, original))
    found.said, found.shown = await node.published(), await node.views()
    return found


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
@given(seed=st.integers(0, 2**64), size=st.sampled_from([1, 3, 1000]))
async def test_any_interleaving_and_duplication_gives_the_same_state(played: Played, seed: int, size: int) -> None:
    node = played.node
    order = [played.records[n] for n in shuffled(len(played.records), played.before, random.Random(seed))]
    await node.clear()
    inbox = node.inbox
    for start in range(0, len(order), size):
        await inbox.process(order[start : start + size])
    said = await node.published()
    assert [fact for fact in said if fact not in played.said] == []
    assert [fact for fact in played.said if fact not in said] == []
    assert said == played.said
    assert await node.views() == played.shown
    waiting = await node.database.fetch("SELECT reason FROM parked WHERE status = 'waiting'")
    assert [row["reason"] for row in waiting] == []
