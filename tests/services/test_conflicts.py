"""No conflicting fact vanishes, in any of the five services: it takes effect, or it is parked with a reason and audit
says what is wrong. A repetition stays silent."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from chassis.service import Service
from contracts.once import ONCE
from tests.services.taking import OF_KIND, Taker, another, event_id, reads, record, story_of, taking

REUSED = ("unfit", "id: another event had it before, with other bytes")


class Became(NamedTuple):
    """What a service made of the facts of a case."""

    taken: list[str]
    parked: list[tuple[str, str]]
    faults: list[str]


def stories_for(service: Service) -> Iterator[tuple[str, Any, Any]]:
    """Of each kind of fact that the service reads: the kind, what comes before such a fact, and the fact."""
    for kind in OF_KIND:
        story, example = story_of(kind)
        if reads(service, example):
            yield kind, story, example


async def became(taker: Taker, case: str) -> Became:
    if taker.decides:
        return Became(await taker.taken(case), await taker.parked(case), [])
    return Became([], [], await taker.faults(case))


async def test_a_second_different_fact_takes_effect_or_is_parked_and_reported(service: Service, url: str) -> None:
    wrong = dict[str, Became]()
    async with taking(service, url) as taker:
        for kind, story, example in stories_for(service):
            case, second = example.event.subject, another(example)
            await taker.hear(story)
            await taker.take(record(example))
            before = await became(taker, case)
            await taker.take(second)
            after = await became(taker, case)
            if not taker.decides:
                seen = any("told a second time" in fault for fault in after.faults) == (kind in ONCE)
            elif kind in ONCE:
                seen = [kind for kind, _ in after.parked[len(before.parked) :]] == ["unfit"]
            else:
                seen = event_id(second) in after.taken or len(after.parked) > len(before.parked)
            await taker.take(record(example), second)
            if not seen or (taker.decides and await became(taker, case) != after):
                wrong[kind] = after
    assert wrong == {}


async def test_an_id_that_comes_again_with_other_bytes_is_parked_and_reported(service: Service, url: str) -> None:
    wrong = dict[str, Became]()
    async with taking(service, url) as taker:
        for kind, story, example in stories_for(service):
            case, other, third = (
                example.event.subject,
                record(example, actor="somebody else"),
                record(example, actor="a third"),
            )
            await taker.hear(story)
            await taker.take(record(example), other)
            await taker.take(third, record(example))
            await taker.take(other, third)
            found = await became(taker, case)
            if taker.decides:
                right = found.parked.count(REUSED) == 2
            else:
                right = any("ids that came again with other bytes" in fault for fault in found.faults)
            if not right:
                wrong[kind] = found
    assert wrong == {}
