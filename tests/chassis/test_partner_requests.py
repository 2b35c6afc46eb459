"""What a partner's system asks: judged like a person's command, answered once, and no word of its in another's case."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.clock import wall_clock
from chassis.engine import effects
from chassis.engine.inbox import Inbox
from chassis.kafka.records import Record
from chassis.registry import Registry
from chassis.store.database import Database
from contracts.intake import Withdrawal
from contracts.reference import Partner, Partners
from contracts.request import FileReport, Note, Request, Withdraw
from tests.support.facts import case_id, fact_record, record_of
from tests.support.tally import MODEL

WATER = Partner(id="water", name="Water", says=("reports", "steps"))
SENSORS = Partner(id="sensors", name="Sensors", says=("reports",))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    file = tmp_path / "partners.json"
    file.write_text(Partners(partners=(WATER, SENSORS)).model_dump_json())
    return Registry(file)


@pytest.fixture
def inbox(database: Database, registry: Registry) -> Inbox:
    return Inbox(replace(MODEL, registry=registry), database, wall_clock)


async def sent(database: Database) -> list[dict[str, Any]]:
    rows = await database.fetch("SELECT aggregatetype, payload FROM unpublished ORDER BY position")
    return [{"topic": row["aggregatetype"], **orjson.loads(row["payload"])} for row in rows]


async def answers(database: Database, record: Record) -> list[dict[str, Any]]:
    """The answers to a request."""
    request = orjson.loads(record.value or b"")["id"]
    return [body for body in await sent(database) if body["data"].get("request") == request]


def asked(case: str, data: Any, **more: Any) -> Record:
    return fact_record(case, data, actor="agent-12", **more)


async def filed(inbox: Inbox, database: Database) -> tuple[str, str]:
    """A report of the water company's; its case, and the id of the notice that it was accepted."""
    case = case_id()
    record = asked(case, FileReport(title="no pressure"))
    await inbox.process([record])
    [answer] = await answers(database, record)
    assert answer["data"]["kind"] == "accepted"
    return case, answer["id"]


