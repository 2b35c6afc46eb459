"""One case in which a service meets a defect stops no other: not on the topics, not at its deadlines, not when somebody
settles what was parked; and what was parked can be retried after the repair, and discarded at any time."""

from collections.abc import Set
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from chassis.engine.decider import Refused
from chassis.engine.model import Model
from chassis.engine.settling import Decision, settle
from chassis.engine.timers import Timers
from chassis.service import Service
from tests.services.taking import OF_KIND, reads, record, story_of, taking
from tests.support.services import all_read

PARTS = ("wants", "evolve", "react", "propagates_to", "context")


def fail() -> NoReturn:
    raise ArithmeticError("with U+0000 \0 and half of a pair \ud800")


def meeting_a_defect(model: Model, cases: Set[str], part: str) -> Model:
    """The model with a defect in one of its parts, which these cases meet."""
    decider = model.decider

    async def load_context(transaction: Any, events: Any, streams: Any) -> Any:
        if not cases.isdisjoint([*streams, *(event.subject for event in events)]):
            fail()
        return await model.load_context(transaction, events, streams) if model.load_context else None

    match part:
        case "wants":
            return replace(model, wants=lambda event: fail() if event.subject in cases else model.wants(event))
        case "context":
            return replace(model, load_context=load_context)
        case "evolve":
            changed = {part: lambda state, event: fail() if event.subject in cases else decider.evolve(state, event)}
        case "on_deadline":
            changed = {
                part: lambda state, inputs: fail() if inputs.stream in cases else decider.on_deadline(state, inputs)
            }
        case _:
            whole = getattr(decider, part)
            changed = {part: lambda event, *rest: fail() if event.subject in cases else whole(event, *rest)}
    return replace(model, decider=replace(decider, **changed))


def first_kind(service: Service) -> str:
    """Of the facts that the service takes, one that may come first."""
    return next(kind for kind in ("new", "dispatched") if reads(service, OF_KIND[kind]))


@pytest.mark.parametrize("part", PARTS)
async def test_a_case_with_a_defect_stops_no_other_and_is_settled(service: Service, url: str, part: str) -> None:
    async with taking(service, url) as taker:
        if not taker.decides:
            return
        kind = first_kind(service)
        retried, discarded, sound, late = (story_of(kind, name)[1] for name in ("a", "b", "c", "d"))
        cases = {retried.event.subject, discarded.event.subject}
        inbox = taker.meets(meeting_a_defect(taker.model, cases, part))
        await taker.take(record(retried), record(sound), record(discarded))
        await taker.take(record(late), record(sound))
        for one in (sound, late):
            assert await taker.taken(one.event.subject) == [one.event.id]
        for one in (retried, discarded):
            [(found, reason)] = await taker.parked(one.event.subject)
            assert (found, reason[:15]) == ("failed", "ArithmeticError")
        ids = {row["stream_id"]: row["parked_id"] for row in await taker.store.fetch("SELECT * FROM parked")}
        for one in (retried, discarded):
            with pytest.raises(Refused, match="ArithmeticError") as refused:
                await settle(inbox, Decision(ids[one.event.subject], False, "operator", "try"))
            assert refused.value.rule == "parked.failed"
        await settle(inbox, Decision(ids[discarded.event.subject], True, "operator", "never mind"))
        assert await taker.parked(discarded.event.subject) == []
        mended = taker.meets(taker.model)
        await settle(mended, Decision(ids[retried.event.subject], False, "operator", "mended"))
        assert await taker.taken(retried.event.subject) == [retried.event.id]
        assert await taker.taken(discarded.event.subject) == []
        await taker.take(record(retried), record(late))
        rows = await taker.store.fetch(
            "SELECT convert_from(body, 'UTF8')::json -> 'data' AS data FROM events WHERE own"
        )
        steps = [row["data"] for row in rows if '"discarded"' in row["data"] or '"retried"' in row["data"]]
        assert len(steps) == 2


@pytest.mark.parametrize("part", ["evolve", "context", "on_deadline"])
async def test_a_deadline_with_a_defect_stops_no_other(service: Service, url: str, part: str) -> None:
    async with taking(service, url) as taker:
        if not taker.decides:
            return
        broken, sound = (story_of(first_kind(service), name)[1] for name in ("a", "b"))
        inbox = taker.meets(taker.model)
        await taker.take(record(broken), record(sound))
        past = taker.clock() - timedelta(hours=1)
        await taker.store.fetch("UPDATE streams SET due_at = $1", past)
        model = meeting_a_defect(taker.model, {broken.event.subject}, part)
        timers = Timers(model, taker.store, taker.clock, inbox.cache, all_read)
        assert await timers.look() == 2
        assert await timers.look() == 0
        query = "SELECT due_at FROM streams WHERE stream_id = $1"
        row = await taker.store.fetchrow(query, broken.event.subject)
        assert row is not None
        assert row["due_at"] is None
        await taker.take(record(story_of(first_kind(service), "c")[1]))
