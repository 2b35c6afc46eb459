"""How much the broker takes from a partner, and how large a batch may be: the real broker, clients as they come."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import KafkaError, Producer

from chassis.kafka.connection import Connection
from contracts.wire import MAX_BYTES, TOPICS
from deploy.stack import accounts, limits, topics
from deploy.stack.access import partner_user
from deploy.stack.kafka import Kafka
from deploy.stack.limits import OF_A_PARTNER, WRITTEN_BY_A_PARTNER, WRITTEN_BY_A_SERVICE
from deploy.stack.problem import Problem
from tests.support.infrastructure import passwords, service_connections

PARTNERS = ("hydro", "flood")


@dataclass(frozen=True)
class Bounded:
    """A broker with users and limits, and how each of them reaches it."""

    administrator: Connection
    users: dict[str, Connection]


@pytest.fixture(scope="module")
async def bounded(guarded_kafka: Kafka) -> Bounded:
    """Names of its own: the broker is shared."""
    broker, prefix = guarded_kafka.administrator, "limits-"
    await topics.create(broker, topics.of_installation(PARTNERS, prefix), 1)
    await accounts.settle(broker, prefix, PARTNERS, passwords(guarded_kafka.data_dir.parent))
    users = service_connections(guarded_kafka, prefix)
    for partner in PARTNERS:
        word = await accounts.renew(broker, prefix, partner)
        assert word is not None
        name = partner_user(partner, prefix)
        users[partner] = Connection(guarded_kafka.bootstrap, "SASL_PLAINTEXT", user=name, password=word)
    return Bounded(broker, users)


async def send(connection: Connection, topic: str, size: int, **more: Any) -> None:
    """One record of that many bytes, by a client that lets any size through."""
    producer = AIOKafkaProducer(
        **connection.options(), acks="all", max_request_size=2**24, max_batch_size=2**24, **more
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"x" * size, partition=0)
    finally:
        await producer.stop()


async def seconds_for(connection: Connection, topic: str, size: int) -> float:
    """How long it takes to write so many bytes, in batches of 100 KB."""
    producer = AIOKafkaProducer(**connection.options(), acks="all", max_batch_size=100_000, request_timeout_ms=60_000)
    await producer.start()
    began = time.monotonic()
    try:
        await asyncio.gather(*[await producer.send(topic, b"x" * 50_000, partition=0) for _ in range(size // 50_000)])
    finally:
        await producer.stop()
    return time.monotonic() - began


async def configured(broker: Connection, *names: str) -> dict[str, int]:
    """Topic -> most bytes of a batch."""
    admin = AIOKafkaAdminClient(**broker.options())
    await admin.start()
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, name, {limits.SIZE: None}) for name in names]
        answers: Any = await admin.describe_configs(asked)
        return {name: int(entries[0][1]) for answer in answers for *_, name, entries in answer.resources}
    finally:
        await admin.close()


async def test_a_partner_that_floods_is_slowed_down_to_its_rate_and_a_service_is_not(bounded: Bounded) -> None:
    """The broker looks at eleven seconds, so more than a window's worth is written."""
    size = 4_000_000
    assert await seconds_for(bounded.users["intake"], "limits-ReportFiled", size) < 5
    took = await seconds_for(bounded.users["flood"], "limits-from.flood", size)
    assert took > size / OF_A_PARTNER["producer_byte_rate"] * 0.25, "it was not slowed down"


async def test_one_partner_that_floods_slows_down_no_other(bounded: Bounded) -> None:
    flooding = asyncio.create_task(seconds_for(bounded.users["flood"], "limits-from.flood", 4_000_000))
    assert await seconds_for(bounded.users["hydro"], "limits-from.hydro", 100_000) < 3
    await flooding


@pytest.mark.parametrize(
    ("user", "topic", "most"),
    [
        ("hydro", "from.hydro", WRITTEN_BY_A_PARTNER),
        ("intake", "ReportFiled", WRITTEN_BY_A_SERVICE),
        ("dispatch", "to.hydro", WRITTEN_BY_A_SERVICE),
        ("feedback", "Progressed", WRITTEN_BY_A_SERVICE),
    ],
)
async def test_what_is_too_large_is_refused_by_the_broker(bounded: Bounded, user: str, topic: str, most: int) -> None:
    connection = bounded.users[user]
    await send(connection, f"limits-{topic}", MAX_BYTES)
    await send(connection, f"limits-{topic}", most - 100)
    for more in ({}, {"compression_type": "gzip"} if user == "hydro" else {}):
        with pytest.raises(MessageSizeTooLargeError):
            await send(connection, f"limits-{topic}", most, **more)


