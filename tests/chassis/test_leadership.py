"""A relay that is frozen loses the lead, and a service that publishes nothing says so."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chassis import runtime as runtime_module
from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.kafka.relay import Relay
from chassis.store import leadership
from chassis.store.database import Database
from chassis.store.leadership import Lease
from chassis.store.outbox import oldest_unsent
from tests.chassis.test_relay import MORE, at_least, leader, relaying, without_fault, writing
from tests.support.facts import case_id, fact_record, report
from tests.support.services import Running, eventually, read_topic, running, token
from tests.support.tally import MODEL, TALLY

ROOT = Path(__file__).parents[2]
OPERATOR = token("ops", "administrator")


@asynccontextmanager
async def relay_process(kafka: str, prefix: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.relaying", kafka, prefix, url, cwd=ROOT
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def file(database: Database, case: str, *numbers: str) -> None:
    """`1` is the report of the case; what follows is answered like it."""
    inbox = Inbox(MODEL, database, wall_clock)
    for number in numbers:
        await inbox.process([fact_record(case, report() if number == "1" else MORE)])


async def another_leads(database: Database, than: int | None) -> bool:
    return await leader(database) not in (None, than)


async def test_a_frozen_relay_is_replaced_within_seconds_and_works_no_more_when_it_wakes_up(
    kafka: str, topics: str, database: Database, tally_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    case = case_id()
    async with relay_process(kafka, topics, tally_database) as frozen:
        await eventually(lambda: another_leads(database, None), seconds=120, what="a relay that leads")
        await file(database, case, "1")
        await read_topic(kafka, topics, "Progressed", at_least(1))
        frozen.send_signal(signal.SIGSTOP)
        led = await leader(database)
        await file(database, case, "2")
        async with relaying(kafka, topics, database) as standby:
            await read_topic(kafka, topics, "Progressed", at_least(2), seconds=leadership.LEASE_SECONDS + 10)
            assert await another_leads(database, led)
            assert "the relay that led has been silent for 6 seconds and is replaced" in caplog.text
            leads = await leader(database)
            frozen.send_signal(signal.SIGCONT)
            await file(database, case, "3")
            events = await read_topic(kafka, topics, "Progressed", at_least(3))
            assert list(dict.fromkeys(event.sequence for event in events)) == [f"{n:010d}" for n in (1, 2, 3)]
            assert await leader(database) == leads
            assert standby.fault is None
            assert frozen.returncode is None


async def test_what_a_relay_still_held_when_it_lost_the_lead_is_sent_late_and_puts_nothing_out_of_order(
    kafka: str, topics: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "LEASE_SECONDS", 2.5)  # more than a relay rests
    monkeypatch.setattr(leadership, "_RENEW_SECONDS", 3600.0)
    wakes, holds = asyncio.Event(), asyncio.Event()
    send_all = Relay._send_all

    async def held(relay: Relay, *arguments: Any) -> None:
        if relay is first:
            holds.set()
            await wakes.wait()
        await send_all(relay, *arguments)

    monkeypatch.setattr(Relay, "_send_all", held)
    case = case_id()
    await file(database, case, "1", "2")
    async with relaying(kafka, topics, database) as first:
        await asyncio.wait_for(holds.wait(), 20)
        async with relaying(kafka, topics, database) as second:
            await file(database, case, "3", "4")
            await read_topic(kafka, topics, "Progressed", at_least(4))
            wakes.set()
            events = await read_topic(kafka, topics, "Progressed", at_least(6))
            assert [int(event.sequence) for event in events] == [1, 2, 3, 4, 1, 2]
            await eventually(lambda: without_fault(first), what="the first waits for the lead")
            assert (first.leads, second.leads) == (False, True)

            async def noted() -> bool:
                last = "SELECT max(position) FROM events WHERE own"
                return bool(await database.fetch(f"SELECT FROM published WHERE position = sent AND sent = ({last})"))

            await eventually(noted, what="all is noted as sent")


async def test_a_relay_that_waits_for_the_broker_keeps_the_lead(
    kafka: str, topics: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(leadership, "_RENEW_SECONDS", 0.1)
    wakes, asked, take, send_all = asyncio.Event(), 0, Lease.take, Relay._send_all

    async def held(*arguments: Any) -> None:
        await wakes.wait()
        await send_all(*arguments)

    async def counted(lease: Lease) -> bool:
        nonlocal asked
        found = await take(lease)
        asked += not found
        return found

    async def often() -> bool:
        return asked >= 5  # half a second apart

    monkeypatch.setattr(Relay, "_send_all", held)
    monkeypatch.setattr(Lease, "take", counted)
    await file(database, case_id(), "1")
    async with relaying(kafka, topics, database) as first:
        await eventually(lambda: another_leads(database, None), what="a relay that leads")
        async with relaying(kafka, topics, database):
            await eventually(often, what="the other asks for the lead")
            assert first.leads
            wakes.set()
            await read_topic(kafka, topics, "Progressed", at_least(1))


async def status(service: Running) -> int:
    return (await service.client.get("/ready")).status_code


async def is_ready(service: Running) -> bool:
    return await status(service) == 200


async def is_not_ready(service: Running) -> bool:
    return await status(service) == 503


async def test_each_process_says_that_the_oldest_fact_waits_to_be_sent_and_an_idle_one_is_ready(
    kafka: str, topics: str, database: Database, tally_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_UNSENT_SECONDS", 0.5)
    async with running(TALLY, tally_database, kafka=kafka, prefix=topics, role="api") as api:
        assert await status(api) == 200
        await file(database, case_id(), "1")
        await eventually(lambda: is_not_ready(api), what="the fact is too old")
        said = (await api.client.get("/ready", headers=OPERATOR)).json()["parts"]
        assert said["relay"].startswith("the oldest unsent fact has waited for ")
        async with relaying(kafka, topics, database):
            await eventually(lambda: is_ready(api), what="it was sent")
        assert await oldest_unsent(database) is None


async def test_a_standby_is_not_ready_while_the_one_that_leads_sends_nothing(
    kafka: str, topics: str, database: Database, tally_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_UNSENT_SECONDS", 0.5)
    async with (
        Standing(database) as lead,
        running(TALLY, tally_database, kafka=kafka, prefix=topics, role="worker") as standby,
    ):
        await eventually(lambda: is_ready(standby), what="readiness")
        await file(database, case_id(), "1")
        await eventually(lambda: is_not_ready(standby), what="the fact is too old")
        await lead.close()
        await eventually(lambda: is_ready(standby), what="it leads and has sent it")


class Standing:
    """A session that leads, speaks and sends nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await self._database.connect()
        assert await Lease(self._connection, self._database.watched).take()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._connection.terminate()


async def test_what_was_sent_beyond_a_gap_does_not_count_as_unsent_and_what_fills_the_gap_does(
    kafka: str, topics: str, database: Database
) -> None:
    """A transaction that is open for long keeps the position of publishing from moving; facts are sent all the same."""

    async def all_sent() -> bool:
        return await oldest_unsent(database) is None

    async with writing(database) as transaction:
        async with relaying(kafka, topics, database):
            await file(database, case_id(), "1")
            await read_topic(kafka, topics, "Progressed", at_least(1))
            await eventually(all_sent, what="it is noted what was sent")
            assert await database.fetch("SELECT FROM published WHERE position < sent")
        await transaction.commit()
    assert not await all_sent()
    async with relaying(kafka, topics, database):
        await eventually(all_sent, what="what filled the gap")
