"""What has taken effect is known: facts by their case's events, everything else by the table `seen`."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import orjson
import pytest

from chassis.clock import wall_clock
from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox
from chassis.engine.settling import Decision, settle
from chassis.kafka.records import Record
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.migrations import migrate
from contracts.intake import Supplement, Withdrawal
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD, execute
from tests.support.infrastructure import Database as Server
from tests.support.tally import MIGRATIONS, MODEL

BEFORE = [one for one in MIGRATIONS if (one.component, one.name) != ("store", "0007_seen")]
MENDED = replace(MODEL, decider=replace(MODEL.decider, react=lambda *_: []))


def fresh(database: Database, model: Any = MODEL) -> Inbox:
    """The inbox of a process that has just begun: it remembers nothing."""
    return Inbox(model, database, wall_clock)


def again(record: Record) -> Record:
    """The same bytes at another offset, as a relay that died midway sends them."""
    return record._replace(offset=record.offset + 1_000_000)


async def texts(database: Database, case: str) -> str:
    row = await database.fetchrow("SELECT texts FROM tallies WHERE case_id = $1", case)
    assert row is not None
    return row["texts"]


async def received(database: Database) -> list[tuple[str, str]]:
    rows = await database.fetch("SELECT stream_id, event_id FROM events WHERE NOT own ORDER BY stream_id, version")
    return [(row["stream_id"], row["event_id"]) for row in rows]


async def parked(database: Database) -> list[tuple[str, str]]:
    return [(row["kind"], row["status"]) for row in await database.fetch("SELECT * FROM parked ORDER BY parked_id")]


async def test_a_fact_that_took_effect_leaves_no_row_of_its_own(database: Database) -> None:
    record = fact_record(case_id(), report())
    await fresh(database).process([record])
    await fresh(database).process([record, again(record)])
    assert await database.fetch("SELECT FROM seen") == []
    assert len(await received(database)) == 1


@pytest.mark.parametrize("seed", range(8))
async def test_repetitions_and_the_bounds_of_batches_change_nothing(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    cases = [case_id() for _ in range(3)]
    facts = [fact_record(case, report()) for case in cases]
    facts += [fact_record(case, Supplement(text=f"{n}"), sequence=n) for n in range(2, 5) for case in cases]
    facts.append(fact_record(case_id(), Supplement(text="of an unknown case")))
    flow: list[Record] = []
    for fact in facts:
        flow.append(fact)
        flow += [again(earlier) for earlier in chance.choices(flow, k=chance.randrange(3))]
    inbox = fresh(database)
    while flow:
        size = chance.randint(1, 6)
        inbox = fresh(database) if chance.random() < 0.3 else inbox
        await inbox.process(flow[:size])
        flow = flow[size:]
    await fresh(database).process(facts)
    assert [await texts(database, case) for case in cases] == ["2|3|4"] * 3
    assert len(await received(database)) == 12
    assert await parked(database) == [("unfit", "waiting")]


async def test_a_parked_fact_is_parked_once_and_takes_no_effect_by_being_sent_again(database: Database) -> None:
    case = case_id()
    early = fact_record(case, Supplement(text="early"), sequence=2)
    await fresh(database).process([early, again(early)])
    await asyncio.gather(*(fresh(database).process([again(early)]) for _ in range(3)))
    await fresh(database).process([fact_record(case, report()), again(early)])
    assert (await parked(database), await texts(database, case)) == ([("unfit", "waiting")], "")
    await settle(fresh(database), Decision(1, True, "operator", "too early"))
    await fresh(database).process([again(early)])
    assert (await parked(database), await texts(database, case)) == ([("unfit", "discarded")], "")


async def test_a_fact_that_another_worker_let_take_effect_does_so_no_second_time_from_behind_a_parked_one(
    database: Database,
) -> None:
    """A worker that has lost its partitions, but goes on with its batch, parks nothing that counts again."""
    case = case_id()
    await fresh(database).process([fact_record(case, report())])
    broken = fact_record(case, Withdrawal(reason="boom"), sequence=2)
    behind = fact_record(case, Supplement(text="later"), sequence=3)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(_: Connection, __: Any, ___: Any) -> None:
        arrived.set()
        await go_on.wait()

    slow = fresh(database, replace(MENDED, load_context=waiting))
    taking = asyncio.create_task(slow.process([broken, behind]))
    await arrived.wait()
    await fresh(database).process([broken, behind])
    go_on.set()
    await taking
    assert (await parked(database), await texts(database, case)) == (
        [("failed", "waiting"), ("behind", "waiting")],
        "later",
    )
    with pytest.raises(Refused, match="has taken effect already"):
        await settle(fresh(database, MENDED), Decision(1, False, "operator", "mended"))
    await settle(fresh(database), Decision(1, True, "operator", "it counted"))
    assert (await parked(database), await texts(database, case)) == (
        [("failed", "discarded"), ("behind", "retried")],
        "later",
    )


async def test_what_an_older_version_had_parked_stays_known(empty_database: Server) -> None:
    case = case_id()
    early = fact_record(case, Supplement(text="early"), sequence=2)
    await migrate(empty_database.admin_url, "tally", PASSWORD, BEFORE)
    row = f"('/services/intake', '{orjson.loads(early.value or b'')['id']}')"
    await execute(empty_database.admin_url, f"INSERT INTO tally.inbox (source, id) VALUES {row}")
    await migrate(empty_database.admin_url, "tally", PASSWORD, MIGRATIONS)
    database = Database(empty_database.url("tally"), "tally", size=4, migrations=MIGRATIONS)
    await database.open()
    try:
        await fresh(database).process([fact_record(case, report()), early])
        assert await texts(database, case) == ""
    finally:
        await database.close()


async def test_a_worker_of_before_waits_because_it_would_know_facts_by_their_rows_alone(database: Database) -> None:
    with pytest.raises(TRANSIENT_ERRORS):
        await database.fetch("INSERT INTO inbox (source, id) VALUES ('/services/intake', 'x')")
