"""Fetches name only what has changed, and the broker always knows exactly which partitions and offsets are wanted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v6, FetchResponse_v11
from aiokafka.protocol.offset import OffsetRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.kafka import sessions
from chassis.kafka.sessions import FetchSessions, fetch_in_sessions
from tests.support.facts import case_id, record_of
from tests.support.services import eventually, publish

Offsets = dict[tuple[str, int], int]
UNKNOWN_SESSION, WRONG_EPOCH, BUSY = 70, 71, 89
FATES = ("answered", "refused", "lost before it came", "answer lost", "cancelled", "session evicted", "assigned anew")


class Broker:
    """What KIP-227 says of a broker, as far as it concerns who is told what."""

    def __init__(self, versions: tuple[int, int] = (4, 11), *, keeps: bool = True) -> None:
        self.known: dict[int, tuple[int, Offsets]] = {}
        """Session -> the epoch that must follow, and what is read in it."""
        self.fate = "answered"
        self.served: Offsets = {}
        self.named: Offsets = {}
        self._versions = {FetchRequest.API_KEY: versions}
        self._keeps = keeps
        self._ids = count(1)

    async def send(self, _: int, request: FetchRequest) -> Any:
        if self.fate == "lost before it came":
            raise KafkaConnectionError
        built: Any = request.prepare(self._versions)
        fetch: Any = type(built).decode(built.encode())
        self.named = {(topic, part[0]): part[-3] for topic, parts in fetch.topics for part in parts}
        if fetch.API_VERSION < 7:
            self.served = self.named
            return FetchResponse_v6(0, [])
        if self.fate == "refused":
            self.fate = "answered"
            return FetchResponse_v11(0, BUSY, fetch.session_id, [])
        response = self._answer(fetch)
        if self.fate == "answer lost":
            raise KafkaConnectionError
        if self.fate == "cancelled":
            raise asyncio.CancelledError
        return response

    def _answer(self, fetch: Any) -> FetchResponse_v11:
        if fetch.session_epoch == 0:
            assert not fetch.forgotten_topics_data
            self.known.pop(fetch.session_id, None)
            self.served = self.named
            if not self._keeps:
                return FetchResponse_v11(0, 0, 0, [])
            number = next(self._ids)
            self.known[number] = 1, dict(self.named)
            return FetchResponse_v11(0, 0, number, [])
        if fetch.session_id not in self.known:
            return FetchResponse_v11(0, UNKNOWN_SESSION, 0, [])
        epoch, read = self.known[fetch.session_id]
        if fetch.session_epoch != epoch:
            return FetchResponse_v11(0, WRONG_EPOCH, 0, [])
        for topic, numbers in fetch.forgotten_topics_data:
            for number in numbers:
                del read[topic, number]
        read.update(self.named)
        self.known[fetch.session_id] = epoch + 1, read
        self.served = read
        return FetchResponse_v11(0, 0, fetch.session_id, [])


class Client:
    """Fetches as aiokafka's does: all that it wants, each time."""

    def __init__(self, broker: Broker) -> None:
        self.assignment = object()
        self._sessions = FetchSessions(broker.send, lambda: self.assignment)

    async def fetch(self, offsets: Mapping[tuple[str, int], int]) -> Any:
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, number), offset in offsets.items():
            topics.setdefault(topic, []).append((number, offset, 1024))
        return await self._sessions.send(1, FetchRequest(500, 1, 4096, 0, list(topics.items())))


places = st.tuples(st.sampled_from(("ReportFiled", "Assigned")), st.integers(0, 3))
wishes = st.dictionaries(places, st.integers(0, 2))


@settings(deadline=None)
@given(st.lists(st.tuples(wishes, st.sampled_from(FATES))))
def test_whatever_happens_the_broker_serves_exactly_what_is_wanted(steps: list[tuple[Offsets, str]]) -> None:
    asyncio.run(_fetched(steps))


async def _fetched(steps: list[tuple[Offsets, str]]) -> None:
    broker = Broker()
    client = Client(broker)
    unheard = 0
    """Sessions of which the client never heard."""
    for wanted, fate in steps:
        broker.fate, before = fate, set(broker.known)
        if fate == "session evicted":
            broker.known.clear()
        if fate == "assigned anew":
            client.assignment = object()
        try:
            response = await client.fetch(wanted)
            if response.error_code:
                response = await client.fetch(wanted)  # as aiokafka does when it got nothing
            assert not response.error_code
        except (KafkaConnectionError, asyncio.CancelledError):
            unheard += bool(broker.known.keys() - before)
            continue
        assert broker.served == wanted
        if fate == "assigned anew":
            assert broker.named == wanted
        assert len(broker.known) <= 1 + unheard  # what it gives up does not fill the broker's memory


async def test_only_what_has_changed_is_named() -> None:
    broker = Broker()
    client = Client(broker)
    wanted = {("ReportFiled", number): 0 for number in range(6)}
    await client.fetch(wanted)
    assert broker.named == wanted
    await client.fetch(wanted)
    assert broker.named == {}
    moved = wanted | {("ReportFiled", 4): 7, ("Assigned", 0): 0}
    await client.fetch(moved)
    assert broker.named == {("ReportFiled", 4): 7, ("Assigned", 0): 0}
    await client.fetch(wanted)
    assert broker.named == {("ReportFiled", 4): 0}
    assert broker.served == wanted


