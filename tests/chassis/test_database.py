"""A server that hangs is told from one that is slow: what waits for it ends in a bounded time, and nothing is lost."""

import asyncio
import errno
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.kafka.connection import Connection as Broker
from chassis.kafka.relay import Relay
from chassis.retry import NotNow
from chassis.store.changes import EVERYTHING, Changes
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.migrations import migrate
from chassis.store.transaction import Transaction
from chassis.store.watch import Watch
from deploy.stack.postgres import Postgres
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD, execute, frozen
from tests.support.infrastructure import Database as Server
from tests.support.services import NOWHERE, Running, eventually, running, token
from tests.support.tally import MIGRATIONS, MODEL, TALLY

BOUND = 6.0
WRITER = token("li", "acceptor")
"""Five seconds as promised, and one for this machine."""


@pytest.fixture(scope="module")
async def own_postgres(infrastructure_folder: Path) -> AsyncIterator[Postgres]:
    """One for all tests here."""
    own = Postgres(infrastructure_folder / "hangs")
    await own.start()
    yield own
    await own.kill()


@pytest.fixture
async def own_server(own_postgres: Postgres) -> Server:
    found = Server(f"test_{uuid.uuid4().hex[:10]}", own_postgres.url)
    await execute(own_postgres.url, f"CREATE DATABASE {found.name}")
    await migrate(found.admin_url, "tally", PASSWORD, MIGRATIONS)
    return found


@pytest.fixture
async def store(own_server: Server) -> AsyncIterator[Database]:
    """Open, with a connection in its pool."""
    found = Database(own_server.url("tally"), "tally", size=2, migrations=MIGRATIONS)
    await found.open()
    await found.fetch("SELECT 1")
    yield found
    await found.close()


async def timed(work: Awaitable[Any]) -> tuple[float, Any]:
    """The seconds that it took, and what came of it, an error as well."""
    began = time.monotonic()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return time.monotonic() - began, outcome


async def reads(store: Database) -> None:
    await store.fetch("SELECT 1")


async def reads_a_row(store: Database) -> None:
    await store.fetchrow("SELECT 1")


async def writes(store: Database) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute("UPDATE streams SET due_at = NULL")

    await store.transact(work)


async def test_whoever_waits_for_a_server_that_hangs_is_told_so_in_five_seconds(
    store: Database, own_postgres: Postgres
) -> None:
    with frozen(own_postgres):
        # More than the pool has connections: who waits for one waits no longer.
        found = await asyncio.gather(*(timed(ask(store)) for ask in (reads, reads_a_row, writes) for _ in range(2)))
    for seconds, outcome in found:
        assert isinstance(outcome, TRANSIENT_ERRORS), repr(outcome)
        assert str(outcome) == "the database does not answer"
        assert seconds < BOUND

    async def works() -> bool:
        return [(await timed(ask(store)))[1] for ask in (reads, reads_a_row, writes)] == [None] * 3

    await eventually(works)


async def test_a_server_that_hangs_at_the_commit_leaves_a_batch_that_may_come_again(
    store: Database, own_postgres: Postgres, own_server: Server
) -> None:
    """The outcome of the COMMIT is not known, and either outcome ends in one report."""
    record = fact_record(case_id(), report())
    arrived, go_on = asyncio.Event(), asyncio.Event()

    class Waiting(Database):
        async def decide(self, work: Callable[[Transaction], Awaitable[Any]], *, although_held: bool = False) -> Any:
            async def run(transaction: Transaction) -> Any:
                found = await work(transaction)
                arrived.set()
                await go_on.wait()
                return found

            return await super().decide(run, although_held=although_held)

    waiting = Waiting(own_server.url("tally"), "tally", size=2, migrations=MIGRATIONS)
    await waiting.open()
    taking = asyncio.create_task(timed(Inbox(MODEL, waiting, wall_clock).process([record])))
    await arrived.wait()
    with frozen(own_postgres):
        go_on.set()
        _, outcome = await taking
    assert isinstance(outcome, TRANSIENT_ERRORS)
    await waiting.close()

    async def taken() -> bool:
        _, again = await timed(Inbox(MODEL, store, wall_clock).process([record]))
        return again is None

    await eventually(taken, what="the batch is taken in")
    assert len(await store.fetch("SELECT 1 FROM tallies")) == 1
    assert len(await store.fetch("SELECT 1 FROM events WHERE NOT own")) == 1
    assert len(await store.fetch("SELECT 1 FROM parked")) == 0


async def test_a_slow_statement_of_a_server_that_answers_is_waited_for(store: Database) -> None:
    seconds, outcome = await timed(store.fetch("SELECT pg_sleep(5.5)"))
    assert not isinstance(outcome, Exception)
    assert seconds > 5


async def test_a_cancelled_reader_does_not_wait_for_a_server_that_hangs(
    store: Database, own_postgres: Postgres
) -> None:
    with frozen(own_postgres):
        reading = asyncio.create_task(reads(store))
        await asyncio.wait([reading], timeout=0.2)
        reading.cancel()
        seconds, outcome = await timed(reading)
    assert isinstance(outcome, asyncio.CancelledError)
    assert seconds < BOUND


async def test_a_cancelled_reader_ends_its_statement(store: Database) -> None:
    reading = asyncio.create_task(store.fetch("SELECT pg_sleep(60)"))

    async def asleep() -> int:
        return len(await store.fetch("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"))

    await eventually(asleep, what="the statement runs")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    async def ended() -> bool:
        query = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
        return not await store.fetch(query)

    await eventually(ended, what="the statement is ended")


