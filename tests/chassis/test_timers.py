"""Deadlines become facts once, also after a stop that lasted longer than the limit, and with several workers at it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from chassis.database import Conflict, Database
from chassis.decider import Facts, Inputs
from chassis.inbox import Inbox
from chassis.timers import Timers
from tests.support.facts import case_id, fact_record, report
from tests.support.services import Hands
from tests.support.tally import TALLY, lapse


@pytest.fixture
async def database(tally_database: str) -> AsyncIterator[Database]:
    found = Database(tally_database, "tally", size=4)
    await found.open()
    yield found
    await found.close()


async def overdue(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT aggregateid FROM outbox WHERE convert_from(payload, 'UTF8') LIKE '%\"check_overdue\"%'"
    )
    return sorted(row["aggregateid"] for row in rows)


async def file(database: Database, clock: Hands, cases: list[str], category: str = "timed") -> None:
    records = [fact_record(case, report(category=category), time=clock.at) for case in cases]
    await Inbox(TALLY, database, clock).process(records)


async def test_a_deadline_is_a_fact_once_also_after_a_long_stop(database: Database) -> None:
    clock, case = Hands(), case_id()
    await file(database, clock, [case])
    await file(database, clock, [case_id()], category="untimed")
    clock.advance(minutes=59)
    assert await Timers(TALLY, database, clock, None).look() == 0
    clock.advance(days=30)
    started_anew = Timers(TALLY, database, clock, None)
    assert await started_anew.look() == 1
    assert await started_anew.look() == 0
    assert await overdue(database) == [case]


async def test_several_workers_at_the_same_deadlines_make_each_a_fact_once(database: Database) -> None:
    clock, cases = Hands(), sorted(case_id() for _ in range(30))
    await file(database, clock, cases)
    clock.advance(hours=2)
    outcomes = await asyncio.gather(
        *(Timers(TALLY, database, clock, None).look() for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, int | Conflict) for outcome in outcomes)
    await Timers(TALLY, database, clock, None).look()
    assert await overdue(database) == cases


async def test_a_case_whose_deadline_cannot_be_judged_stops_no_other(database: Database) -> None:
    clock, broken, sound = Hands(), case_id(), case_id()
    await file(database, clock, [broken, sound])
    clock.advance(hours=2)

    def faulty(state: Any, inputs: Inputs) -> Facts:
        if inputs.stream == broken:
            raise ZeroDivisionError
        return lapse(state, inputs)

    service = replace(TALLY, decider=replace(TALLY.decider, lapse=faulty))
    timers = Timers(service, database, clock, None)
    assert await timers.look() == 2
    assert await timers.look() == 0
    assert await overdue(database) == [sound]
