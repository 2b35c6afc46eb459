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

from chassis.kafka.records import Record, read
from contracts import status
from contracts.causes import CAUSES, label
from contracts.fields import Place
from contracts.reference import Areas, Partner
from contracts.request import (
    Acknowledge,
    AddSupplement,
    Arrive,
    FileReport,
    Rate,
    Reopen,
    ReportedPlace,
    Resolve,
    Return,
    SetOut,
    Withdraw,
)
from contracts.wire import TOPICS
from deploy.bench.chain import CATEGORY, places
from tests.support.facts import case_id
from tests.support.infrastructure import Database
from tests.system.bus import DECIDING, Bus, Node, nodes, register

BENCH = Partner(
    id="bench",
    name="Bench",
    says=("reports", "steps"),
    units=("dept:drainage", "dept:water", "dept:fire"),
)


@pytest.fixture
async def city(district: Path, database: Database) -> AsyncIterator[dict[str, Node]]:
    found = await nodes(district, database, register(district, BENCH))
    yield found
    for node in found.values():
        await node.database.close()


async def file(bus: Bus, case: str, place: Place, category: str = CATEGORY) -> None:
    where = ReportedPlace(point=place.point, area=place.area)
    answer = await bus.ask(case, FileReport(channel="sensor", title="cover tilted", category=category, place=where))
    assert answer.data.kind == "accepted", answer


async def work(bus: Bus, case: str, *ends: type[Any], **more: Any) -> None:
    """The partner takes on every assignment it was told of last, and ends it."""
    told = [one for one in bus.events(case) if one.data.name == "Notice" and one.data.kind == "assigned"]
    newest = max(one.data.round for one in told)
    for notice in told:
        if notice.data.round == newest:
            for step in (Acknowledge, *ends):
                words = more if step is not Acknowledge else {}
                said = step(assignment_id=notice.data.assignment_id, **words)
                answer = await bus.ask(case, said, cause=notice.id)
                assert answer.data.kind == "accepted", answer


async def play(bus: Bus, district: Path) -> tuple[str, str]:
    """Straight, rated, to be reopened; returned once; answered twice, with a duplicate; withdrawn with work open; three
    units; a refusal.

    Gives the duplicate and the case it is one of.
    """
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    spots = places(areas, 10)
    straight, returned, twice, duplicate, withdrawn, three = (case_id() for _ in range(6))
    await file(bus, straight, spots[0])
    await work(bus, straight, SetOut, Arrive, Resolve)
    cause = bus.notice(straight, "closed").id
    for judged in (Rate(rating=2, comment="too slow"), Reopen(reason="it tilts again")):
        assert (await bus.ask(straight, judged, cause=cause)).data.kind == "accepted"

    await file(bus, returned, spots[1])
    await work(bus, returned, Return, reason="not ours")

    await file(bus, twice, spots[2])
    await file(bus, duplicate, spots[2])
    cause = bus.notice(duplicate, "accepted").id
    await bus.ask(duplicate, AddSupplement(text="it rings, too"), cause=cause)
    told = bus.notice(twice, "assigned")
    early = await bus.ask(twice, Resolve(assignment_id=told.data.assignment_id), cause=told.id)
    assert early.data.rule == "step.order"
    await work(bus, twice, Resolve, note="covered")
    late = await bus.ask(twice, Return(assignment_id=told.data.assignment_id, reason="too late"), cause=told.id)
    assert late.data.rule == "assignment.ended"

    await file(bus, withdrawn, spots[3])
    cause = bus.notice(withdrawn, "accepted").id
    await bus.ask(withdrawn, Withdraw(reason="my mistake"), cause=cause)

    await file(bus, three, spots[4], "event.emergency.water-main")
    await work(bus, three, Resolve)
    return duplicate, twice


