"""Two versions on one schema: the newer waits until it is migrated, and makes anew what the older still writes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.rebuild import derived
from chassis.service import Service
from chassis.store.database import Connection, Database
from chassis.store.derived import Refresher, rebuild
from chassis.store.migrations import MigrationError, migrate
from contracts.intake import Supplement
from tests.chassis.test_migrations import GROWN, LENGTHS, nothing
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD, execute
from tests.support.infrastructure import Database as Server
from tests.support.services import NOWHERE, Running, eventually, publish, read_topic, running, token
from tests.support.tally import MIGRATIONS, MODEL, TALLY

WRITER = token("li", "acceptor")
NEWER_MODEL = replace(MODEL, views=(GROWN,))
NEWER: Service = replace(TALLY, model=NEWER_MODEL, migrations=(*MIGRATIONS, LENGTHS))


@pytest.fixture
async def older(empty_database: Server) -> AsyncIterator[Database]:
    """What a process of the version before has opened."""
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    found = Database(empty_database.url("tally"), "tally", size=4, migrations=MIGRATIONS)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def newer(empty_database: Server, older: Database) -> AsyncIterator[Database]:
    """The schema is upgraded and rebuilt; `older` is open still."""
    await migrate(empty_database.admin_url, "tally", PASSWORD, NEWER.migrations)
    found = Database(empty_database.url("tally"), "tally", size=4, migrations=NEWER.migrations)
    await found.open(rebuilt=False)
    await rebuild(derived(NEWER_MODEL), found, nothing)
    yield found
    await found.close()


async def lengths(database: Database) -> dict[str, int]:
    return {row["case_id"]: row["length"] for row in await database.fetch("SELECT case_id, length FROM tallies")}


async def noted(database: Database) -> set[str]:
    return {row["stream_id"] for row in await database.fetch("SELECT stream_id FROM outdated")}


async def test_a_newer_worker_makes_anew_what_an_older_process_writes_after_the_rebuild(
    empty_database: Server, older: Database, newer: Database
) -> None:
    cases = [case_id() for _ in range(3)]
    await Inbox(MODEL, older, wall_clock).process([fact_record(case, report(title="burst main")) for case in cases])
    assert await lengths(newer) == dict.fromkeys(cases, -1)
    async with running(NEWER, empty_database.url("tally")) as process:
        await eventually(lambda: _all_are(10, process.runtime.database), what="the rows are made anew")
        late = case_id()
        await Inbox(MODEL, older, wall_clock).process([fact_record(late, report(title="leak"))])

        async def late_one() -> bool:
            return (await lengths(newer))[late] == 4

        await eventually(late_one, what="the older process may write on")
    assert await noted(newer) == set()


async def _all_are(length: int, database: Database) -> bool:
    return set((await lengths(database)).values()) == {length}


async def test_a_transaction_that_is_open_during_migration_and_rebuild_is_not_lost(
    empty_database: Server, older: Database
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(_: Connection, __: Any, ___: Any) -> None:
        arrived.set()
        await go_on.wait()

    case = case_id()
    inbox = Inbox(replace(MODEL, load_context=waiting), older, wall_clock)
    taking = asyncio.create_task(inbox.process([fact_record(case, report(title="burst main"))]))
    await arrived.wait()
    await migrate(empty_database.admin_url, "tally", PASSWORD, NEWER.migrations)
    newer = Database(empty_database.url("tally"), "tally", size=4, migrations=NEWER.migrations)
    await newer.open(rebuilt=False)
    await rebuild(derived(NEWER_MODEL), newer, nothing)
    go_on.set()
    await taking
    assert await noted(newer) == {case}
    assert await Refresher(derived(NEWER_MODEL), newer).refresh() == 1
    assert (await lengths(newer), await noted(newer)) == ({case: 10}, set())
    await newer.close()


async def taken_in_behind(url: str, older: Database, *held: str) -> str:
    """A case of which the older version takes in a record, waiting for what these statements hold."""
    case, inbox = case_id(), Inbox(MODEL, older, wall_clock)
    facts = [report(), *(Supplement(text=f"{n}") for n in range(2, 9))]
    for n, fact in enumerate(facts, start=1):  # so often that PostgreSQL has made the statement's generic plan
        await inbox.process([fact_record(case, fact, sequence=n)])
    holder = await asyncpg.connect(url, server_settings={"search_path": "tally"})
    watcher = await asyncpg.connect(url)

    async def waits() -> bool:
        return await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

    try:
        async with holder.transaction():
            for statement in held:
                await holder.execute(statement)
            taking = asyncio.create_task(inbox.process([fact_record(case, Supplement(text="x"), sequence=9)]))
            await eventually(waits, what="the older version waits")
        await taking
    finally:
        await holder.close()
        await watcher.close()
    return case


async def test_what_waits_for_a_case_that_is_made_anew_notes_it_again(
    empty_database: Server, older: Database, newer: Database
) -> None:
    refreshing = "SELECT FROM streams FOR UPDATE", "DELETE FROM outdated"
    case = await taken_in_behind(empty_database.admin_url, older, *refreshing)
    assert await noted(newer) == {case}


async def test_what_waits_for_a_rebuild_knows_of_the_migration_that_demanded_it(
    empty_database: Server, older: Database
) -> None:
    migrated = """
        INSERT INTO migrations (component, number, name, digest, rebuilds, rebuilt)
        VALUES ('tally', 77, 'x', 'x', true, true)
    """
    case = await taken_in_behind(empty_database.admin_url, older, "LOCK TABLE streams IN EXCLUSIVE MODE", migrated)
    assert await noted(older) == {case}


async def test_a_process_notes_nothing_that_knows_every_rebuild_of_the_schema(
    empty_database: Server, older: Database, newer: Database
) -> None:
    await Inbox(NEWER_MODEL, newer, wall_clock).process([fact_record(case_id(), report())])
    assert await noted(newer) == set()
    await execute(empty_database.admin_url, "UPDATE tally.migrations SET rebuilds = false")
    await Inbox(MODEL, older, wall_clock).process([fact_record(case_id(), report())])
    assert await noted(newer) == set(), "what only adds concerns nobody else"


async def test_an_older_worker_leaves_to_a_newer_one_what_it_cannot_make_anew(older: Database, newer: Database) -> None:
    case = case_id()
    await Inbox(MODEL, older, wall_clock).process([fact_record(case, report())])
    assert await Refresher(derived(MODEL), older).refresh() == 0
    assert await noted(newer) == {case}


async def test_a_rebuild_by_the_older_version_is_refused_and_changes_nothing(older: Database, newer: Database) -> None:
    case = case_id()
    await Inbox(NEWER_MODEL, newer, wall_clock).process([fact_record(case, report(title="leak"))])
    with pytest.raises(MigrationError, match="newer than this version: rebuild with the newer one"):
        await rebuild(derived(MODEL), older, nothing)
    assert await lengths(newer) == {case: 4}


async def test_one_case_that_meets_a_defect_does_not_keep_the_others_outdated(older: Database, newer: Database) -> None:
    poor, sound = case_id(), case_id()
    await Inbox(MODEL, older, wall_clock).process(
        [fact_record(poor, report(title="poor")), fact_record(sound, report(title="sound"))]
    )

    def rows(case: str, state: Any) -> Any:
        if case == poor:
            raise ZeroDivisionError("a defect")
        return GROWN.rows(case, state)

    refresher = Refresher(derived(replace(MODEL, views=(replace(GROWN, rows=rows),))), newer)
    assert await refresher.refresh() == 2
    assert await refresher.refresh() == 0
    assert (await lengths(newer), await noted(newer)) == ({poor: -1, sound: 5}, {poor})
    assert await Refresher(derived(NEWER_MODEL), newer).refresh() == 1


async def parts(process: Running) -> dict[str, str]:
    headers = token("ops", "administrator")
    return (await process.client.get("/ready", headers=headers)).json().get("parts", {})


async def test_a_newer_process_takes_no_records_before_the_schema_is_migrated_and_rebuilt(
    kafka: str, topics: str, empty_database: Server, older: Database
) -> None:
    case = case_id()
    await publish(kafka, topics, [fact_record(case, report(title="burst main"))])
    async with running(NEWER, empty_database.url("tally"), kafka=kafka, prefix=topics, reached=False) as process:

        async def said(words: str) -> bool:
            return words in (await parts(process)).get("database", "")

        lacks = "the database's schema is older than this version: it lacks tally 0002_lengths; run `make up`"
        await eventually(lambda: said(lacks), what="the process says that the schema is older")
        answer = await process.client.post(f"/cases/{case}/notes", json={"text": "x"}, headers=WRITER)
        assert (answer.status_code, lacks in answer.json()["cause"]) == (503, True)
        assert await older.fetch("SELECT 1 FROM parked UNION ALL SELECT 1 FROM events") == []

        await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))
        await eventually(lambda: said("tables are not rebuilt yet, as tally 0002_lengths demands"))
        assert await older.fetch("SELECT 1 FROM parked UNION ALL SELECT 1 FROM events") == []

        rebuilding = Database(empty_database.url("tally"), "tally", size=2, migrations=NEWER.migrations)
        await rebuilding.open(rebuilt=False)
        await rebuild(derived(NEWER_MODEL), rebuilding, nothing)
        await rebuilding.close()
        await read_topic(kafka, topics, "Progressed", lambda found: len(found) == 1)
        assert await lengths(process.runtime.database) == {case: 10}
        assert await older.fetch("SELECT 1 FROM parked") == []


@pytest.mark.parametrize(
    ("older_bookkeeping", "lacks"),
    [
        ("DROP TABLE tally.outdated", "the column outdated.stream_id"),
        ("ALTER TABLE tally.migrations DROP COLUMN rebuilds", "the column migrations.rebuilds"),
    ],
)
async def test_a_schema_whose_bookkeeping_is_older_is_waited_for_as_any_older_schema(
    empty_database: Server, older: Database, older_bookkeeping: str, lacks: str
) -> None:
    """No numbered migration tells it from the newest one."""
    await execute(empty_database.admin_url, older_bookkeeping)
    async with running(TALLY, empty_database.url("tally"), kafka=NOWHERE, reached=False) as process:
        words = f"the database's schema is older than this version: it lacks {lacks}; run `make up`"

        async def said() -> bool:
            return words in (await parts(process)).get("database", "")

        await eventually(said, what="the process says that the schema is older")
        assert set(await parts(process)) == {"database"}, "what was not started is not at fault"
        await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)

        async def opened() -> bool:
            return "database" not in await parts(process)

        await eventually(opened, what="the process goes on by itself")
        assert "broker" in await parts(process)


async def test_a_schema_that_becomes_older_under_a_process_parks_nothing(
    empty_database: Server, older: Database, newer: Database
) -> None:
    """As by the restore of an older backup."""
    async with running(NEWER, empty_database.url("tally")) as process:
        await execute(empty_database.admin_url, "DELETE FROM tally.migrations WHERE name = '0002_lengths'")
        await execute(empty_database.admin_url, "ALTER TABLE tally.tallies DROP COLUMN length")
        assert "it lacks tally 0002_lengths" in (await parts(process))["database"]
        record = fact_record(case_id(), report())
        (outcome,) = await asyncio.gather(process.runtime.inbox.process([record]), return_exceptions=True)
        assert isinstance(outcome, Exception)
        await migrate(empty_database.admin_url, "tally", PASSWORD, NEWER.migrations)
        await process.runtime.inbox.process([record])
        assert await newer.fetch("SELECT 1 FROM parked") == []
        assert len(await newer.fetch("SELECT 1 FROM tallies")) == 1


async def test_a_process_of_the_version_before_starts_on_a_newer_schema(
    empty_database: Server, older: Database, newer: Database
) -> None:
    """Going back one release."""
    async with running(TALLY, empty_database.url("tally"), kafka=NOWHERE) as process:
        case = case_id()
        await process.runtime.inbox.process([fact_record(case, report())])
        answer = await process.client.post(f"/cases/{case}/notes", json={"text": "x"}, headers=WRITER)
        assert answer.status_code == 201
    assert await noted(newer) == {case}


async def test_a_rebuild_takes_no_statements_time(tally_database: str) -> None:
    """The time that a statement may take is a setting of the one who opens; a rebuild has none."""
    impatient = Database(tally_database, "tally", size=1, migrations=MIGRATIONS, statement_seconds=0.2)
    await impatient.open()
    with pytest.raises(TimeoutError):
        await impatient.fetch("SELECT pg_sleep(1)")
    await impatient.close()
    patient = Database(tally_database, "tally", size=1, migrations=MIGRATIONS, statement_seconds=None)
    await patient.open()
    await patient.fetch("SELECT pg_sleep(1)")
    await patient.close()


async def test_an_upgrade_of_a_schema_from_before_rebuilds_were_told(empty_database: Server) -> None:
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    await execute(empty_database.admin_url, "ALTER TABLE tally.migrations DROP COLUMN rebuilds")
    await execute(empty_database.admin_url, "DROP TABLE tally.outdated")
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    database = Database(empty_database.url("tally"), "tally", size=2, migrations=MIGRATIONS)
    await database.open()
    await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), Supplement(text="x"))])
    await database.close()