async def test_all_is_named_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now)
    broker = Broker()
    client = Client(broker)
    wanted = {("ReportFiled", 0): 5}
    named = []
    for now in (1000.0, 1030.0, 1061.0, 1062.0):  # noqa: B007  the clock reads it
        await client.fetch(wanted)
        named.append(broker.named)
    assert named == [wanted, {}, wanted, {}]


@pytest.mark.parametrize("broker", [Broker((0, 6)), Broker(keeps=False)], ids=["an old one", "one without room"])
async def test_a_broker_that_keeps_no_sessions_is_told_all_each_time(broker: Broker) -> None:
    client = Client(broker)
    for _ in range(3):
        broker.named = {}
        await client.fetch({("ReportFiled", 0): 5})
        assert broker.named == {("ReportFiled", 0): 5}


async def test_what_is_no_fetch_is_sent_as_it_is() -> None:
    sent: list[tuple[int, Any, dict[str, Any]]] = []

    async def send(node_id: int, request: Any, **options: Any) -> str:
        sent.append((node_id, request, options))
        return "answer"

    request = OffsetRequest(-1, 0, [])
    assert await FetchSessions(send, object).send(7, request, group=1) == "answer"
    assert sent == [(7, request, {"group": 1})]


class Seen:
    """A client's `send`, and what its fetches looked like."""

    def __init__(self, kafka: AIOKafkaConsumer) -> None:
        self.fetches: list[Any] = []
        self.send = kafka._client.send
        kafka._client.send = self._noting

    async def _noting(self, node_id: Any, request: Any, **options: Any) -> Any:
        build = request.build

        def noted(kind: Any) -> Any:
            built = build(kind)
            if kind is FetchRequest_v11:
                self.fetches.append(built)
            return built

        request.build = noted
        return await self.send(node_id, request, **options)


@asynccontextmanager
async def consuming(kafka: str, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, Seen]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    seen = Seen(consumer)
    fetch_in_sessions(consumer)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(3)])
        yield consumer, seen
    finally:
        await consumer.stop()


async def test_a_real_broker_gives_all_and_is_told_of_changes_only(kafka: str, topics: str) -> None:
    async with consuming(kafka, topics + "ReportFiled") as (consumer, seen):
        for number in range(20):
            await publish(kafka, topics, [record_of(b"%d" % number, case_id(), "ReportFiled")])
            assert [record.value for record in await _next(consumer)] == [b"%d" % number]
        await eventually(lambda: _quiet(seen), what="a fetch that names nothing")
        assert sum(len(parts) for fetch in seen.fetches[1:] for _, parts in fetch.topics) <= 25
        assert {tp: consumer.highwater(tp) for tp in consumer.assignment()} == await consumer.end_offsets(
            list(consumer.assignment())
        )


async def test_a_session_that_the_broker_has_forgotten_is_opened_anew(kafka: str, topics: str) -> None:
    async with consuming(kafka, topics + "ReportFiled") as (consumer, seen):
        await eventually(lambda: _quiet(seen), what="a session")
        for number in range(3):
            ended = seen.fetches[-1].session_id
            await seen.send(consumer._client.get_random_node(), _End(ended))
            await publish(kafka, topics, [record_of(b"%d" % number, case_id(), "ReportFiled")])
            assert [record.value for record in await _next(consumer)] == [b"%d" % number]
            await eventually(lambda ended=ended: _in_another(seen, ended), what="another session")


async def test_partitions_that_are_assigned_anew_know_their_ends(kafka: str, topics: str) -> None:
    await publish(kafka, topics, [record_of(b"{}", case_id(), "ReportFiled") for _ in range(30)])
    async with consuming(kafka, topics + "ReportFiled") as (consumer, _):
        assigned = list(consumer.assignment())
        await consumer.seek_to_end(*assigned)
        for some in (assigned, assigned[:1], assigned):
            consumer.assign(some)
            await consumer.seek_to_end(*some)
            await eventually(lambda some=some: _ends_known(consumer, some), what="ends")


class _End(FetchRequest):
    """Ends a session, as another client could."""

    def __init__(self, session_id: int) -> None:
        super().__init__(1, 1, 1, 0, [])
        self._ended = session_id

    def build(self, request_struct_class: Any) -> Any:
        built: Any = super().build(request_struct_class)
        built.session_id, built.session_epoch = self._ended, -1
        return built


async def _next(consumer: AIOKafkaConsumer) -> list[Any]:
    found = await consumer.getmany(timeout_ms=10_000)
    return [record for records in found.values() for record in records]


async def _quiet(seen: Seen) -> bool:
    return bool(seen.fetches) and seen.fetches[-1].session_epoch > 0 and not seen.fetches[-1].topics


async def _in_another(seen: Seen, ended: int) -> bool:
    return seen.fetches[-1].session_epoch > 0 and seen.fetches[-1].session_id != ended


async def _ends_known(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    ends = await consumer.end_offsets(partitions)
    return {tp: consumer.highwater(tp) for tp in partitions} == ends
