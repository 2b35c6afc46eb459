"""Whichever partitioner a client has, no service takes a case's facts in another order than they were said without
saying so. librdkafka's default is CRC32; where it and ours write to one topic, a case is in two partitions, which come
in any order. What partners write may lie anywhere."""

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import pytest

from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox
from chassis.engine.settling import Decision, settle
from chassis.kafka.partitions import place
from chassis.kafka.records import Record
from chassis.service import Service
from contracts.export.story import Example
from services.audit import completeness
from tests.services.taking import OF_KIND, Taker, reads, record, story_of, taking

COUNT = 6


def by_crc32(key: bytes) -> int:
    """As librdkafka's default partitioner chooses."""
    return crc32(key) % COUNT


class Pair(NamedTuple):
    """Two facts that one source said of a case on one topic, in this order, and the story before the second."""

    story: list[Example]
    first: Example
    second: Example


def pairs(service: Service) -> Iterator[Pair]:
    for kind in OF_KIND:
        story, second = story_of(kind, "partitions")
        if reads(service, second):
            same = [one for one in story if (one.topic, one.event.source) == (second.topic, second.event.source)]
            same = [one for one in same if reads(service, one)]
            if same:
                yield Pair(story, same[-1], second)


def lying(example: Example, partition: int) -> Record:
    return record(example)._replace(partition=partition, partitions=COUNT)


async def test_a_fact_that_comes_behind_a_later_one_of_its_topic_is_parked_and_can_be_retried(
    service: Service, url: str
) -> None:
    wrong: list[str] = []
    async with taking(service, url) as taker:
        found = list(pairs(service)) if taker.decides else []
        for story, first, second in found:
            case, key = first.event.subject, first.event.subject.encode()
            await taker.hear(one for one in story if one is not first)
            known = await taker.parked(case)
            await taker.take(lying(second, place(key, COUNT)), lying(first, by_crc32(key)))
            parked = [reason for one in await taker.parked(case) if one not in known for reason in one[1:]]
            if not parked or (first.event.id in await taker.taken(case)) == parked[-1].startswith("sequence: "):
                wrong.append(f"{first.event.data.name}: {first.event.id} before {second.event.id}: {parked}")
            await _retry(taker, case)
    assert wrong == []


async def _retry(taker: Taker, case: str) -> None:
    """An operator may let it take effect all the same; what it then contradicts is no matter of its place."""
    assert isinstance(taker.processor, Inbox)
    query = "SELECT parked_id FROM parked WHERE stream_id = $1 AND status = 'waiting' AND reason LIKE 'sequence: %'"
    for row in await taker.store.fetch(query, case):
        why = Decision(row["parked_id"], False, "operator", "the order does not matter")
        try:
            await settle(taker.processor, why)
        except Refused as fault:
            refused = fault
        else:
            continue
        assert refused.rule == "parked.unfit"
        assert "sequence: " not in str(refused)


async def test_in_any_partition_a_case_that_is_kept_together_is_taken_in_as_everywhere(
    service: Service, url: str
) -> None:
    async with taking(service, url) as taker:
        for kind in OF_KIND:
            story, last = story_of(kind, "together")
            facts = [one for one in (*story, last) if reads(service, one)]
            if not facts or not taker.decides:
                continue
            own = [one for one in (*story, last) if one.event.source == taker.model.source]
            await taker.says(own)
            await taker.take(*(lying(one, by_crc32(one.event.subject.encode())) for one in facts))
            waiting = await taker.parked(last.event.subject)
            assert not any("sequence" in reason for _, reason in waiting)


@pytest.mark.parametrize("kind", ["new", "dispatched", "closed"])
async def test_what_lies_outside_the_partition_of_its_key_is_reported(service: Service, url: str, kind: str) -> None:
    async with taking(service, url) as taker:
        if taker.decides:
            return
        _, example = story_of(kind, "foreign")
        key = example.event.subject.encode()
        home = place(key, COUNT)
        await taker.take(lying(example, home))
        found = await completeness.of_case(taker.store, example.event.subject, 10)
        assert found is not None
        assert (found["foreign_partitions"]["count"], found["split_cases"]["count"]) == (0, 0)
        foreign = (home + 1) % COUNT
        await taker.take(lying(example, foreign))
        found = await completeness.of_case(taker.store, example.event.subject, 10)
        assert found is not None
        (item,) = found["foreign_partitions"]["items"]
        assert (item["partition"], item["home"], item["topic"]) == (foreign, home, example.topic)
        (split,) = found["split_cases"]["items"]
        assert split["partitions"] == sorted([home, foreign])
        assert "1 records of services outside the partitions of their keys" in found["reasons"]
