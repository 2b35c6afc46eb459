"""A service whose store is older than its topics takes back what it has said before it decides anything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chassis.clock import wall_clock
from chassis.engine.model import Model
from chassis.engine.returning import Returning
from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Reading
from chassis.retry import NotNow
from chassis.service import Service
from chassis.store.origin import HEADER, code, is_same, key_of
from contracts.reference import Partners
from deploy.stack import binaries
from tests.services.test_forgeries import (
    DECIDING,
    OPERATOR,
    PARTITIONS,
    PARTNER,
    SETTLED,
    Stage,
    fact_on,
    forged,
    place,
    say,
    written_by,
)
from tests.support.facts import HEADERS, case_id, fact_record, record_of, report
from tests.support.groups import read_again
from tests.support.infrastructure import Database as Urls
from tests.support.infrastructure import execute
from tests.support.services import Mortal, Running, eventually, publish, running

EACH = pytest.mark.parametrize("service", DECIDING, indirect=True)
TRIAGE = pytest.mark.parametrize("service", ["triage"], indirect=True)

Backup = Callable[[], Awaitable[Urls]]


@dataclass(frozen=True)
class Restorable(Stage):
    """A stage whose service can be started on other stores, too."""

    on: Callable[[str], AbstractAsyncContextManager[Running]]
    """With the URL of a store."""


@pytest.fixture
async def stage(
    url: str, service: Service, kafka: str, topic_prefix: str, make_topics: Any, tmp_path: Path
) -> Restorable:
    await make_topics(topic_prefix, PARTITIONS, partners=("water",))
    file = tmp_path / "partners.json"
    file.write_text(Partners(partners=(PARTNER,)).model_dump_json())
    more = {"kafka": kafka, "prefix": topic_prefix, "CASEGRID_PARTNERS": file}
    return Restorable(
        kafka, topic_prefix, file, lambda: running(service, url, **more), lambda store: running(service, store, **more)
    )


@pytest.fixture
def backup(empty_database: Urls, make_database: Callable[[str | None], Awaitable[Urls]]) -> Backup:
    """The store as its files are now; no process may be connected to it."""

    async def copy() -> Urls:
        return await make_database(empty_database.name)

    return copy


async def events(started: Running) -> list[tuple[Any, ...]]:
    rows = await started.runtime.database.fetch(
        "SELECT stream_id, version, own, topic, event_id, body FROM events ORDER BY stream_id, version"
    )
    return [tuple(row) for row in rows]


async def sent(started: Running) -> None:
    async def all_sent() -> bool:
        (row,) = await started.runtime.database.fetch("SELECT count(*) FROM unpublished")
        return row["count"] == 0

    await eventually(all_sent, seconds=60, what="everything published")


async def numbers(started: Running) -> list[tuple[str, int]]:
    return [(case, int(json.loads(body)["sequence"])) for case, _, own, _, _, body in await events(started) if own]


@EACH
async def test_what_was_said_after_the_backup_is_taken_back_and_no_number_is_used_twice(
    stage: Restorable, service: Service, backup: Backup
) -> None:
    """Whether files were put back or a dump was restored: then the tables are new ones."""
    topics = written_by(service.name)
    cases = [case_id() for _ in topics]
    async with stage.start() as started:
        for case, topic in zip(cases, topics, strict=True):
            await say(started, case, SETTLED, fact_on(topic, case))
        await sent(started)
    older = await backup()
    async with stage.start() as started:
        begun = case_id()
        for case in (*cases, begun):
            await say(started, case, SETTLED, SETTLED)
        await stage.named(started)
        whole = await events(started)
    async with stage.on(older.url(service.name)) as started:
        assert await events(started) == whole
        assert await started.runtime.database.fetch("SELECT FROM lost") == []
        for case in (*cases, begun):
            await say(started, case, SETTLED)
        assert await stage.named(started) == [], "what it said itself is no forgery"
        found = await numbers(started)
        assert len(set(found)) == len(found)
        (odd,) = await started.runtime.database.fetch(
            "SELECT count(*) FROM streams s WHERE (version, sequence) <>"
            " (SELECT max(version), count(*) FILTER (WHERE own) FROM events e WHERE e.stream_id = s.stream_id)"
        )
        assert odd["count"] == 0


@TRIAGE
async def test_what_others_have_said_in_the_services_name_is_not_taken_back_and_named_once(
    stage: Restorable, service: Service, backup: Backup
) -> None:
    case, other = case_id(), case_id()
    async with stage.start() as started:
        await say(started, case, SETTLED)
        await sent(started)
    older = await backup()
    async with stage.start() as started:
        await say(started, case, SETTLED)
        await sent(started)
        (*_, (_, _, _, topic, _, body)) = await events(started)
        key = await key_of(started.runtime.database)
        genuine = record_of(body, case, topic, headers=[*HEADERS, (HEADER, code(key, topic, body))])
        following = forged("triage", "Progressed", case)
        following = following._replace(value=(following.value or b"").replace(b"0000000001", b"0000000003"))
        places = await stage.put(
            following,
            following._replace(headers=[*HEADERS, (HEADER, code(b"another", topic, following.value or b""))]),
            genuine._replace(key=other.encode()),
            genuine._replace(topic="Assigned"),
        )
        assert sorted(place(step) for _, step in await stage.named(started)) == sorted(places)
        whole = await events(started)
    async with stage.on(older.url("triage")) as started:
        assert sorted(place(step) for _, step in await stage.named(started)) == sorted(places)
        assert [one for one in await events(started) if one[0] == case] == [one for one in whole if one[0] == case]


@TRIAGE
async def test_a_process_may_die_at_any_point_of_taking_back(
    stage: Restorable, service: Service, backup: Backup, kafka: str
) -> None:
    older = await backup()
    async with stage.start() as started:
        for case in (case_id() for _ in range(120)):
            await say(started, case, SETTLED)
        await sent(started)
        whole = await events(started)
    model = service.model
    assert isinstance(model, Model)
    database = Mortal(older.url("triage"), "triage", size=4, migrations=service.migrations)
    await database.open()
    try:
        for round_of in range(4):
            database.deaths = 1
            returning = [
                Returning(model, database, wall_clock, Reading(Connection(kafka), stage.prefix, 1000)) for _ in range(2)
            ]
            await asyncio.gather(*(one.run() for one in returning), return_exceptions=True)
            found = await database.fetch("SELECT count(*) FROM events")
            assert found[0]["count"] <= len(whole), round_of
        database.deaths = 0
        await Returning(model, database, wall_clock, Reading(Connection(kafka), stage.prefix, 1000)).run()
        rows = await database.fetch(
            "SELECT stream_id, version, own, topic, event_id, body FROM events ORDER BY stream_id, version"
        )
        assert [tuple(row) for row in rows] == whole
        assert await database.fetch("SELECT FROM lost") == []
    finally:
        await database.close()


@TRIAGE
async def test_what_an_event_follows_from_stands_before_it_again_and_is_not_decided_anew(
    stage: Restorable, service: Service, backup: Backup, kafka: str
) -> None:
    older = await backup()
    cases = [case_id() for _ in range(5)]
    inputs = [fact_record(case, report("a lamp is out")) for case in cases]
    async with stage.start() as started:
        await publish(kafka, stage.prefix, inputs)

        async def ruled() -> bool:
            return {case for case, _, own, *_ in await events(started) if own} == set(cases)

        await eventually(ruled, seconds=60, what="all cases ruled on")
        await sent(started)
        whole = await events(started)
        views = await started.runtime.database.fetch("SELECT * FROM cases ORDER BY case_id")
        deadlines = await started.runtime.database.fetch("SELECT stream_id, due_at FROM streams ORDER BY 1")
    await read_again(kafka, f"{stage.prefix}triage", [f"{stage.prefix}ReportFiled"], PARTITIONS)
    async with stage.on(older.url("triage")) as started:
        await publish(kafka, stage.prefix, [fact_record(case_id(), report("another"))])
        await eventually(lambda: more_than(started, whole), seconds=60, what="what came afterwards is taken in")
        assert [one for one in await events(started) if one[0] in cases] == whole
        rows = await started.runtime.database.fetch(
            "SELECT * FROM cases WHERE case_id = ANY($1) ORDER BY case_id", cases
        )
        assert rows == views
        rows = await started.runtime.database.fetch(
            "SELECT stream_id, due_at FROM streams WHERE stream_id = ANY($1) ORDER BY 1", cases
        )
        assert rows == deadlines


async def more_than(started: Running, whole: list[Any]) -> bool:
    return len(await events(started)) > len(whole) + 1


@pytest.mark.parametrize("service", ["intake"], indirect=True)
async def test_a_record_that_was_answered_or_discarded_is_so_afterwards(
    stage: Restorable, service: Service, backup: Backup, kafka: str
) -> None:
    older = await backup()
    cases = [case_id(), case_id()]
    junk = [record_of(b"{", case, "from.water") for case in cases]
    async with stage.start() as started:
        await publish(kafka, stage.prefix, junk)
        await eventually(lambda: parked(started, 2), seconds=60, what="both parked")
        first = (await started.runtime.database.fetch("SELECT parked_id FROM parked LIMIT 1"))[0]["parked_id"]
        answer = await started.client.post(f"/parked/{first}/discard", json={"reason": "junk"}, headers=OPERATOR)
        assert answer.status_code == 200, answer.text
        await sent(started)
        whole = await events(started)
        before = await parked(started, 2)
    await read_again(kafka, f"{stage.prefix}intake", [f"{stage.prefix}from.water"], PARTITIONS)
    async with stage.on(older.url("intake")) as started:
        assert await parked(started, 2) == before
        await publish(kafka, stage.prefix, [record_of(b"[", cases[0], "from.water")])
        await eventually(lambda: parked(started, 3), seconds=60, what="what came afterwards is parked")
        assert [one for one in await events(started) if one in whole] == whole
        assert len(await events(started)) == len(whole) + 1


async def parked(started: Running, count: int) -> list[Any]:
    """How the parked records are, as soon as there are so many."""
    rows = await started.runtime.database.fetch(
        'SELECT status, kind, topic, partition, "offset", body FROM parked ORDER BY topic, partition, "offset"'
    )
    return rows if len(rows) == count else []


@TRIAGE
async def test_without_the_broker_nothing_is_decided_by_a_store_that_is_another_one(
    url: str, empty_database: Urls, service: Service
) -> None:
    """As a restored dump is; the store that was compared last goes on deciding."""
    async with running(service, url, kafka="127.0.0.1:2") as started:
        await say(started, case_id(), SETTLED)
    await execute(empty_database.admin_url, "UPDATE triage.origin SET events = 1")
    async with running(service, url, kafka="127.0.0.1:2", reached=False) as started:
        await eventually(lambda: _compares(started), what="the comparison")
        with pytest.raises(NotNow, match="is compared with"):
            await say(started, case_id(), SETTLED)


async def _compares(started: Running) -> bool:
    parts = (await started.client.get("/ready", headers=OPERATOR)).json().get("parts", {})
    return "store" in parts and "database" not in parts and parts["consumer"] != "the broker has not been reached yet"


@TRIAGE
async def test_a_restored_dump_is_known_as_another_store_until_it_was_compared(
    stage: Restorable,
    service: Service,
    empty_database: Urls,
    make_database: Callable[[str | None], Awaitable[Urls]],
    tmp_path: Path,
) -> None:
    programs = binaries.postgres()
    if not (programs / "pg_dump").exists():
        pytest.skip("this PostgreSQL has no pg_dump")
    case, other = case_id(), case_id()
    async with stage.start() as started:
        await say(started, case, SETTLED)
        await sent(started)
    dump = str(tmp_path / "triage.dump")
    await run(programs / "pg_dump", "-Fc", "-n", "triage", "-f", dump, empty_database.admin_url)
    async with stage.start() as started:
        await say(started, case, SETTLED)
        await say(started, other, SETTLED)
        await sent(started)
        assert await is_same(started.runtime.database)
        whole = await events(started)
    restored = await make_database(None)
    await run(programs / "pg_restore", "-d", restored.admin_url, dump)
    url = restored.url("triage")
    async with running(service, url, kafka="127.0.0.1:2", reached=False) as started:
        await eventually(lambda: _compares(started), what="the comparison")
        with pytest.raises(NotNow, match="is compared with"):
            await say(started, case, SETTLED)
    async with stage.on(url) as started:
        assert await events(started) == whole
        assert await is_same(started.runtime.database)


async def run(*command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, command
