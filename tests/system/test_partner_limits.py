"""What a partner cannot do, a sentence each, however it tries; and what junk cannot do, at every service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.kafka.records import Record
from chassis.store.database import Database as Store
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import NewReport, Withdrawal
from contracts.progress import Extended, Verified
from contracts.reference import Areas, Partner
from contracts.request import Acknowledge, AddSupplement, FileReport, Note, ReportedPlace, Resolve, Return, Withdraw
from contracts.triage import Rejected
from deploy.bench.chain import CATEGORY, places
from services.audit.log import Log
from services.audit.service import MIGRATIONS
from tests.support.facts import HEADERS, case_id, event_of, record_of
from tests.support.infrastructure import Database
from tests.system.bus import STARTED, Bus, Node, nodes, register

DRAINAGE = Partner(id="drainage", name="Drainage", says=("reports", "steps"), units=("dept:drainage",))
WATER = Partner(id="water", name="Water", says=("reports", "steps"), units=("dept:water",))
RIVAL = "/partners/water"


@pytest.fixture
async def city(district: Path, database: Database) -> AsyncIterator[dict[str, Node]]:
    found = await nodes(district, database, register(district, DRAINAGE, WATER))
    yield found
    for node in found.values():
        await node.database.close()


class Scene:
    """A case that the drainage office filed, whose one assignment is its own; the water company is the rival."""

    def __init__(self, bus: Bus, case: str, assignment: str, spots: list[Place]) -> None:
        self.bus = bus
        self.case = case
        self.assignment = assignment
        self.spots = spots

    async def own_case(self) -> tuple[str, str]:
        """A case of the rival's own, and the notice that it was accepted."""
        mine = case_id()
        where = ReportedPlace(point=self.spots[1].point, area=self.spots[1].area)
        answer = await self.bus.ask(mine, FileReport(title="ours", place=where), partner="water")
        return mine, answer.id

    async def asks(self, request: Fact, cause: str | None = None, case: str | None = None) -> Any:
        return await self.bus.ask(case or self.case, request, cause=cause, partner="water")


@pytest.fixture
async def scene(city: dict[str, Node], district: Path) -> Scene:
    bus = Bus(city)
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    spots = places(areas, 3)
    case = case_id()
    where = ReportedPlace(point=spots[0].point, area=spots[0].area)
    await bus.ask(case, FileReport(title="a cover tilts", category=CATEGORY, place=where), partner="drainage")
    return Scene(bus, case, bus.notice(case, "assigned").data.assignment_id, spots)


async def withdraw(scene: Scene) -> list[Any]:
    _, cause = await scene.own_case()
    return [await scene.asks(Withdraw(reason="not theirs"), one) for one in (None, cause)]


async def supplement(scene: Scene) -> list[Any]:
    _, cause = await scene.own_case()
    return [await scene.asks(AddSupplement(text="it is nothing"), one) for one in (None, cause)]


async def end_anothers(scene: Scene) -> list[Any]:
    mine, cause = await scene.own_case()
    stolen = scene.bus.notice(scene.case, "assigned").id
    found = []
    for said in (
        Resolve(assignment_id=scene.assignment),
        Acknowledge(assignment_id=scene.assignment),
        Note(assignment_id=scene.assignment, note="x"),
        Return(assignment_id=scene.assignment, reason="x"),
    ):
        for case in (scene.case, mine):
            for one in (cause, stolen, None):
                found.append(await scene.asks(said, one, case))
    return found


REFUSED: dict[str, Callable[[Scene], Awaitable[list[Any]]]] = {
    "withdraw another's case": withdraw,
    "supplement another's case": supplement,
    "end another unit's assignment": end_anothers,
}


@pytest.mark.parametrize("sentence", REFUSED)
async def test_a_partner_cannot(scene: Scene, city: dict[str, Node], sentence: str) -> None:
    version = "SELECT version FROM streams WHERE stream_id = $1"
    before = {name: await node.database.pool.fetchval(version, scene.case) for name, node in city.items()}
    statuses = {name: (await node.statuses()).get(scene.case) for name, node in city.items()}
    for answer in await REFUSED[sentence](scene):
        assert answer.data.kind == "refused", answer
        assert answer.data.to == "water"
        assert answer.subject != scene.case, "no word of it is written into another's case"
    assert {name: await node.database.pool.fetchval(version, scene.case) for name, node in city.items()} == before
    assert {name: (await node.statuses()).get(scene.case) for name, node in city.items()} == statuses