async def test_the_relay_says_that_the_server_hangs_and_goes_on_when_it_answers_again(
    kafka: str, topics: str, store: Database, own_postgres: Postgres
) -> None:
    relay = Relay(broker=Broker(kafka), name="tally", prefix=topics, database=store)
    task = asyncio.create_task(relay.run())
    try:

        async def works() -> bool:
            return relay.fault is None

        await eventually(works, what="the relay works")
        with frozen(own_postgres):

            async def fault() -> str | None:
                return relay.fault

            assert "the database does not answer" in str(await eventually(fault, seconds=BOUND))
        await eventually(works, what="the relay works again")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_outside_the_pool_says_as_the_pool_does_that_the_server_hangs(
    store: Database, own_postgres: Postgres
) -> None:
    """The relay and the live views have one each."""
    with frozen(own_postgres):
        seconds, outcome = await timed(store.connect())
    assert (isinstance(outcome, NotNow), str(outcome)) == (True, "the database does not answer")
    assert seconds < BOUND


async def test_live_views_look_at_everything_again_after_a_server_has_hung(
    store: Database, own_postgres: Postgres
) -> None:
    changes = Changes(store)
    task = asyncio.create_task(changes.run())
    try:
        async with changes.listen() as queue:
            assert await asyncio.wait_for(queue.get(), 5) == EVERYTHING
            with frozen(own_postgres):
                await eventually(lambda: timed(reads(store)), seconds=BOUND)
                await eventually(lambda: timed(reads(store)), seconds=BOUND)
            assert await asyncio.wait_for(queue.get(), 15) == EVERYTHING
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def tally(own_server: Server) -> AsyncIterator[Running]:
    async with running(TALLY, own_server.url("tally"), kafka=NOWHERE) as found:
        yield found


async def test_a_process_stops_though_the_server_hangs(tally: Running, own_postgres: Postgres) -> None:
    with frozen(own_postgres):
        seconds, _ = await timed(tally.runtime.stop())
    assert seconds < 2 * BOUND


async def test_a_command_that_is_sent_again_after_the_server_has_hung_takes_effect_once(
    tally: Running, own_postgres: Postgres
) -> None:
    case = case_id()
    await tally.runtime.inbox.process([fact_record(case, report())])

    async def send() -> int:
        answer = await tally.client.post(
            f"/cases/{case}/notes", json={"text": "seen"}, headers={**WRITER, "idempotency-key": "k"}
        )
        return answer.status_code

    with frozen(own_postgres):
        seconds, status = await timed(send())
    assert (status, seconds < BOUND) == (503, True)

    async def taken() -> bool:
        return await send() == 201

    await eventually(taken)
    (row,) = await tally.runtime.database.fetch("SELECT notes FROM tallies")
    assert row["notes"] == 2, "the reaction to the report, and the command"


class Late(Database):
    """Its caller is cancelled when a connection is there and the caller has not been told yet."""

    caller: asyncio.Task[asyncpg.Connection]
    made: asyncpg.Connection

    async def _connect(self) -> asyncpg.Connection:
        self.made = await super()._connect()
        asyncio.get_running_loop().call_soon(self.caller.cancel)
        return self.made


async def test_a_connection_that_is_made_as_its_caller_is_cancelled_is_closed(own_server: Server) -> None:
    database = Late(own_server.url("tally"), "tally", size=1, migrations=MIGRATIONS)
    database.caller = asyncio.create_task(database.connect())
    with pytest.raises(asyncio.CancelledError):
        await database.caller
    assert database.made.is_closed()


async def test_a_password_in_a_file_is_read_anew_for_every_connection(empty_database: Server, tmp_path: Path) -> None:
    file = tmp_path / "password"
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    url = empty_database.url("tally").replace(f":{PASSWORD}@", "@")
    assert url != empty_database.url("tally")
    database = Database(url, "tally", size=2, migrations=MIGRATIONS, password_file=file)
    with pytest.raises(NotNow, match="DATABASE_PASSWORD_FILE can't be read: No such file"):
        await database.open()
    file.write_text(f"{PASSWORD}\n")
    await database.open()
    try:
        await migrate(empty_database.admin_url, "tally", "another", MIGRATIONS)
        file.write_text("another")
        connection = await database.connect()
        assert await connection.fetchval("SELECT current_user") == "tally"
        await connection.close()
    finally:
        await database.close()
        await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)


@pytest.mark.parametrize("lacking", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EADDRNOTAVAIL])
async def test_a_process_that_cannot_ask_ends_nobodys_work(lacking: int) -> None:
    """Without a descriptor for a connection it has learned nothing of the server, and a COMMIT under way may go on."""
    asked, ended = 0, []

    async def connect() -> asyncpg.Connection:
        nonlocal asked
        asked += 1
        raise OSError(lacking, "none left")

    async def asked_twice() -> bool:
        return asked >= 2

    watch = Watch(connect)
    with watch.over(lambda: ended.append("cut")):
        watching = asyncio.create_task(watch.run())
        await eventually(asked_twice, what="the watch asks")
        watching.cancel()
    assert not ended


async def test_a_server_that_cannot_be_reached_ends_what_waits_for_it() -> None:
    ended = asyncio.Event()

    async def connect() -> asyncpg.Connection:
        raise OSError(errno.EHOSTUNREACH, "no route")

    watch = Watch(connect)

    async def work() -> None:
        with watch.over(ended.set):
            async with asyncio.timeout(BOUND):
                await ended.wait()
            raise TimeoutError

    watching = asyncio.create_task(watch.run())
    with pytest.raises(NotNow):
        await work()
    watching.cancel()


async def test_a_table_that_nobody_may_write_is_no_answer(database: Database, empty_database: Server) -> None:
    """A server that answers reads is not enough to be ready."""
    assert await database.answers(5)
    holder = await asyncpg.connect(empty_database.admin_url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE tally.events IN SHARE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await database.answers(5)
    finally:
        await holder.close()
    assert await database.answers(5)