def constraints(
    records: list[Record], log: list[Record], own: str, duplicate: str, original: str
) -> dict[int, set[int]]:
    """Index of a record -> indexes of those that must come before it.

    Of two reports of one thing the first makes the case: the duplicate's comes after the original's, before its end.
    What a partner asks keeps its place in its case.
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
    of_case: dict[str | None, list[int]] = {}
    for n, record in enumerate(records):
        # What is said of a duplicate concerns who works on the original.
        of_case.setdefault(original if record.stream_id == duplicate else record.stream_id, []).append(n)
    for numbers in of_case.values():  # a request is a command: what it is judged by was there before it
        for n in numbers:
            event = events[id(records[n])]
            requested = event.data.name == "Request"
            if requested or names(event) is not None:  # and so was what a verdict follows from that is rated
                before[n].update(m for m in numbers if m < n)
            if requested:
                for m in numbers:
                    if m > n:
                        before[m].add(n)
    first = {(r.topic, r.stream_id): n for n, r in reversed(list(enumerate(records)))}
    report_of_duplicate, end = first.get(("ReportFiled", duplicate)), first.get(("Evaluated", original))
    if report_of_duplicate is not None and end is not None:  # who reads only one of the two does not compare them
        before[report_of_duplicate].add(first["ReportFiled", original])
        before[end].add(report_of_duplicate)
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
        self.statuses: dict[str, str] = {}
        self.causes: dict[str, Any] = {}
        """A record that names a fact of the service's own, by where it lies -> that fact: the notice that a request
        answers, the verdict that is rated or doubted."""


@pytest.fixture(params=list(DECIDING))
async def played(request: pytest.FixtureRequest, city: dict[str, Node], district: Path) -> Played:
    """The script, played once through all; seen by the service of this parameter."""
    bus = Bus(city)
    duplicate, original = await play(bus, district)
    node = city[request.param]
    own = node.model.source
    records = [record for record in bus.log if node.reads(record.topic)]
    found = Played(node, records, constraints(records, bus.log, own, duplicate, original))
    found.said, found.shown = await node.published(), await node.views()
    found.statuses = await node.statuses()
    known = {event.id: event for event in bus.events()}
    found.causes = {
        record.coordinates: known[named]
        for record in records
        if (named := names(read(record))) is not None and known[named].source == own
    }
    return found


def names(event: Any) -> str | None:
    """The id of the fact that a request answers, or that is rated or doubted."""
    return event.causationid if event.data.name == "Request" else getattr(event.data, "verdict_id", None)


async def answering(node: Node, record: Record, cause: Any) -> Record:
    """The record as it is said in this run, in which the fact that it names has another id."""
    given = await node.database.pool.fetchval(
        "SELECT event_id FROM events WHERE stream_id = $1 AND own"
        " AND convert_from(body, 'UTF8')::jsonb -> 'data' = $2::jsonb ORDER BY version LIMIT 1",
        cause.subject,
        cause.data.model_dump_json(exclude_none=True),
    )
    assert given is not None, f"{cause.data.name} was not said before it was answered"
    return record._replace(value=(record.value or b"").replace(cause.id.encode(), given.encode()))


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
        batch: list[Record] = []
        for record in order[start : start + size]:
            if (cause := played.causes.get(record.coordinates)) is not None:
                await inbox.process(batch)
                batch, record = [], await answering(node, record, cause)
            batch.append(record)
        await inbox.process(batch)
        await node.settle()
    said = await node.published()
    assert [fact for fact in said if fact not in played.said] == []
    assert [fact for fact in played.said if fact not in said] == []
    assert said == played.said
    assert await node.views() == played.shown
    waiting = await node.database.fetch("SELECT reason FROM parked WHERE status = 'waiting'")
    assert [row["reason"] for row in waiting] == []
    assert await node.statuses() == played.statuses


async def test_each_service_shows_the_full_status_as_far_as_it_can_tell(city: dict[str, Node], district: Path) -> None:
    bus = Bus(city)
    await play(bus, district)
    full: dict[str, status.Standing] = {}
    for record in bus.log:
        if record.topic in TOPICS:
            case = record.stream_id or ""
            full[case] = status.evolve(full.get(case, status.Standing()), read(record))
    shown = {name: await node.statuses() for name, node in city.items()}
    assert {case: standing.status for case, standing in full.items()}.keys() == shown["intake"].keys()
    for name, statuses in shown.items():
        for case, found in statuses.items():
            assert found == status.coarse(name, full[case].status or "reported"), (name, case, full[case])
            assert found in status.shown_by(name), (name, case)


async def test_every_event_has_a_cause_of_a_kind_that_the_table_allows(city: dict[str, Node], district: Path) -> None:
    bus = Bus(city)
    await play(bus, district)
    events = {event.id: event for event in bus.events()}
    for event in events.values():
        name = label(event.data)
        if event.causationid is None:
            assert name == "request", event
            assert event.data.kind == "report", event
        elif name == "request":
            assert label(events[event.causationid].data).startswith("notice "), event
        else:
            assert label(events[event.causationid].data) in CAUSES[name], (name, events[event.causationid].data)


async def test_every_request_has_exactly_one_answer(city: dict[str, Node], district: Path) -> None:
    bus = Bus(city)
    await play(bus, district)
    asked = sorted(event.id for event in bus.events() if event.data.name == "Request")
    answered = sorted(event.data.request for event in bus.events() if getattr(event.data, "request", None))
    assert answered == asked
