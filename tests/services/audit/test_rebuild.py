"""The table of cases is rebuilt from the log: all of it, while writers wait, and from the command line."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from chassis.kafka.records import Record
from chassis.store import derived
from chassis.store.database import Connection, Database
from chassis.store.derived import LEFT_ASIDE, Refresher, rebuild
from chassis.store.locks import lock_alone
from chassis.store.migrations import Migration, migrate
from services.audit.domain.case import Case
from services.audit.log import Log
from services.audit.rebuild import DERIVED
from services.audit.service import MIGRATIONS
from services.audit.views import CASES
from tests.domain.audit_story import burst_main
from tests.support import infrastructure
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.services import eventually

ROWS = "SELECT * FROM cases ORDER BY first_index"
STRANGER = """
INSERT INTO cases (case_id, first_index, last_index, events, last_at, reworks, state)
SELECT 'nobody', -1, last_index, events, last_at, reworks, state FROM cases LIMIT 1
"""


def many_cases(count: int) -> list[Record]:
    return [fact_record(case_id(), report(f"leak {n}")) for n in range(count)]


async def test_a_rebuild_in_many_steps_makes_every_case_anew_and_says_how_far_it_is(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "_BATCH", 60)
    await Log(store).process([*many_cases(150), *burst_main().records(), record_of(b"{", case_id())])
    before = await store.fetch(ROWS)
    assert len(before) == 151
    await store.fetch("UPDATE cases SET status = 'wrong' WHERE first_index % 2 = 0")
    await store.fetch(STRANGER)
    steps: list[tuple[int, int]] = []
    (table,), _ = await rebuild(DERIVED, store, lambda done, total: steps.append((done, total)))
    assert await store.fetch(ROWS) == before
    assert steps == [(60, 152), (120, 152), (152, 152)]
    assert (table.table, table.equal, table.before.rows, table.after.rows) == ("cases", False, 152, 151)
    (again,), _ = await rebuild(DERIVED, store, lambda done, total: None)
    assert (again.equal, again.before) == (True, table.after)


async def test_many_rows_can_be_written_twice_in_one_transaction(store: Database) -> None:
    await Log(store).process(many_cases(60))
    rows = await store.fetch("SELECT case_id, state FROM cases")
    states = [(row["case_id"], TypeAdapter(Case).validate_json(row["state"])) for row in rows]

    async def twice(connection: Connection) -> None:
        await CASES.write(connection, states)
        await CASES.write(connection, states)

    await store.transact(twice)
    assert len(await store.fetch(ROWS)) == 60


async def test_an_empty_log_gives_an_empty_table(store: Database) -> None:
    (table,), _ = await rebuild(DERIVED, store, lambda done, total: None)
    assert (table.equal, table.after.rows) == (True, 0)


async def test_a_rebuild_waits_for_the_writer_before_it(store: Database) -> None:
    await Log(store).process(many_cases(1))
    async with store.pool.acquire() as writer:
        async with writer.transaction():
            await lock_alone(writer)
            rebuilding = asyncio.create_task(rebuild(DERIVED, store, lambda done, total: None))

            async def waiting() -> bool:
                (row,) = await store.fetch("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return row[0] == 1

            await eventually(waiting, what="the rebuild waits")
            assert not rebuilding.done()
        (table,), _ = await rebuilding
    assert table.equal


async def test_what_an_older_version_writes_after_a_rebuild_is_made_anew_from_the_log(
    store: Database, database: infrastructure.Database
) -> None:
    number = max(one.number for one in MIGRATIONS) + 1
    added = Migration("audit", number, f"{number:04}_extra", "-- rebuild\nALTER TABLE cases ADD COLUMN extra text;")
    await migrate(database.admin_url, "audit", infrastructure.PASSWORD, (*MIGRATIONS, added))
    newer = Database(database.url("audit"), "audit", size=2, migrations=(*MIGRATIONS, added))
    await newer.open(rebuilt=False)
    await rebuild(DERIVED, newer, lambda done, total: None)
    await Log(store).process(many_cases(3))
    right = await store.fetch(ROWS)
    await store.fetch("UPDATE cases SET title = 'as the older version writes it'")
    assert await Refresher(DERIVED, store).refresh() == 0, "that is for the newer version to do"
    refresher = Refresher(DERIVED, newer)
    assert (await refresher.refresh(), await refresher.refresh()) == (3, 0)
    assert await store.fetch(ROWS) == right
    await Log(newer).process(many_cases(1))
    assert await refresher.refresh() == 0, "the newer version writes as it should"
    await newer.close()


async def test_the_command_line_says_whether_the_table_is_equal(
    store: Database, database: infrastructure.Database, district_folder: Path
) -> None:
    await Log(store).process(many_cases(3))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.audit", *arguments],
            env={"DATABASE_URL": database.url("audit"), "CASEGRID_DISTRICT": str(district_folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    done = await asyncio.to_thread(run, "rebuild")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"audit\.cases: 3 rows, checksum [0-9a-f]{16}, equal\n", done.stdout)
    assert "rebuild audit" in done.stderr
    await store.fetch("UPDATE cases SET title = 'wrong'")
    done = await asyncio.to_thread(run, "rebuild")
    assert re.fullmatch(r"audit\.cases: 3 rows, checksum \S+, differs: it was \S+, 3 rows\n", done.stdout)
    assert [row["title"] for row in await store.fetch(ROWS)] == ["leak 0", "leak 1", "leak 2"]
    await store.fetch(
        'INSERT INTO log (index, topic, partition, "offset", headers, body, valid, case_id)'
        " SELECT 3, topic, partition, 99, headers, '{}', true, case_id FROM log WHERE index = 2"
    )
    done = await asyncio.to_thread(run, "rebuild")
    assert done.returncode == LEFT_ASIDE
    assert re.match(r"audit\.cases: 2 rows, checksum \S+, differs: it was \S+, 3 rows\n", done.stdout)
    assert "cannot be made anew" in done.stderr
    assert done.stderr.splitlines()[-1] == "audit has no rows of 1 cases, which meet a defect: see above"
    assert (await asyncio.to_thread(run, "rebuilt")).returncode == 2