async def test_what_is_accepted_is_a_fact_of_the_service_and_is_answered_on_the_partners_topic(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    record = asked(case, FileReport(title="no pressure"))
    await inbox.process([record])
    report, answer = await sent(database)
    request = orjson.loads(record.value or b"")
    assert (report["topic"], report["source"], report["subject"]) == ("ReportFiled", "/services/tally", case)
    assert report["causationid"] == request["id"]
    assert report["actor"] == "water:agent-12"
    assert (answer["topic"], answer["causationid"]) == ("to.water", report["id"])
    assert answer["data"] == {"to": "water", "kind": "accepted", "request": request["id"]}
    assert [report["sequence"], answer["sequence"]] == ["0000000001", "0000000002"]


async def test_an_actor_whose_name_is_too_long_is_refused_and_never_cut(inbox: Inbox, database: Database) -> None:
    """Two people whose names begin alike would be one."""
    longest = "x" * (200 - len("water:"))
    for actor, kind in ((longest, "accepted"), (longest + "a", "refused"), (longest + "b", "refused")):
        record = fact_record(case_id(), FileReport(title="no pressure"), actor=actor)
        await inbox.process([record])
        [answer] = await answers(database, record)
        assert answer["data"]["kind"] == kind
        if kind == "refused":
            assert answer["data"]["rule"] == "request.invalid"
            assert answer["data"]["reason"] == "actor: must have 194 characters at most, after water:"
    [report] = [body for body in await sent(database) if body["topic"] == "ReportFiled"]
    assert report["actor"] == f"water:{longest}"


@pytest.mark.parametrize("apart", [True, False])
async def test_another_request_under_the_id_of_one_before_is_refused_by_its_place_and_parked(
    inbox: Inbox, database: Database, apart: bool
) -> None:
    case = case_id()
    first = asked(case, FileReport(title="no pressure"))
    body = orjson.loads(first.value or b"")
    body["data"]["title"] = "something else"
    other = record_of(orjson.dumps(body), case, topic=first.topic)
    for batch in ([first], [other, first]) if apart else ([first, other, first],):
        await inbox.process(batch)
    await inbox.process([other, first])
    kinds = [(answer["data"]["kind"], answer["data"].get("offset")) for answer in await told(database)]
    assert kinds == [("accepted", None), ("refused", other.offset)]
    refusal = (await told(database))[1]["data"]
    assert (refusal["rule"], refusal["reason"], refusal["case_id"]) == (
        "record.invalid",
        "id: another event of yours had it before",
        case,
    )
    rows = await database.fetch("SELECT kind, body FROM parked")
    assert [tuple(row) for row in rows] == [("invalid", other.value)]
    assert [body["data"]["title"] for body in await sent(database) if body["topic"] == "ReportFiled"] == ["no pressure"]


async def told(database: Database) -> list[dict[str, Any]]:
    return [body for body in await sent(database) if body["topic"].startswith("to.")]


async def test_in_one_case_so_many_requests_are_answered_and_the_others_are_parked(
    inbox: Inbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "_ANSWERS_IN_A_CASE", 5)
    case, cause = await filed(inbox, database)
    await inbox.process(
        [asked(case, Note(assignment_id=f"{case}.1.1", note=str(number)), cause=cause) for number in range(9)]
    )
    assert [answer["data"]["kind"] for answer in await told(database)] == ["accepted"] * 5
    rows = await database.fetch("SELECT kind FROM parked")
    assert [row["kind"] for row in rows] == ["unanswered"] * 5
    await filed(inbox, database)


async def test_no_request_is_judged_by_a_state_that_another_process_has_changed(
    inbox: Inbox, database: Database, registry: Registry
) -> None:
    case = case_id()
    await inbox.process([fact_record(case, Withdrawal(reason="seen too early"))])
    filing = asked(case, FileReport(title="no pressure"))
    await Inbox(replace(MODEL, registry=registry), database, wall_clock).process([filing])
    [accepted] = await answers(database, filing)
    note = asked(case, Note(assignment_id=f"{case}.1.1", note="on it"), cause=accepted["id"])
    await inbox.process([note])
    assert [answer["data"]["kind"] for answer in await answers(database, note)] == ["accepted"]


async def test_a_request_is_answered_once_however_often_it_comes(inbox: Inbox, database: Database) -> None:
    record = asked(case_id(), FileReport(title="no pressure"))
    await inbox.process([record, record])
    await inbox.process([record])
    assert len(await answers(database, record)) == 1


async def test_two_workers_answer_a_request_about_a_case_that_is_not_there_once(
    database: Database, registry: Registry
) -> None:
    """The answer has a case of its own in each: only the mark tells."""
    record = asked(case_id(), _note(case_id()))
    asking: list[int] = []
    both = asyncio.Event()

    async def waiting(*_: Any) -> None:
        asking.append(1)
        if len(asking) == 2:
            both.set()
        await both.wait()

    model = replace(MODEL, registry=registry, load_context=waiting)
    await asyncio.gather(*(Inbox(model, database, wall_clock).process([record]) for _ in range(2)))
    assert len(asking) == 3, "one lost, and asked again"
    assert len(await answers(database, record)) == 1


async def test_a_refusal_names_the_rule_and_is_a_step_of_the_partners_own_case(
    inbox: Inbox, database: Database
) -> None:
    case, cause = await filed(inbox, database)
    for _ in range(5):
        await inbox.process([asked(case, Note(assignment_id=f"{case}.1.1", note="on it"), cause=cause)])
    record = asked(case, Note(assignment_id=f"{case}.1.1", note="one too many"), cause=cause)
    await inbox.process([record])
    [answer] = await answers(database, record)
    assert (answer["subject"], answer["data"]["rule"]) == (case, "note.limit")
    step = next(body for body in await sent(database) if body["data"].get("step") == "refused")
    assert (step["subject"], step["causationid"]) == (case, orjson.loads(record.value or b"")["id"])
    assert answer["causationid"] == step["id"]


REFUSED: dict[str, tuple[Callable[[str, str], tuple[str, Request, str | None, str]], str]] = {
    "an unknown case": (lambda case, cause: (case_id(), _note(case), cause, "water"), "unknown"),
    "no cause": (lambda case, cause: (case, _note(case), None, "water"), "cause.unknown"),
    "the cause of another case": (lambda case, cause: (case, _note(case), case_id(), "water"), "cause.unknown"),
    "a cause for a report": (lambda case, cause: (case_id(), FileReport(title="x"), cause, "water"), "cause.unknown"),
    "a right it has not": (lambda case, cause: (case, _note(case), cause, "sensors"), "partner.says"),
    "another's case again": (lambda case, cause: (case, FileReport(title="mine"), None, "sensors"), "report.once"),
    "more than an event may hold": (
        lambda case, cause: (case, _note(case, "huge"), cause, "water"),
        "request.too_large",
    ),
    "what makes no fact": (lambda case, cause: (case, _note(case, "wide"), cause, "water"), "request.invalid"),
}


def _note(case: str, text: str = "hello") -> Note:
    return Note(assignment_id=f"{case}.1.1", note=text)


@pytest.mark.parametrize("what", REFUSED)
async def test_every_refusal_is_an_answer_and_no_fact(inbox: Inbox, database: Database, what: str) -> None:
    make, rule = REFUSED[what]
    case, cause = await filed(inbox, database)
    subject, data, named, partner = make(case, cause)
    before = await database.fetchrow("SELECT version FROM streams WHERE stream_id = $1", case)
    record = asked(subject, data, cause=named, source=f"/partners/{partner}")
    await inbox.process([record])
    [answer] = await answers(database, record)
    assert (answer["topic"], answer["data"]["kind"], answer["data"]["rule"]) == (f"to.{partner}", "refused", rule)
    involved = subject == case and partner == "water"
    assert (answer["subject"] == subject) == involved
    assert answer["data"].get("case_id") == (None if involved else subject)
    after = await database.fetchrow("SELECT version FROM streams WHERE stream_id = $1", case)
    assert (before == after) == (not involved)


async def test_what_another_service_takes_is_left_alone(inbox: Inbox, database: Database) -> None:
    await inbox.process([asked(case_id(), Withdraw(reason="mine"))])
    assert await sent(database) == []
    assert await database.fetch("SELECT 1 FROM seen") == []


async def test_what_cannot_be_read_is_parked_and_answered_where_its_key_is_a_case_id(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    record = record_of(b"not json", case, topic="from.water")
    await inbox.process([record, record_of(b"not json", None, topic="from.water")])
    await inbox.process([record])
    [answer] = await sent(database)
    assert (answer["topic"], answer["data"]["rule"], answer["data"]["case_id"]) == (
        "to.water",
        "record.invalid",
        case,
    )
    assert (answer["data"]["partition"], answer["data"]["offset"]) == (record.partition, record.offset)
    assert answer["subject"] != case
    assert len(await database.fetch("SELECT 1 FROM parked")) == 2


async def test_answers_about_nothing_of_its_own_are_bounded_a_minute_and_the_rest_is_parked(
    inbox: Inbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "_APART_A_MINUTE", 3)
    strays = [asked(case_id(), _note(case_id())) for _ in range(5)]
    case = case_id()
    await inbox.process([*strays, asked(case, FileReport(title="still heard"))])
    assert sum(body["data"]["kind"] == "refused" for body in await sent(database) if "kind" in body["data"]) == 3
    kinds = [row["kind"] for row in await database.fetch("SELECT kind FROM parked")]
    assert kinds == ["unanswered", "unanswered"]
    assert await database.fetch("SELECT 1 FROM tallies WHERE case_id = $1", case) != []


async def test_it_counts_from_its_arrival_at_the_broker_and_a_claim_stands_beside_it(
    database: Database, registry: Registry
) -> None:
    now = datetime(2026, 5, 9, 4, 0, tzinfo=UTC)
    inbox = Inbox(replace(MODEL, registry=registry), database, lambda: now, wall=lambda: now + timedelta(days=9))
    appended_ms = int((now + timedelta(days=9) - timedelta(minutes=90)).timestamp() * 1000)
    claimed = now + timedelta(hours=3)
    await inbox.process([asked(case_id(), FileReport(title="late"), time=claimed, appended_ms=appended_ms)])
    report, _ = await sent(database)
    assert report["time"] == "2026-05-09T02:30:00.000000Z"
    assert report["data"]["claimed_at"] == "2026-05-09T07:00:00.000000Z"
    assert report["data"]["time_doubtful"] is True
