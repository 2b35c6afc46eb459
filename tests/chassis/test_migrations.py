"""A schema grows by numbered migrations, in place, and what is derived from events is rebuilt where one demands it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.rebuild import derived
from chassis.store.database import Database
from chassis.store.derived import rebuild
from chassis.store.migrations import Migration, MigrationError, migrate, read
from chassis.store.views import View
from contracts.intake import Supplement
from deploy.stack.process import ROOT
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD
from tests.support.infrastructure import Database as Server
from tests.support.tally import MIGRATIONS, MODEL, TALLIES, Tally

LENGTHS = Migration(
    "tally", 2, "0002_lengths", "-- rebuild\nALTER TABLE tallies ADD COLUMN length bigint NOT NULL DEFAULT -1;"
)
GROWN: View[Tally] = replace(
    TALLIES,
    columns={**TALLIES.columns, "length": "bigint"},
    rows=lambda case_id, state: [(*row, len(state.title or "")) for row in TALLIES.rows(case_id, state)],
)


def nothing(_: int, __: int) -> None:
    """Progress that nobody looks at."""


async def opened(server: Server, *more: Migration) -> Database:
    """By a version that knows these further migrations."""
    database = Database(server.url("tally"), "tally", size=4, migrations=(*MIGRATIONS, *more))
    await database.open(rebuilt=False)
    return database


async def test_a_schema_is_made_once_and_then_left_alone(empty_database: Server) -> None:
    first, second = [await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS) for _ in range(2)]
    assert first.applied == tuple(one.name for one in MIGRATIONS)
    assert (second.applied, second.rebuild) == ((), False)


async def test_two_processes_that_migrate_at_once_apply_each_migration_once(empty_database: Server) -> None:
    done = await asyncio.gather(*(migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS) for _ in range(3)))
    assert sorted(len(one.applied) for one in done) == [0, 0, len(MIGRATIONS)]


async def test_an_older_schema_is_upgraded_in_place_and_its_views_are_rebuilt_from_the_events(
    empty_database: Server,
) -> None:
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    database = await opened(empty_database)
    case = case_id()
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report(title="burst main"))])
    migrated = await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))
    assert (migrated.applied, migrated.rebuild) == (("0002_lengths",), True)
    again = await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))
    assert (again.applied, again.rebuild) == ((), True), "the rebuild is still to be done"
    newer = await opened(empty_database, LENGTHS)
    tables, _ = await rebuild(derived(replace(MODEL, views=(GROWN,))), newer, nothing)
    await newer.close()
    assert [(one.table, one.equal) for one in tables] == [("streams", True), ("tallies", False)]
    rows = await database.fetch("SELECT case_id, title, length FROM tallies")
    assert [tuple(row) for row in rows] == [(case, "burst main", 10)]
    assert not (await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))).rebuild
    await database.close()


async def test_the_version_before_still_works_on_the_upgraded_schema(empty_database: Server) -> None:
    """Expand, then contract: processes of two versions run side by side while the stack is upgraded."""
    await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))
    database = await opened(empty_database)
    await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 1
    await database.close()


async def test_a_rebuild_changes_nothing_where_nothing_was_wrong_and_mends_what_was(database: Database) -> None:
    inbox = Inbox(MODEL, database, wall_clock)
    cases = [case_id() for _ in range(30)]
    await inbox.process([fact_record(case, report(category="timed")) for case in cases])
    await inbox.process([fact_record(case, Supplement(text="more"), sequence=2) for case in cases])
    seen: list[tuple[int, int]] = []
    tables, _ = await rebuild(derived(MODEL), database, lambda done, total: seen.append((done, total)))
    assert [(one.table, one.after.rows, one.equal) for one in tables] == [("streams", 30, True), ("tallies", 30, True)]
    assert seen[-1] == (30, 30)
    before = {one.table: one.after for one in tables}
    await database.pool.execute("UPDATE tallies SET supplements = 77 WHERE case_id = $1", cases[3])
    await database.pool.execute("UPDATE streams SET due_at = NULL WHERE stream_id = $1", cases[4])
    await database.pool.execute("DELETE FROM tallies WHERE case_id = $1", cases[5])
    mended, _ = await rebuild(derived(MODEL), database, nothing)
    assert [one.equal for one in mended] == [False, False]
    assert {one.table: one.after for one in mended} == before


async def test_a_service_that_writes_during_a_rebuild_waits_and_loses_nothing(database: Database) -> None:
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([fact_record(case_id(), report()) for _ in range(50)])
    fresh = [fact_record(case_id(), report()) for _ in range(50)]
    await asyncio.gather(rebuild(derived(MODEL), database, nothing), inbox.process(fresh))
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 100
    assert all(one.equal for one in (await rebuild(derived(MODEL), database, nothing)).tables)


async def test_an_edited_migration_and_a_newer_schema_are_named(empty_database: Server) -> None:
    await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS))
    edited = replace(LENGTHS, sql=LENGTHS.sql + "\n-- an afterthought")
    with pytest.raises(MigrationError, match="tally migration 0002_lengths was edited after it had been applied"):
        await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, edited))
    with pytest.raises(MigrationError, match="schema tally is newer than this version: it has tally 0002_lengths"):
        await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)


async def test_a_migration_that_fails_leaves_nothing_of_itself_or_of_those_before_it(empty_database: Server) -> None:
    broken = Migration("tally", 3, "0003_broken", "CREATE TABLE half (id text); SELECT nonsense;")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, LENGTHS, broken))
    done = await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    assert done.applied == tuple(one.name for one in MIGRATIONS)


async def test_data_from_before_there_were_migrations_are_named_with_what_to_do(empty_database: Server) -> None:
    connection = await asyncpg.connect(empty_database.admin_url)
    await connection.execute("CREATE SCHEMA tally; CREATE TABLE tally.schema_version (digest text)")
    await connection.close()
    with pytest.raises(MigrationError, match="made before there were migrations: `make reset`"):
        await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)


@pytest.mark.parametrize(
    "left_open", ["SELECT FROM tally.tallies", "ALTER ROLE tally SET work_mem = '1MB'", "LOCK TABLE tally.streams"]
)
async def test_a_session_that_holds_up_a_migration_is_named_and_nothing_waits_for_ever(
    empty_database: Server, left_open: str
) -> None:
    """It may have no time-out: a role sets its own."""
    later = replace(LENGTHS, sql=f"{LENGTHS.sql}\nALTER TABLE streams ADD COLUMN more text")
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    holder = await asyncpg.connect(empty_database.url("tally"))
    await holder.execute(f"SET idle_in_transaction_session_timeout = 0; BEGIN; {left_open}")
    named = f"schema tally: held up for 0.3 seconds by process {holder.get_server_pid()} of role tally, whose"
    with pytest.raises(MigrationError, match=named):
        await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, later), patience_seconds=0.3)
    await holder.close()
    assert (await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, later))).applied


async def test_a_migration_of_comments_alone_is_applied(empty_database: Server) -> None:
    """A number that was given to something which then was not needed."""
    remark = Migration("tally", 2, "0002_remark", "-- rebuild\n/* what the views hold has changed, no table */")
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    done = await migrate(empty_database.admin_url, "tally", PASSWORD, (*MIGRATIONS, remark))
    assert (done.applied, done.rebuild) == (("0002_remark",), True)


@pytest.mark.parametrize(
    ("names", "rule"),
    [(["0002_x.sql"], "0001_<name>"), (["0001_x.sql", "0003_y.sql"], "0002_"), (["1_x.sql"], "0001_")],
)
def test_a_folder_with_a_missing_number_or_a_wrong_name_is_refused(tmp_path: Path, names: list[str], rule: str) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=rule):
        read("tally", tmp_path)


def test_a_migration_that_was_released_is_never_edited() -> None:
    """Data somewhere was made by it: a further migration changes what it made. A new one is added to the lock."""
    lock = (ROOT / "chassis/store/migrations.lock").read_text()
    locked = {path: digest for digest, path in (line.split() for line in lock.splitlines())}
    folders = (
        *(ROOT / "chassis/store" / name for name in ("every", "schema")),
        *sorted((ROOT / "services").glob("*/schema")),
    )
    found = {
        f"{folder.relative_to(ROOT)}/{migration.name}.sql": migration.digest
        for folder in folders
        for migration in read(folder.parent.name, folder)
    }
    missing = found.keys() - locked.keys()
    assert not missing, f"sha256sum {' '.join(sorted(missing))} >> chassis/store/migrations.lock"
    assert found == locked, "a migration was edited or removed: restore it, and write a further one"
