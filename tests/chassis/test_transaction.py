"""What a transaction writes goes out together: few rows as one statement, many with COPY, and all of it or nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import asyncpg
import pytest

from chassis.clock import wall_clock
from chassis.engine.commands import CommandRequest, Commands
from chassis.engine.inbox import Inbox
from chassis.store.database import Connection, Database
from chassis.store.transaction import Conflict, Transaction, Write
from contracts.intake import Supplement
from tests.chassis.conftest import opened
from tests.support.facts import case_id, fact_record, report
from tests.support.tally import MODEL, Note

FEW, MANY = 3, 2_000
_ADD = (
    "INSERT INTO seen (source, id) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING true"
)
_FREE = "DELETE FROM leader WHERE pid = ANY($1::integer[])"


def added(source: str, number: int, *, exactly: str | None = "are new") -> Write:
    """So many rows of a table."""
    rows = [(source, str(one)) for one in range(number)]

    async def copy(connection: Connection) -> None:
        await connection.copy_records_to_table("seen", columns=("source", "id"), records=rows)

    return Write(_ADD, rows, exactly, None if exactly else copy)


async def sources(database: Database) -> list[tuple[str, int]]:
    rows = await database.fetch("SELECT source, count(*) FROM seen GROUP BY source ORDER BY source")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("number", [FEW, MANY])
async def test_everything_is_written(database: Database, number: int) -> None:
    async def work(transaction: Transaction) -> None:
        transaction.write(added("asserted", number))
        transaction.write(added("a", number, exactly=None))
        transaction.write(added("none", 0))

    await database.decide(work)
    assert await sources(database) == [("a", number), ("asserted", number)]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("number", [FEW, MANY])
@pytest.mark.parametrize("wrong_part", [0, 1, 2])
async def test_where_one_part_is_not_as_it_was_read_nothing_is_written(
    database: Database, number: int, wrong_part: int, locked: bool
) -> None:
    async def work(transaction: Transaction, parts: Sequence[Write]) -> None:
        if locked:
            await (await transaction.begin()).execute(_ADD, ["at once"], ["1"])
        for part in parts:
            transaction.write(part)

    await database.fetch("INSERT INTO seen (source, id) VALUES ('2', '1')")
    parts = [added("1", number), added("3", number, exactly=None)]
    parts.insert(wrong_part, added("2", FEW))
    with pytest.raises(Conflict, match=r"^2 of 3 are new$"):
        await database.decide(lambda one: work(one, parts))
    assert await sources(database) == [("2", 1)]


@pytest.mark.parametrize("begun", [False, True])
async def test_nothing_is_written_of_work_that_fails(database: Database, begun: bool) -> None:
    async def work(transaction: Transaction) -> None:
        if begun:
            await (await transaction.begin()).execute(_ADD, ["at once"], ["1"])
        transaction.write(added("later", FEW))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.decide(work)
    assert await sources(database) == []
    await database.decide(lambda one: one.begin())  # the connection is free of it


@pytest.mark.parametrize("number", [FEW, MANY])
async def test_who_listens_hears_of_it_once_it_is_there(database: Database, number: int) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = await database.connect()
    await listening.add_listener("rows", lambda *arguments: heard.put_nowait(str(arguments[3])))

    async def work(transaction: Transaction) -> None:
        transaction.write(added("a", number))
        transaction.call("pg_notify('rows', $1 || '!')", "there")
        transaction.call("pg_notify('rows', 'twice')")

    await database.decide(work)
    assert {await heard.get(), await heard.get()} == {"there!", "twice"}
    assert await sources(database) == [("a", number)]
    await listening.close()


async def test_other_errors_of_the_server_are_no_conflict(database: Database) -> None:
    async def work(transaction: Transaction) -> None:
        transaction.write(Write("INSERT INTO seen SELECT * FROM unnest($1::text[])", [("x",)]))

    with pytest.raises(asyncpg.PostgresError):
        await database.decide(work)


@pytest.fixture
async def one_connection(tally_database: str) -> AsyncIterator[Database]:
    async with opened(tally_database, size=1) as found:
        yield found


async def statements(database: Database, work: Awaitable[object]) -> int:
    """How many statements the database's one connection sends meanwhile."""
    asked: list[str] = []

    def note(record: Any) -> None:
        asked.append(record.query)

    async with database.pool.acquire() as connection:
        connection.add_query_logger(note)
    await work
    async with database.pool.acquire() as connection:
        connection.remove_query_logger(note)
    return len(asked)


async def test_a_record_or_a_command_of_a_case_that_is_at_hand_takes_two_statements(one_connection: Database) -> None:
    """A question and an answer; without a key a command has nothing to ask."""
    case, inbox = case_id(), Inbox(MODEL, one_connection, wall_clock)
    await inbox.process([fact_record(case, report())])
    records = [fact_record(case, Supplement(text=f"{n}"), sequence=n) for n in (2, 3)]
    assert await statements(one_connection, inbox.process(records)) == 2
    commands = Commands(MODEL, one_connection, wall_clock, inbox.cache)

    async def note(key: str | None) -> None:
        request = CommandRequest(actor="person:a", idempotency_key=key)
        await commands.execute(case, Note("n"), request, lambda *_: (200, {}))

    await note("before")  # asyncpg asks for the types of a statement when it meets it for the first time
    assert await statements(one_connection, note(None)) == 1
    assert await statements(one_connection, note("k")) == 2
    assert await statements(one_connection, inbox.process([records[0]])) == 3  # it came before, with the same bytes
