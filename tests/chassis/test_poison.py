"""What meets a defect fails alone: a case that another reaches, and what waits behind a record that is settled."""

from dataclasses import replace
from typing import Any

import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.rebuild import derived
from chassis.engine.settling import Decision, settle
from chassis.engine.timers import Timers
from chassis.store.database import Database
from chassis.store.derived import Refresher, rebuild
from chassis.store.streams import Cache
from contracts.intake import Supplement, Withdrawal
from tests.support.facts import case_id, fact_record, report
from tests.support.services import all_read
from tests.support.tally import MODEL

REPAIRED = replace(MODEL, decider=replace(MODEL.decider, react=lambda *_: []))


async def waiting(database: Database) -> list[tuple[int, str]]:
    rows = await database.fetch("SELECT parked_id, kind FROM parked WHERE status = 'waiting' ORDER BY parked_id")
    return [(row["parked_id"], row["kind"]) for row in rows]


async def texts(database: Database, case: str) -> str:
    row = await database.fetchrow("SELECT texts FROM tallies WHERE case_id = $1", case)
    assert row is not None
    return row["texts"]


async def discarded(database: Database) -> list[str]:
    """The cases under which a record was discarded."""
    query = "SELECT aggregateid FROM unpublished WHERE convert_from(payload, 'UTF8') LIKE '%\"discarded\"%'"
    return [row["aggregateid"] for row in await database.fetch(query)]


def poisoned(model: Model) -> Model:
    """The model that cannot load what a supplement of these words needs."""

    async def load_context(_: Any, events: Any, __: Any) -> None:
        if any(isinstance(event.data, Supplement) and event.data.text == "poison" for event in events):
            raise ZeroDivisionError

    return replace(model, load_context=load_context)


@pytest.mark.parametrize("discard", [True, False])
async def test_what_waits_behind_a_record_does_not_keep_it_from_being_settled(
    database: Database, discard: bool
) -> None:
    case, inbox = case_id(), Inbox(poisoned(MODEL), database, wall_clock)
    await inbox.process([fact_record(case, report())])
    await inbox.process([fact_record(case, Withdrawal(reason="boom"), sequence=2)])
    # parked behind it before there was the defect
    await Inbox(MODEL, database, wall_clock).process(
        [fact_record(case, Supplement(text=text), sequence=place) for place, text in ((3, "poison"), (4, "more"))]
    )
    assert await waiting(database) == [(1, "failed"), (2, "behind"), (3, "behind")]
    await settle(Inbox(poisoned(REPAIRED), database, wall_clock), Decision(1, discard, "operator", "go on"))
    assert await waiting(database) == [(2, "failed"), (3, "behind")]
    await settle(Inbox(REPAIRED, database, wall_clock), Decision(2, False, "operator", "mended"))
    assert await waiting(database) == []
    assert await texts(database, case) == "poison|more"
    assert len(await discarded(database)) == discard


async def test_a_record_of_a_case_that_cannot_be_folded_is_discarded_apart_from_it(database: Database) -> None:
    case, other = case_id(), case_id()
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report())])

    def evolve(state: Any, event: Any) -> Any:
        return 1 // 0 if event.subject == case else MODEL.decider.evolve(state, event)

    inbox = Inbox(replace(MODEL, decider=replace(MODEL.decider, evolve=evolve)), database, wall_clock)
    await inbox.process([fact_record(case, Supplement(text="x"), sequence=2), fact_record(other, report())])
    assert await waiting(database) == [(1, "failed")]
    await settle(inbox, Decision(1, True, "operator", "never mind"))
    assert await waiting(database) == []
    [told] = await discarded(database)
    assert told not in (case, other)


async def test_a_case_that_cannot_hear_of_another_is_no_reason_for_that_one_to_fail(database: Database) -> None:
    teller, deaf, lost, sound = (case_id() for _ in range(4))
    cases = (teller, deaf, lost, sound)
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report()) for case in cases])

    def evolve(state: Any, event: Any) -> Any:
        return 1 // 0 if event.subject == lost else MODEL.decider.evolve(state, event)

    def on_propagated(event: Any, state: Any, inputs: Any) -> Any:
        return 1 // 0 if inputs.stream == deaf else MODEL.decider.on_propagated(event, state, inputs)

    broken = replace(MODEL, decider=replace(MODEL.decider, evolve=evolve, on_propagated=on_propagated))
    told = fact_record(teller, Supplement(text=f"tell {deaf} {lost} {sound}"), sequence=2)
    await Inbox(broken, database, wall_clock).process([told])
    assert await waiting(database) == []
    assert await hearing(database) == [sound]
    timers = Timers(broken, database, wall_clock, Cache(), all_read)
    assert [await timers.propagate() for _ in range(2)] == [2, 0]
    mended = Timers(MODEL, database, wall_clock, Cache(), all_read)
    await mended.start()
    assert await mended.propagate() == 2
    assert await hearing(database) == sorted([deaf, lost, sound])


async def hearing(database: Database) -> list[str]:
    query = "SELECT aggregateid FROM unpublished WHERE convert_from(payload, 'UTF8') LIKE '%heard of%'"
    return sorted(row["aggregateid"] for row in await database.fetch(query))


async def test_a_case_that_cannot_be_folded_does_not_keep_others_from_being_made_anew(database: Database) -> None:
    broken, sound = case_id(), case_id()
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report()) for case in (broken, sound)])
    await database.fetch("UPDATE tallies SET title = 'spoilt'")

    def evolve(state: Any, event: Any) -> Any:
        return 1 // 0 if event.subject == broken else MODEL.decider.evolve(state, event)

    model = replace(MODEL, decider=replace(MODEL.decider, evolve=evolve))
    await rebuild(derived(model), database, lambda _, __: None)
    rows = await database.fetch("SELECT case_id, title FROM tallies")
    assert [tuple(row) for row in rows] == [(sound, "water on the road")]
    assert await Refresher(derived(MODEL), database).refresh() == 1
    rows = await database.fetch("SELECT case_id, title FROM tallies")
    assert {row["case_id"] for row in rows} == {broken, sound}
