"""Who hears of the end of which case: each follower's partner exactly once, whoever is killed or comes in between."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.propagation import AT_ONCE
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.store.database import TRANSIENT_ERRORS, Connection
from chassis.store.streams import Cache
from chassis.store.transaction import Transaction
from contracts.feedback import Evaluated
from contracts.triage import Merged, Rejected
from services.intake.context import load_context
from tests.services.intake.desk import WHY, Home, closed, id_of, merged
from tests.support.facts import event_of
from tests.support.services import all_read, eventually


async def test_a_merged_report_hears_of_the_leaders_outcome_and_of_no_reason(home: Home) -> None:
    [leader] = await home.filed(partner="archive")
    [case] = await home.filed()
    end = closed(leader)
    await home.take(merged(case, leader), closed(case, "duplicate"))
    assert await home.heard("ruled") == [(case, "merged")]
    assert await home.heard() == []
    await home.take(end)
    [theirs, ours] = await home.notices("closed")
    assert (theirs["topic"], theirs["subject"]) == ("to.archive", leader)
    assert (ours["topic"], ours["subject"], ours["causationid"]) == ("to.hotline", case, id_of(end))
    assert ours["data"] == {"kind": "closed", "to": "hotline", "outcome": "fixed"}
    assert leader not in json.dumps([one for one in await home.notices() if one["topic"] == "to.hotline"])


@pytest.mark.parametrize("together", [True, False])
async def test_a_report_that_is_merged_after_the_closing_hears_of_it_with_all_that_is_part_of_it(
    home: Home, together: bool
) -> None:
    root, leader, case, beneath, lowest = await home.filed(5)
    [open_still] = await home.filed()
    records = [
        merged(lowest, beneath),
        merged(beneath, case),
        closed(root, "forced"),
        merged(leader, root),
        closed(leader, "duplicate"),
        merged(case, leader),
        merged(open_still, open_still),
    ]
    if together:
        await home.take(*records)
    else:
        for record in records:
            await home.take(record)
    assert sorted(await home.heard()) == sorted((one, "forced") for one in (root, leader, case, beneath, lowest))
    await home.take(merged(beneath, root))
    assert len(await home.heard()) == 5


async def test_of_a_thousand_followers_each_hears_exactly_once_though_workers_are_killed(home: Home) -> None:
    [leader] = await home.filed(partner="archive")
    followers = await home.filed(1000)
    chain = await home.filed(20)
    await home.take(*(merged(case, leader) for case in followers))
    await home.take(*(merged(case, followers[0]) for case in chain))
    end = closed(leader)

    home.database.deaths = 1
    with pytest.raises(ConnectionResetError):
        await home.take(end)
    assert await home.heard() == []
    await home.take(end)
    assert len(await home.heard()) == 1 + AT_ONCE

    timers = [Timers(home.model, home.database, wall_clock, Cache(), all_read) for _ in range(3)]
    killed = 0
    while pending := await home.database.fetch("SELECT 1 FROM propagations"):
        before = len(await home.heard())
        home.database.deaths = 1 if killed < 5 else 0
        for outcome in await asyncio.gather(*(one.propagate() for one in timers), return_exceptions=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, ConnectionResetError)
                killed += 1
            else:
                assert outcome <= AT_ONCE
        assert len(await home.heard()) > before or len(pending) == len(
            await home.database.fetch("SELECT 1 FROM propagations")
        )
        await home.take(end)
    assert killed == 5
    told = await home.notices("closed")
    assert sorted(one["subject"] for one in told) == sorted([leader, *followers, *chain])
    assert {one["causationid"] for one in told} == {id_of(end)}


# two workers at once


async def overtaken(home: Home, first: Sequence[Record], second: Sequence[Record]) -> None:
    """Lets one worker stop after it has read what it needs, another come to the same cases, and both go on."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction, events: Sequence[Any], streams: Sequence[str]) -> Any:
        found = await load_context(transaction, events, streams)
        inside.set()
        await go_on.wait()
        return found

    slower = asyncio.create_task(home.worker(load_context=slow).process(first))
    await inside.wait()
    faster = asyncio.create_task(home.take(*second))

    async def waits() -> bool:
        query = "SELECT 1 FROM pg_locks WHERE NOT granted"
        return bool(await home.database.fetch(query)) or faster.done()

    await eventually(waits, what="the second worker's lock")
    go_on.set()
    await asyncio.gather(slower, faster)