async def test_what_clients_send_as_they_come_is_taken(bounded: Bounded) -> None:
    """librdkafka fills a batch up to a million bytes, and does not divide it where it is refused."""
    hydro = bounded.users["hydro"]
    refused: list[KafkaError | None] = []
    producer = Producer(
        {
            "bootstrap.servers": hydro.servers,
            "security.protocol": hydro.protocol,
            "sasl.mechanism": hydro.mechanism,
            "sasl.username": hydro.user,
            "sasl.password": hydro.secret(),
            "linger.ms": 1000,
        }
    )
    for _ in range(1_300):
        producer.produce(
            "limits-from.hydro", b"x" * 1_000, b"key", 0, on_delivery=lambda fault, _: refused.append(fault)
        )
    assert await asyncio.to_thread(producer.flush, 60) == 0
    assert refused == [None] * 1_300
    plain = AIOKafkaProducer(**hydro.options())
    await plain.start()
    await asyncio.gather(*[await plain.send("limits-from.hydro", b"x" * 1_000) for _ in range(300)])
    await plain.stop()


async def test_every_topic_says_what_it_takes(bounded: Bounded) -> None:
    found = await configured(bounded.administrator, *limits.sizes(PARTNERS, "limits-"))
    assert found == limits.sizes(PARTNERS, "limits-")
    assert found == {
        **{f"limits-{name}": 512 * 1024 for name in TOPICS},
        **{f"limits-from.{partner}": 1024 * 1024 for partner in PARTNERS},
        **{f"limits-to.{partner}": 512 * 1024 for partner in PARTNERS},
    }


async def test_limits_come_and_go_with_the_partner_and_are_set_right_at_every_start(own_guarded_kafka: Kafka) -> None:
    broker, own = own_guarded_kafka.administrator, passwords(own_guarded_kafka.data_dir.parent)
    await topics.create(broker, topics.of_installation(PARTNERS), 1)
    await limits.put(broker, "somebody.else", {"producer_byte_rate": 7.0})
    await accounts.settle(broker, "", PARTNERS, own)
    others = {"somebody.else": {"producer_byte_rate": 7.0}}
    assert await limits.quotas(broker) == {**others, "partner.hydro": OF_A_PARTNER, "partner.flood": OF_A_PARTNER}
    await accounts.remove(broker, "", "flood")
    assert (await limits.quotas(broker)).keys() == {"somebody.else", "partner.hydro"}
    await accounts.renew(broker, "", "flood")
    assert (await limits.quotas(broker))["partner.flood"] == OF_A_PARTNER
    await limits.put(broker, "partner.hydro", {"producer_byte_rate": 1.0, "controller_mutation_rate": 1.0})
    await limits.put(broker, "intake", {"producer_byte_rate": 1.0})
    await accounts.settle(broker, "", ("hydro",), own)
    assert await limits.quotas(broker) == {**others, "partner.hydro": OF_A_PARTNER}, "nothing holds a service back"


async def test_nobody_else_sees_or_sets_limits(bounded: Bounded) -> None:
    for user in ("hydro", "intake"):
        for attempt in (limits.quotas(bounded.users[user]), limits.put(bounded.users[user], "partner.hydro", {})):
            with pytest.raises(Problem, match="ClusterAuthorizationFailed"):
                await attempt


async def test_a_partner_that_reads_without_end_is_told_to_wait(bounded: Bounded) -> None:
    """The broker says how long it held an answer back."""
    for _ in range(20):
        await send(bounded.users["dispatch"], "limits-to.hydro", 500_000)
    hydro = bounded.users["hydro"]
    security = {name: value for name, value in hydro.options().items() if name != "bootstrap_servers"}
    host, _, port = hydro.servers.partition(":")
    known = await create_conn(host, int(port), request_timeout_ms=60_000, **security)
    try:
        waits = []
        for _ in range(8):
            answer: Any = await known.send(FetchRequest(100, 1, 2**24, 0, [("limits-to.hydro", [(0, 0, 2**24)])]))
            waits.append(answer.throttle_time_ms)
        assert max(waits) > 0
    finally:
        known.close()
    consumer = AIOKafkaConsumer(**bounded.users["audit"].options())
    await consumer.start()
    consumer.assign([TopicPartition("limits-to.hydro", 0)])
    await consumer.seek_to_beginning()
    assert await consumer.getone()
    await consumer.stop()