def _forged(case: str, assignment: str) -> dict[str, Fact]:
    return {
        "rule": Rejected(why="not_ours", reason="x"),
        "evaluate": Evaluated(verdict="rework", failed=(assignment,)),
        "close": Evaluated(verdict="closed", outcome="fixed"),
        "end an assignment itself": Resolved(
            assignment_id=assignment, unit="dept:drainage", outcome="fixed", resolve_by=STARTED, late_by_seconds=0
        ),
        "report in intake's name": Withdrawal(reason="x"),
        "extend": Extended(assignment_id=assignment, unit="dept:drainage", count=1, due_at=STARTED),
        "check": Verified(note="fine"),
    }


@pytest.mark.parametrize("sentence", _forged(case_id(), f"{case_id()}.1.1"))
@pytest.mark.parametrize("source", [RIVAL, "/services/audit"])
async def test_a_partner_cannot_write_the_topics_of_facts(
    scene: Scene, city: dict[str, Node], sentence: str, source: str
) -> None:
    fact = _forged(scene.case, scene.assignment)[sentence]
    said = {name: await node.published() for name, node in city.items()}
    _, raw = event_of(scene.case, fact, source=source)
    await scene.bus.put([record_of(raw, scene.case, fact.topic)])
    assert {name: await node.published() for name, node in city.items()} == said
    parked = [
        (name, row["kind"])
        for name, node in city.items()
        for row in await node.database.fetch("SELECT kind FROM parked WHERE status = 'waiting'")
    ]
    parker = {"Assigned": "dispatch", "Progressed": None}.get(fact.topic, "triage")
    assert parked == ([(parker, "forged")] if parker else [])


@pytest.mark.parametrize("sentence", ["rule", "evaluate", "close", "end an assignment itself", "extend", "check"])
async def test_a_partner_cannot_say_on_its_own_topic_what_is_not_its_to_say(scene: Scene, sentence: str) -> None:
    fact = _forged(scene.case, scene.assignment)[sentence]
    _, raw = event_of(scene.case, fact, source=RIVAL)
    await scene.bus.put([record_of(raw, scene.case, "from.water")])
    answer = [one for one in scene.bus.events() if one.data.name == "Notice" and one.data.to == "water"][-1]
    assert (answer.data.kind, answer.data.rule) == ("refused", "record.invalid")


@pytest.mark.parametrize(("back", "doubtful"), [(timedelta(minutes=9), False), (timedelta(hours=12), True)])
async def test_a_partner_cannot_state_its_own_lateness(
    scene: Scene, city: dict[str, Node], back: timedelta, doubtful: bool
) -> None:
    told = scene.bus.notice(scene.case, "assigned")
    await scene.bus.ask(scene.case, Acknowledge(assignment_id=scene.assignment), partner="drainage", cause=told.id)
    for node in city.values():
        node.clock.advance(hours=9)
    claimed = STARTED + timedelta(hours=9) - back
    _, raw = event_of(
        scene.case, Resolve(assignment_id=scene.assignment), source="/partners/drainage", time=claimed, cause=told.id
    )
    attributes = orjson.loads(raw)
    attributes["data"] |= {
        "late_by_seconds": 0,
        "urged": 0,
        "supervised": False,
        "resolve_by": "2100-01-01T00:00:00Z",
    }
    await scene.bus.put([record_of(orjson.dumps(attributes), scene.case, "from.drainage")])
    end = next(one for one in scene.bus.events(scene.case) if isinstance(one.data, Resolved))
    assert end.data.late_by_seconds == 5 * 3600
    assert (end.data.claimed_at, end.data.time_doubtful) == (claimed, doubtful)
    closed = [one for one in scene.bus.events(scene.case) if isinstance(one.data, Evaluated)]
    assert bool(closed) != doubtful


async def test_a_partner_cannot_learn_another_units_task(scene: Scene) -> None:
    """In a case with three units each partner hears of its own assignment only, and of no reporter."""
    case = case_id()
    where = ReportedPlace(point=scene.spots[2].point, area=scene.spots[2].area)
    report = FileReport(
        title="burst",
        category="event.emergency.water-main",
        place=where,
        reporter_ref="caller-77",
        text="by the bridge",
    )
    await scene.bus.ask(case, report, partner="drainage")
    plan = next(one.data.plan for one in scene.bus.events(case) if getattr(one.data, "ruling", "") == "dispatched")
    own = next(one for one in plan if one.unit == "dept:water")
    heard = [one for one in scene.bus.events() if one.data.name == "Notice" and one.data.to == "water"]
    assert [one.data.assignment_id for one in heard if one.subject == case] == [own.id]
    words = " ".join(one.model_dump_json() for one in heard)
    assert all(one.task not in words and one.id not in words for one in plan if one.id != own.id)
    assert "caller-77" not in words
    assert "by the bridge" in words