@pytest.mark.parametrize("closing_first", [True, False])
async def test_a_merge_and_a_closing_in_two_workers_do_not_miss_each_other(home: Home, closing_first: bool) -> None:
    leader, case, beneath = await home.filed(3)
    await home.take(merged(beneath, case))
    both = [[closed(leader)], [merged(case, leader)]]
    await overtaken(home, *(both if closing_first else reversed(both)))
    assert sorted(await home.heard()) == sorted((one, "fixed") for one in (leader, case, beneath))


@pytest.mark.parametrize("upper_first", [True, False])
@pytest.mark.parametrize("closed_before", [True, False])
async def test_two_merges_that_make_a_chain_do_not_miss_the_closing(
    home: Home, upper_first: bool, closed_before: bool
) -> None:
    root, leader, case = await home.filed(3)
    if closed_before:
        await home.take(closed(root))
    both = [[merged(leader, root)], [merged(case, leader)]]
    await overtaken(home, *(both if upper_first else reversed(both)))
    if not closed_before:
        await home.take(closed(root))
    assert sorted(await home.heard()) == sorted((one, "fixed") for one in (root, leader, case))


@pytest.mark.parametrize("closing_first", [True, False])
async def test_a_merge_into_what_is_part_of_a_third_case_and_the_closing_of_that_do_not_miss_each_other(
    home: Home, closing_first: bool
) -> None:
    root, between, leader, case = await home.filed(4)
    await home.take(merged(between, root), merged(leader, between))
    both = [[closed(root)], [merged(case, leader)]]
    await overtaken(home, *(both if closing_first else reversed(both)))
    assert sorted(await home.heard()) == sorted((one, "fixed") for one in (root, between, leader, case))


async def test_many_merges_and_closings_in_several_workers_leave_nobody_out(home: Home) -> None:
    roots, leaders = await home.filed(20), await home.filed(40)
    cases = await home.filed(80)
    records = [closed(root) for root in roots]
    records += [merged(leader, roots[n % 20]) for n, leader in enumerate(leaders)]
    records += [merged(case, leaders[n % 40]) for n, case in enumerate(cases)]
    workers = [home.worker() for _ in range(4)]

    async def work(worker: Inbox, share: list[Record]) -> None:
        while share:
            try:
                await worker.process(share[:7])
                share = share[7:]
            except TRANSIENT_ERRORS:  # it lost too often, or was chosen to break a deadlock: the consumer tries again
                continue

    await asyncio.gather(*(work(worker, records[n::4]) for n, worker in enumerate(workers)))
    assert sorted(await home.heard()) == sorted((one, "fixed") for one in (*roots, *leaders, *cases))


class Counted:
    """A connection that counts what is asked of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.asked: list[str] = []

    def is_in_transaction(self) -> bool:
        return self.connection.is_in_transaction()

    async def execute(self, query: str, *arguments: Any) -> Any:
        self.asked.append("lock")
        return await self.connection.execute(query, *arguments)

    async def fetch(self, query: str, *arguments: Any) -> Any:
        self.asked.append("read")
        return await self.connection.fetch(query, *arguments)


async def test_a_batch_costs_one_lock_and_one_query_and_one_without_merges_or_ends_nothing(home: Home) -> None:
    leader, *cases = await home.filed(20)
    busy = [event_of(case, Merged(into=leader, explanation=WHY))[0] for case in cases]
    busy.append(event_of(leader, Evaluated(verdict="closed", outcome="fixed"))[0])
    idle = [event_of(leader, Rejected(why="not_ours", reason="x"))[0]]
    idle.append(event_of(leader, Evaluated(verdict="closed", outcome="duplicate"))[0])

    async def cost(transaction: Transaction, events: list[Any]) -> list[str]:
        counted = Counted(await transaction.begin())
        transaction.connection = counted  # pyright: ignore[reportAttributeAccessIssue]  all it uses of one
        await load_context(transaction, events, [])
        return counted.asked

    assert await home.database.decide(lambda transaction: cost(transaction, idle)) == []
    assert await home.database.decide(lambda transaction: cost(transaction, busy)) == ["lock", "read"]
