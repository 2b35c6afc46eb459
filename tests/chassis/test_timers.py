"""Deadlines become facts once, also after a stop that lasted longer than the limit, and with several workers at it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chassis.engine import propagation
from chassis.engine.decider import Facts, Inputs
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.timers import Timers
from chassis.store.database import Conflict, Database
from chassis.store.streams import Cache
from contracts.fields import Attachment
from contracts.intake import NewReport, Supplement
from tests.support.facts import case_id, fact_record, report
from tests.support.services import Hands, all_read
from tests.support.tally import MODEL, TALLIES

PHOTOS = tuple([Attachment(uri="https://photos.example/" + "x" * 1900)] * 50)


async def overdue(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT aggregateid FROM unpublished WHERE convert_from(payload, 'UTF8') LIKE '%\"check_overdue\"%'"
    )
    return sorted(row["aggregateid"] for row in rows)


async def file(database: Database, clock: Hands, cases: list[str], category: str = "timed") -> None:
    records = [fact_record(case, report(category=category), time=clock.at) for case in cases]
    await Inbox(MODEL, database, clock).process(records)


async def test_a_deadline_is_a_fact_once_also_after_a_long_stop(database: Database) -> None:
    clock, case = Hands(), case_id()
    await file(database, clock, [case])
    await file(database, clock, [case_id()], category="untimed")
    clock.advance(minutes=59)
    assert await Timers(MODEL, database, clock, Cache(), all_read).look() == 0
    clock.advance(days=30)
    started_anew = Timers(MODEL, database, clock, Cache(), all_read)
    assert await started_anew.look() == 1
    assert await started_anew.look() == 0
    assert await overdue(database) == [case]


async def test_several_workers_at_the_same_deadlines_make_each_a_fact_once(database: Database) -> None:
    clock, cases = Hands(), sorted(case_id() for _ in range(30))
    await file(database, clock, cases)
    clock.advance(hours=2)
    outcomes = await asyncio.gather(
        *(Timers(MODEL, database, clock, Cache(), all_read).look() for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, int | Conflict) for outcome in outcomes)
    await Timers(MODEL, database, clock, Cache(), all_read).look()
    assert await overdue(database) == cases


def broken_at(part: str, case: str) -> Model:
    """The service with a defect in one part of it, which one case meets."""

    def on_deadline(state: Any, inputs: Inputs) -> Facts:
        if inputs.stream == case and part == "on_deadline":
            raise ZeroDivisionError
        if inputs.stream == case and part == "fact":
            return [NewReport(channel="sensor", title="too large", text="水" * 20_000, attachments=PHOTOS)]
        return MODEL.decider.on_deadline(state, inputs)

    def evolve(state: Any, event: Any) -> Any:
        if event.subject == case and part == "evolve":
            raise ZeroDivisionError
        return MODEL.decider.evolve(state, event)

    def rows(case_id: str, state: Any) -> list[tuple[Any, ...]]:
        if case_id == case and part == "view":
            raise ZeroDivisionError
        found = list(TALLIES.rows(case_id, state))
        return [(*row[:-1], None) for row in found] if case_id == case and part == "row" else found

    decider = replace(MODEL.decider, on_deadline=on_deadline, evolve=evolve)
    return replace(MODEL, decider=decider, views=(replace(TALLIES, rows=rows),))


@pytest.mark.parametrize("part", ["on_deadline", "fact", "evolve", "view", "row"])
async def test_a_case_whose_deadline_cannot_be_judged_stops_no_other(database: Database, part: str) -> None:
    clock, broken, sound = Hands(), case_id(), case_id()
    await file(database, clock, [broken, sound])
    clock.advance(hours=2)
    timers = Timers(broken_at(part, broken), database, clock, Cache(), all_read)
    assert await timers.look() == 2
    assert await timers.look() == 0
    assert await overdue(database) == [sound]


async def test_a_case_that_cannot_hear_of_another_stops_no_other_and_hears_of_it_after_the_repair(
    database: Database,
) -> None:
    clock, teller, others = Hands(), case_id(), sorted(case_id() for _ in range(propagation.AT_ONCE + 3))
    await file(database, clock, [teller, *others], category="untimed")
    told = Supplement(text="tell " + " ".join(others))
    await Inbox(MODEL, database, clock).process([fact_record(teller, told, sequence=2, time=clock.at)])
    broken = others[-2]

    def on_propagated(event: Any, state: Any, inputs: Inputs) -> Facts:
        if inputs.stream == broken:
            raise ZeroDivisionError
        return MODEL.decider.on_propagated(event, state, inputs)

    model = replace(MODEL, decider=replace(MODEL.decider, on_propagated=on_propagated))
    timers = Timers(model, database, clock, Cache(), all_read)
    assert [await timers.propagate() for _ in range(2)] == [3, 0]
    assert await hearing(database) == [other for other in others if other != broken]
    repaired = Timers(MODEL, database, clock, Cache(), all_read)
    assert await repaired.propagate() == 0
    await repaired.start()
    assert await repaired.propagate() == 1
    assert await hearing(database) == others


async def hearing(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT aggregateid FROM unpublished WHERE convert_from(payload, 'UTF8') LIKE '%heard of%'"
    )
    return sorted(row["aggregateid"] for row in rows)