def _mutants(raw: bytes) -> dict[str, bytes]:
    """Sixty kinds of junk, made from a valid record."""
    event = orjson.loads(raw)
    dropped = {f"without {name}": {k: v for k, v in event.items() if k != name} for name in event}
    del dropped["without datacontenttype"], dropped["without dataschema"], dropped["without actor"]
    names = ("time", "subject", "data", "source", "id", "causationid", "sequence")
    values = (None, 7, [], {}, "x", "0001-01-01T00:00:00Z")
    retyped = {f"{name} is {value!r}": {**event, name: value} for name in names for value in values}
    del retyped["causationid is None"]
    texts = {
        "empty": b"", "text": b"not json", "bytes": b"\xff\xfe\x00", "null": b"null", "list": b"[]", "number": b"1e400",
        "NaN": raw.replace(b'"sequence":"0000000001"', b'"sequence":NaN'),
        "twice": raw.replace(b'"specversion":"1.0"', b'"specversion":"1.0","specversion":"1.0"'),
        "surrogate": raw.replace(b'"actor":"', b'"actor":"\\ud800'),
        "huge": raw + b" " * 300_000, "deep": b"[" * 5000, "bom": b"\xef\xbb\xbf" + raw, "cut": raw[:-1],
        "another type": raw.replace(b".v1", b".v7"), "another source": raw.replace(b"/services/", b"/partners/"),
        "long number": raw.replace(b'"datacontenttype"', b'"x":123456789012345678901234567890,"datacontenttype"'),
    }  # fmt: skip
    return {**{name: orjson.dumps(value) for name, value in {**dropped, **retyped}.items()}, **texts}


VALID: dict[str, Fact] = {
    "intake": Rejected(why="not_ours", reason="beyond the river"),
    "triage": NewReport(channel="sensor", title="a cover tilts", category=CATEGORY),
    "dispatch": Rejected(why="not_ours", reason="beyond the river"),
    "feedback": Rejected(why="not_ours", reason="beyond the river"),
    "audit": NewReport(channel="sensor", title="a cover tilts", category=CATEGORY),
}
"""Service -> a fact it takes in, of a case it has not heard of."""


@pytest.mark.parametrize("service", VALID)
async def test_junk_under_a_cases_key_delays_no_valid_record_of_that_case(
    city: dict[str, Node], database: Database, service: str
) -> None:
    case, fact = case_id(), VALID[service]
    event, raw = event_of(case, fact, time=STARTED)
    mutants = _mutants(raw)
    assert len(mutants) >= 60
    junk = [record_of(value, case, fact.topic) for value in mutants.values()]
    junk += [
        record_of(raw, case, fact.topic, headers=()),
        record_of(raw, case, fact.topic, key=b"another"),
        record_of(None, case, fact.topic),
    ]
    records = [*junk, record_of(raw, case, fact.topic, headers=HEADERS), *junk]
    if service == "audit":
        await _audited(database, records, case, event.id)
        return
    node = city[service]
    inbox = node.inbox
    await inbox.process(records)
    stored = await node.database.fetch("SELECT event_id FROM events WHERE stream_id = $1 AND NOT own", case)
    assert [row["event_id"] for row in stored] == [event.id]
    kinds = [row["kind"] for row in await node.database.fetch("SELECT kind FROM parked")]
    assert {len(kinds), inbox.reader.passed_over[fact.topic] // 2} == {0, len(junk)}, (
        "each parked once, or counted each time"
    )
    assert set(kinds) <= {"invalid", "forged"}


async def _audited(urls: Database, records: list[Record], case: str, event_id: str) -> None:
    store = Store(urls.url("audit"), "audit", size=2, migrations=MIGRATIONS)
    await store.open()
    try:
        await Log(store).process(records)
        rows = await store.fetch("SELECT event_id FROM log WHERE valid")
        assert [row["event_id"] for row in rows] == [event_id]
        assert await store.fetch("SELECT 1 FROM cases WHERE case_id = $1", case) != []
    finally:
        await store.close()
