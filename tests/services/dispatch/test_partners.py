"""What partners ask of dispatch on their topics, its answers, and what they are told: on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chassis.engine import propagation
from chassis.engine.commands import CommandRequest, Commands
from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.store.streams import Cache
from contracts.feedback import Evaluated
from contracts.fields import Fact, case_of
from contracts.intake import Supplement
from contracts.request import Acknowledge, Arrive, HandOn, Note, RequestExtension, Resolve, Return, SetOut
from services.dispatch.domain import commands
from services.dispatch.newly_responsible import make_due
from services.dispatch.service import MIGRATIONS, build
from tests.services.dispatch.desk import (
    CENTRAL,
    HOUR,
    T0,
    dispatched,
    merged,
    partner,
    plan,
    register,
)
from tests.support import facts
from tests.support.facts import case_id, event_of, record_of
from tests.support.services import Hands, Mortal, all_read

FIRE = partner("fire", "dept:fire")


@dataclass
class Home:
    """Dispatch's parts, with their store, by a clock moved by hand; the broker's clock agrees with it."""

    folder: Path
    partners: Path
    database: Mortal
    clock: Hands

    def model(self) -> Model:
        """The service's model as a process that begins now would have it: it sees the partners as they are."""
        built = build(Settings.model_validate({"CASEGRID_DISTRICT": self.folder})).model
        assert isinstance(built, Model)
        return replace(built, registry=Registry(self.partners))

    def worker(self) -> Inbox:
        """A worker that has just begun: it remembers nothing."""
        return Inbox(self.model(), self.database, self.clock, self.clock)

    def timers(self) -> Timers:
        return Timers(self.model(), self.database, self.clock, Cache(), all_read)

    def people(self) -> Commands:
        return Commands(self.model(), self.database, self.clock)

    async def take(self, *records: Record) -> None:
        await self.worker().process(records)

    async def given_out(self, case: str | None = None, **more: Any) -> str:
        """A case whose support is the fire brigade's; its id."""
        case = case or case_id()
        await self.take(fact_record(case, dispatched(case, **more), time=self.clock()))
        return case

    async def ask(self, case: str, words: Fact, **more: Any) -> dict[str, Any]:
        """Lets the fire brigade ask something about the assignment it was told of; the one answer, an event."""
        record = await self.request(case, words, **more)
        await self.take(record)
        [answer] = await self.answers(record)
        return answer

    async def request(self, case: str, words: Fact, **more: Any) -> Record:
        """What the fire brigade asks, with the latest notice it got on the case as its cause."""
        told = [event["id"] for event in await self.notices("fire") if event["subject"] == case]
        circumstances = {"source": "/partners/fire", "actor": "desk", "time": self.clock(), **more}
        return fact_record(case, words, **{"cause": told[-1] if told else None, **circumstances})

    async def answers(self, record: Record) -> list[dict[str, Any]]:
        """All answers to the request in this record, wherever they stand."""
        asked = json.loads(record.value or b"")["id"]
        return [event for event in await self.notices() if event["data"].get("request") == asked]

    async def do(self, person: str, unit: str, command: Any, at: datetime | None = None) -> str:
        """A person's command over HTTP: what came of it, in a word."""
        case, request = case_of(command.assignment_id), CommandRequest(person, claimed_at=at)
        try:
            done = await self.people().execute(case, command, request, lambda _, made: (200, len(made)))
        except Refused as refusal:
            return refusal.rule
        return "done" if int(done.body) else "nothing new"

    async def events(self, case: str) -> list[dict[str, Any]]:
        """What dispatch has said about a case, in order."""
        query = "SELECT body FROM events WHERE stream_id = $1 AND own ORDER BY version"
        return [json.loads(row["body"]) for row in await self.database.fetch(query, case)]

    async def steps(self, case: str) -> list[str]:
        """The steps, ends and notices of a case, each in a word."""
        found = [event["data"] for event in await self.events(case)]
        return [data.get("step") or data.get("kind") or data["outcome"] for data in found]

    async def notices(self, to: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """What partners have been told."""
        rows = await self.database.fetch(
            "SELECT payload FROM unpublished WHERE aggregatetype LIKE 'to.%'"
            " AND ($1::text IS NULL OR aggregatetype = $1) ORDER BY position",
            to and f"to.{to}",
        )
        found = [json.loads(row["payload"]) for row in rows]
        return [one for one in found if kind in (None, one["data"]["kind"])]

    async def version(self, case: str) -> int:
        row = await self.database.fetchrow("SELECT version FROM streams WHERE stream_id = $1", case)
        return row["version"] if row is not None else 0


def fact_record(case: str, fact: Fact, **more: Any) -> Record:
    """As a home whose clock agrees with dispatch's says it."""
    return facts.fact_record(case, fact, **{"time": T0, **more})


@pytest.fixture
async def home(url: str, district_folder: Path, partners_file: Path) -> AsyncIterator[Home]:
    database = Mortal(url, "dispatch", size=6, migrations=MIGRATIONS)
    await database.open()
    yield Home(district_folder, partners_file, database, Hands(T0))
    await database.close()


def support(case: str) -> str:
    """The fire brigade's assignment."""
    return f"{case}.1.2"


def lead(case: str) -> str:
    """The water company's, of which the fire brigade knows nothing."""
    return f"{case}.1.1"


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


async def test_what_is_accepted_is_dispatchs_own_fact_with_the_partners_event_as_its_cause(home: Home) -> None:
    case = await home.given_out()
    record = await home.request(case, Acknowledge(assignment_id=support(case)))
    await home.take(record)
    _, step, answer = await home.events(case)
    assert (step["source"], step["data"]["step"]) == ("/services/dispatch", "acknowledged")
    assert (step["causationid"], step["actor"]) == (json.loads(record.value or b"")["id"], "fire:desk")
    assert (answer["data"]["kind"], answer["causationid"]) == ("accepted", step["id"])


async def test_a_partner_works_an_assignment_off_to_its_end(home: Home) -> None:
    case = await home.given_out()
    name = support(case)
    for words in (
        Acknowledge(assignment_id=name),
        SetOut(assignment_id=name),
        Arrive(assignment_id=name),
        Note(assignment_id=name, note="two trucks"),
        RequestExtension(assignment_id=name, reason="no hose"),
        Resolve(assignment_id=name, note="done", handled_by=("crew 7",)),
    ):
        home.clock.advance(minutes=1)
        answer = await home.ask(case, words)
        assert answer["data"]["kind"] == "accepted", answer
    end = next(event for event in await home.events(case) if event["data"].get("outcome"))
    assert end["data"]["handled_by"] == ["fire:desk", "fire:crew 7"]
    assert (end["data"]["unit"], end["data"]["acknowledged_at"]) == ("dept:fire", "2026-05-09T02:01:00.000000Z")
    await home.take(fact_record(case, Evaluated(verdict="closed", outcome="fixed")))
    assert [one["data"]["kind"] for one in await home.notices("fire")][-1] == "case_closed"


async def test_a_partner_returns_what_is_not_its_to_do(home: Home) -> None:
    case = await home.given_out()
    answer = await home.ask(case, Return(assignment_id=support(case), reason="not ours"))
    assert answer["data"]["kind"] == "accepted"
    assert await home.steps(case) == ["assigned", "returned", "accepted"]


async def test_a_superiors_partner_is_offered_it_and_hands_it_on(home: Home) -> None:
    register(home.partners, partner("fire", CENTRAL))
    case = await home.given_out()
    home.clock.advance(minutes=10)
    assert await home.timers().look() == 1
    [first, second] = await home.notices("fire", "assigned")
    assert {one["data"]["assignment_id"] for one in (first, second)} == {lead(case), support(case)}
    assert first["data"]["offered"]
    answer = await home.ask(case, HandOn(assignment_id=lead(case), unit="dept:gas", reason="they are near"))
    assert answer["data"]["kind"] == "accepted"
    assert await home.do("qi", "dept:gas", commands.Acknowledge(lead(case), of("dept:gas"))) == "done"
    assert [one["data"]["assignment_id"] for one in await home.notices("fire", "cancelled")] == [lead(case)]


def of(unit: str) -> commands.By:
    return commands.By(frozenset({unit}))


Asked = Callable[[str], tuple[Fact, str]]
REFUSED: dict[str, Asked] = {
    "a resolve before an acknowledgement": lambda case: (Resolve(assignment_id=support(case)), "step.order"),
    "the end of another unit's assignment": lambda case: (Resolve(assignment_id=lead(case)), "assignment.unit"),
    "a remark on another unit's assignment": lambda case: (Note(assignment_id=lead(case), note="x"), "assignment.unit"),
    "an unknown assignment": lambda case: (Acknowledge(assignment_id=f"{case}.7.1"), "unknown"),
    "an assignment of another case": lambda case: (Acknowledge(assignment_id=support(case_id())), "unknown"),
    "handing on what is its own": lambda case: (
        HandOn(assignment_id=support(case), unit="dept:gas", reason="busy"),
        "hand_on.unit",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_breaks_a_rule_is_a_step_of_the_case_that_the_partner_works_in(home: Home, what: str) -> None:
    case = await home.given_out()
    words, rule = REFUSED[what](case)
    record = await home.request(case, words)
    await home.take(record)
    [answer] = await home.answers(record)
    assert (answer["subject"], answer["data"]["kind"], answer["data"]["rule"]) == (case, "refused", rule)
    _, step, _ = await home.events(case)
    assert (step["data"]["step"], step["data"]["partner"], step["data"]["rule"]) == ("refused", "fire", rule)
    assert (step["causationid"], answer["causationid"]) == (json.loads(record.value or b"")["id"], step["id"])


@pytest.mark.parametrize("cause", ["none", "the partner's own request", "another's notice", "a notice on another case"])
async def test_a_request_that_names_no_notice_on_that_case_is_refused(home: Home, cause: str) -> None:
    register(home.partners, FIRE, partner("water", "dept:water"))
    case, other = await home.given_out(), await home.given_out()
    earlier = await home.request(case, Acknowledge(assignment_id=support(case)))
    causes = {
        "none": None,
        "the partner's own request": json.loads(earlier.value or b"")["id"],
        "another's notice": (await home.notices("water"))[0]["id"],
        "a notice on another case": next(one["id"] for one in await home.notices("fire") if one["subject"] == other),
    }
    answer = await home.ask(case, Acknowledge(assignment_id=support(case)), cause=causes[cause])
    assert answer["data"]["rule"] == "cause.unknown"


@pytest.mark.parametrize("known", [True, False], ids=["another's case", "no case at all"])
async def test_nothing_is_written_into_a_case_in_which_the_partner_does_not_work(home: Home, known: bool) -> None:
    case = case_id()
    if known:
        await home.take(fact_record(case, dispatched(case, plan(case, 1, "dept:water")), time=T0))
    before = await home.version(case)
    record = await home.request(case, Resolve(assignment_id=lead(case)), cause=case_id())
    await home.take(record)
    [answer] = await home.answers(record)
    assert (answer["data"]["rule"], answer["data"]["case_id"]) == ("unknown", case)
    assert answer["data"]["reason"] == "there is no such case of yours"
    assert answer["subject"] != case
    assert await home.version(case) == before


async def test_a_partner_is_never_told_of_another_units_task(home: Home) -> None:
    case = await home.given_out()
    await home.take(fact_record(case, Supplement(text="the cellar is full")))
    await home.do("li", "dept:water", commands.Acknowledge(lead(case), of("dept:water")))
    await home.do("d", "dept:water", commands.Urge(lead(case), commands.By(centre=True)))
    await home.ask(case, Note(assignment_id=lead(case), note="what are you doing?"))
    told = json.dumps(await home.notices("fire"))
    assert lead(case) not in told
    assert "repair the main" not in told


async def test_what_a_partner_says_of_its_own_lateness_is_not_read(home: Home) -> None:
    case = await home.given_out()
    name = support(case)
    await home.ask(case, Acknowledge(assignment_id=name))
    home.clock.at = T0 + 6 * HOUR
    honest = await home.request(case, Resolve(assignment_id=name), time=T0 + HOUR)
    boasting = json.loads(honest.value or b"")
    boasting["data"] |= {"late_by_seconds": 0, "resolve_by": "2026-05-10T00:00:00Z", "urged": 0}
    record = record_of(json.dumps(boasting, separators=(",", ":")).encode(), case, "from.fire")
    await home.take(record)
    end = next(event["data"] for event in await home.events(case) if event["data"].get("outcome"))
    assert (end["late_by_seconds"], end["resolve_by"]) == (2 * 3600, "2026-05-09T06:00:00.000000Z")


async def ended(home: Home, *, appended: datetime | None, claimed: datetime, read: datetime) -> dict[str, Any]:
    """The fire brigade's end as dispatch tells it."""
    case = await home.given_out()
    await home.ask(case, Acknowledge(assignment_id=support(case)))
    appended_ms = milliseconds(appended) if appended else None
    record = await home.request(case, Resolve(assignment_id=support(case)), time=claimed, appended_ms=appended_ms)
    home.clock.at = read
    await home.take(record)
    return next(event for event in await home.events(case) if event["data"].get("outcome"))


async def test_lateness_counts_from_the_arrival_at_the_broker_not_from_when_it_is_read(home: Home) -> None:
    end = await ended(home, appended=T0 + 3 * HOUR, claimed=T0 + 3 * HOUR, read=T0 + 9 * HOUR)
    assert (end["time"], end["data"]["late_by_seconds"]) == ("2026-05-09T05:00:00.000000Z", 0)
    assert end["recordedtime"] == "2026-05-09T11:00:00.000000Z"


async def test_lateness_does_not_count_from_what_is_claimed(home: Home) -> None:
    end = await ended(home, appended=T0 + 5 * HOUR, claimed=T0 + 3 * HOUR, read=T0 + 9 * HOUR)
    assert (end["data"]["late_by_seconds"], end["data"]["claimed_at"]) == (3600, "2026-05-09T05:00:00.000000Z")
    assert not end["data"]["time_doubtful"]


@pytest.mark.parametrize("claimed", [T0 + 8 * HOUR, T0 - 1000 * HOUR], ids=["ahead", "before it was acknowledged"])
async def test_a_claim_that_cannot_be_is_doubtful_and_no_reason_to_refuse(home: Home, claimed: datetime) -> None:
    end = await ended(home, appended=T0 + HOUR, claimed=claimed, read=T0 + HOUR)
    assert (end["time"], end["data"]["time_doubtful"]) == ("2026-05-09T03:00:00.000000Z", True)


@pytest.mark.parametrize("right", [True, False])
async def test_in_a_late_entry_only_a_partner_with_the_right_is_believed(home: Home, right: bool) -> None:
    register(home.partners, partner("fire", "dept:fire", retrospective=right))
    case = await home.given_out(retrospective=True, filed_at=T0 - 90 * HOUR)
    await home.ask(case, Acknowledge(assignment_id=support(case)), time=T0 - 89 * HOUR)
    step = next(event for event in await home.events(case) if event["data"].get("step") == "acknowledged")
    assert step["time"] == ("2026-05-05T09:00:00.000000Z" if right else "2026-05-09T02:00:00.000000Z")
    assert step["data"].get("claimed_at") == (None if right else "2026-05-05T09:00:00.000000Z")


async def test_people_and_a_partner_at_once_on_one_assignment_leave_one_holder_and_one_answer_each(home: Home) -> None:
    cases = [await home.given_out() for _ in range(6)]
    home.clock.advance(minutes=10)
    await home.timers().look()  # now the district may take them, too
    records = [await home.request(case, Acknowledge(assignment_id=support(case))) for case in cases]
    asked = [home.do("gao", CENTRAL, commands.Acknowledge(support(case), of(CENTRAL))) for case in cases]
    done, *_ = await asyncio.gather(
        asyncio.gather(*asked), home.worker().process(records), home.worker().process(list(reversed(records)))
    )
    for case, record, person in zip(cases, records, done, strict=True):
        steps = [event["data"] for event in await home.events(case) if event["data"].get("step") == "acknowledged"]
        [holder] = [step["unit"] for step in steps]
        [answer] = await home.answers(record)
        assert (person == "done") == (holder == CENTRAL)
        assert answer["data"]["kind"] == ("refused" if holder == CENTRAL else "accepted")
        assert answer["data"].get("rule") == ("assignment.taken" if holder == CENTRAL else None)
        assert person == ("done" if holder == CENTRAL else "assignment.taken")


async def test_the_ends_of_people_and_a_partner_at_once_are_one_end(home: Home) -> None:
    case = await home.given_out()
    name = support(case)
    await home.ask(case, Acknowledge(assignment_id=name))
    record = await home.request(case, Resolve(assignment_id=name))
    people = [home.do(who, "dept:fire", commands.Resolve(name, of("dept:fire"))) for who in ("ma", "lu")]
    done, *_ = await asyncio.gather(asyncio.gather(*people), home.take(record), home.take(record))
    [answer] = await home.answers(record)
    assert [*done, answer["data"].get("rule", "done")].count("assignment.ended") == 2
    assert [step for step in await home.steps(case) if step == "fixed"] == ["fixed"]


async def test_a_request_is_answered_once_however_often_it_comes(home: Home) -> None:
    case = await home.given_out()
    good = await home.request(case, Acknowledge(assignment_id=support(case)))
    bad = await home.request(case, Resolve(assignment_id=lead(case)))
    worker = home.worker()
    await worker.process([good, bad, good])
    await worker.process([bad, good])
    await home.take(good, bad)
    assert [len(await home.answers(record)) for record in (good, bad)] == [1, 1]
    assert await home.steps(case) == ["assigned", "acknowledged", "accepted", "refused", "refused"]


async def test_a_worker_killed_before_it_commits_leaves_neither_fact_nor_answer_and_the_next_gives_both(
    home: Home,
) -> None:
    case = await home.given_out()
    record = await home.request(case, Acknowledge(assignment_id=support(case)))
    home.database.deaths = 1
    with pytest.raises(ConnectionResetError):
        await home.take(record)
    assert await home.steps(case) == ["assigned"]
    await home.take(record)
    assert await home.steps(case) == ["assigned", "acknowledged", "accepted"]


async def registered(home: Home) -> Registry:
    register(home.partners, FIRE, partner("water", "dept:water"))
    return Registry(home.partners)


async def assigned(home: Home) -> list[str]:
    return sorted(one["data"]["assignment_id"] for one in await home.notices("water", "assigned"))


async def test_a_new_partner_gets_every_open_assignment_of_its_units_once(home: Home) -> None:
    cases = sorted([await home.given_out() for _ in range(5)])
    gone = await home.given_out()
    await home.do("li", "dept:water", commands.Return(lead(gone), of("dept:water"), "not ours"))
    partners = (await registered(home)).partners
    assert await make_due(home.database, partners, home.clock()) == 5
    await asyncio.gather(*(make_due(home.database, partners, home.clock()) for _ in range(3)))
    await home.timers().look()
    assert await assigned(home) == [lead(case) for case in cases]
    assert await make_due(home.database, partners, home.clock()) == 0
    assert await home.timers().look() == 0
    later = await home.given_out()
    assert await make_due(home.database, partners, home.clock()) == 0
    assert await assigned(home) == sorted([lead(case) for case in (*cases, later)])


async def test_two_workers_one_of_them_killed_tell_a_new_partner_once(home: Home) -> None:
    cases = sorted([await home.given_out() for _ in range(5)])
    partners = (await registered(home)).partners
    await make_due(home.database, partners, home.clock())
    home.database.deaths = 1
    outcomes = await asyncio.gather(*(home.timers().look() for _ in range(3)), return_exceptions=True)
    assert any(isinstance(outcome, ConnectionResetError) for outcome in outcomes)
    await make_due(home.database, partners, home.clock())
    await home.timers().look()
    assert await assigned(home) == [lead(case) for case in cases]


async def test_a_worker_that_has_not_seen_the_new_partner_yet_loses_nothing(home: Home) -> None:
    old = home.worker()
    await old.process([])
    first = case_id()
    await old.process([fact_record(first, dispatched(first), time=T0)])  # from now on it knows the file as it was
    partners = (await registered(home)).partners
    case = case_id()
    await old.process([fact_record(case, dispatched(case), time=T0)])
    assert await assigned(home) == []
    assert await make_due(home.database, partners, home.clock()) == 2
    await home.timers().look()
    assert await assigned(home) == sorted([lead(first), lead(case)])


async def test_a_new_partner_hears_what_is_offered_to_its_unit_and_a_unit_may_change_its_partner(home: Home) -> None:
    case = await home.given_out()
    home.clock.advance(minutes=10)
    await home.timers().look()
    register(home.partners, FIRE, partner("city", CENTRAL))
    partners = Registry(home.partners).partners
    assert await make_due(home.database, partners, home.clock()) == 1
    await home.timers().look()
    told = [(one["data"]["assignment_id"], one["data"]["offered"]) for one in await home.notices("city", "assigned")]
    assert told == [(lead(case), True), (support(case), True)]
    assert await make_due(home.database, partners, home.clock()) == 0
    for name in ("works", "alarm"):
        register(home.partners, partner(name, "dept:fire"), partner("city", CENTRAL))
        partners = Registry(home.partners).partners
        assert await make_due(home.database, partners, home.clock()) == 1
        await home.timers().look()
        assert len(await home.notices(name, "assigned")) == 1
        assert await make_due(home.database, partners, home.clock()) == 0


async def test_who_works_on_a_leader_hears_of_what_joins_it_and_of_what_that_adds(home: Home) -> None:
    case, follower = await home.given_out(), case_id()
    said, _ = event_of(follower, Supplement(text="the cellar is full"))
    records = [
        fact_record(follower, Supplement(text="the cellar is full"), event_id=said.id),
        fact_record(follower, merged(case)),
        fact_record(follower, Supplement(text="still"), sequence=2),
    ]
    await home.take(*records)
    await home.take(*reversed(records))
    changed, *supplements = [one for one in await home.notices("fire") if one["data"]["kind"] != "assigned"]
    joined = next(event for event in await home.events(case) if event["data"].get("step") == "joined")
    assert (changed["subject"], changed["data"]["joined"], changed["causationid"]) == (case, 1, joined["id"])
    assert joined["causationid"] == json.loads(records[1].value or b"")["id"]
    assert [one["data"]["text"] for one in supplements] == ["the cellar is full", "still"]
    added = [event for event in await home.events(case) if event["data"].get("step") == "supplemented"]
    assert [one["data"]["case_id"] for one in added] == [follower] * 2
    assert [one["causationid"] for one in supplements] == [one["id"] for one in added]
    assert added[0]["causationid"] == said.id
    assert await home.steps(follower) == []


async def test_a_follower_may_be_heard_of_before_its_leader_is_given_out(home: Home) -> None:
    case, followers = case_id(), [case_id() for _ in range(3)]
    await home.take(*(fact_record(follower, merged(case)) for follower in followers))
    assert await home.steps(case) == ["joined"] * 3
    await home.given_out(case)
    assert [one["data"].get("joined") for one in await home.notices("fire")] == [None, 1, 2, 3]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 4, 2, 1, 0), (2, 0, 1, 3, 4), (1, 3, 2, 4, 0)])
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_words_of_a_followers_follower_reach_who_works_on_the_case(
    home: Home, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...], at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(propagation, "AT_ONCE", 0)
    case = await home.given_out()
    near, far = case_id(), case_id()
    records = [
        fact_record(near, merged(case)),
        fact_record(far, merged(near)),
        fact_record(near, Supplement(text="near")),
        fact_record(far, Supplement(text="far")),
        fact_record(far, Supplement(text="far again"), sequence=2),
    ]
    for place in order:
        await home.take(records[place])
    monkeypatch.undo()
    while await home.timers().propagate():
        pass
    found = [event["data"] for event in await home.events(case) if event["data"].get("step") == "supplemented"]
    assert sorted((one["case_id"], one["text"]) for one in found) == sorted(
        [(near, "near"), (far, "far"), (far, "far again")]
    )
    heard = await home.notices("fire", "supplement")
    assert sorted(one["data"]["text"] for one in heard) == ["far", "far again", "near"]


async def test_words_that_go_round_in_a_circle_of_mergers_come_to_an_end(home: Home) -> None:
    one, two, three = case_id(), case_id(), case_id()
    await home.take(fact_record(one, merged(two)), fact_record(two, merged(three)), fact_record(three, merged(two)))
    await home.take(fact_record(one, Supplement(text="round and round")))
    assert [await home.steps(case) for case in (two, three)] == [
        ["joined", "joined", "supplemented"],
        ["joined", "supplemented"],
    ]
