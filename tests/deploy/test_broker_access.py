"""What the broker denies: every attempt of a partner, a service or a stranger beyond its rules, on the real broker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.fetch import FetchRequest

from chassis.kafka.connection import Connection
from chassis.retry import NotNow
from deploy.stack import accounts, topics
from deploy.stack.access import access, partner_user
from deploy.stack.kafka import Kafka
from deploy.stack.problem import Problem
from deploy.stack.secrets import passwords_folder
from tests.support.infrastructure import passwords, service_connections

PARTNERS = ("water", "fire")
SECONDS = 20
READ_ONE = ("READ", "TOPIC", False)


@dataclass(frozen=True)
class Guarded:
    """A broker with users, and how each of them reaches it."""

    kafka: Kafka
    users: dict[str, Connection]

    def user(self, name: str) -> Connection:
        return self.users[name]


@pytest.fixture(scope="module")
async def guarded(guarded_kafka: Kafka) -> Guarded:
    broker = guarded_kafka.administrator
    await topics.create(broker, topics.of_installation(PARTNERS), 2)
    own = passwords(guarded_kafka.data_dir.parent)
    assert set(await accounts.settle(broker, "", PARTNERS, own)) == set(PARTNERS), "nobody has a password yet"
    users = {"admin": broker, **service_connections(guarded_kafka)}
    for partner in PARTNERS:
        word = await accounts.renew(broker, "", partner)
        assert word is not None
        name = partner_user(partner)
        users[name] = Connection(guarded_kafka.bootstrap, "SASL_PLAINTEXT", user=name, password=word)
    return Guarded(guarded_kafka, users)


def security(connection: Connection) -> dict[str, Any]:
    """For a bare connection."""
    return {name: value for name, value in connection.options().items() if name != "bootstrap_servers"}


async def write(connection: Connection, topic: str, transactional_id: str | None = None) -> None:
    producer = AIOKafkaProducer(
        **connection.options(), enable_idempotence=True, acks="all", transactional_id=transactional_id
    )
    try:
        await connection.reach(producer.start())
        if transactional_id is None:
            await producer.send_and_wait(topic, b"{}")
        else:
            async with producer.transaction():
                await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()


async def read(connection: Connection, topic: str) -> None:
    """Asks for records as an attacker would, who need not be told first where the topic lies."""
    known = await create_conn("127.0.0.1", int(connection.servers.partition(":")[2]), **security(connection))
    try:
        answer = await known.send(FetchRequest(100, 1, 2**20, 0, [(topic, [(0, 0, 2**20)])]))
        ((_, ((_, code, *_),)),) = answer.topics  # pyright: ignore[reportOptionalMemberAccess]
        if code:
            raise for_code(code)(topic)
    finally:
        known.close()


async def join(connection: Connection, topic: str, group: str) -> None:
    consumer = AIOKafkaConsumer(topic, **connection.options(), group_id=group, enable_auto_commit=False)
    try:
        await connection.reach(consumer.start())
        await consumer.commit({TopicPartition(topic, 0): 0})
    finally:
        await consumer.stop()


async def make_topic(connection: Connection, topic: str) -> None:
    admin = AIOKafkaAdminClient(**connection.options())
    try:
        await connection.reach(admin.start())
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        for _, code, *words in answer.topic_errors:  # pyright: ignore[reportAttributeAccessIssue]
            if code:
                raise for_code(code)(*words)
    finally:
        await admin.close()


async def denied(attempt: Awaitable[None]) -> type[BaseException]:
    """What an attempt ends with; it must not succeed."""
    with pytest.raises((KafkaError, NotNow)) as raised:
        async with asyncio.timeout(SECONDS):
            await attempt
    return raised.type


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("partner.water", "ReportFiled"),
        ("partner.water", "Assigned"),
        ("partner.water", "Progressed"),
        ("partner.water", "from.fire"),
        ("partner.water", "to.water"),
        ("partner.water", "to.fire"),
        ("intake", "Assigned"),
        ("triage", "ReportFiled"),
        ("triage", "to.water"),
        ("dispatch", "Evaluated"),
        ("dispatch", "from.water"),
        ("feedback", "Resolved"),
    ],
)
async def test_nobody_writes_what_is_anothers(guarded: Guarded, user: str, topic: str) -> None:
    assert await denied(write(guarded.user(user), topic)) is TopicAuthorizationFailedError


@pytest.mark.parametrize("topic", ["Progressed", "to.water", "from.water"])
async def test_audit_writes_nothing(guarded: Guarded, topic: str) -> None:
    assert await denied(write(guarded.user("audit"), topic)) is ClusterAuthorizationFailedError


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("partner.water", "to.fire"),
        ("partner.water", "from.fire"),
        ("partner.water", "from.water"),
        ("partner.water", "ReportFiled"),
        ("partner.water", "Progressed"),
        ("partner.water", "__consumer_offsets"),
        ("triage", "from.water"),
        ("feedback", "to.water"),
        ("intake", "Resolved"),
    ],
)
async def test_nobody_reads_what_is_anothers(guarded: Guarded, user: str, topic: str) -> None:
    assert await denied(read(guarded.user(user), topic)) is TopicAuthorizationFailedError


async def test_what_the_rules_allow_is_allowed(guarded: Guarded) -> None:
    """Otherwise every denial above could be that of a broker that denies everything."""
    rules = access(PARTNERS)
    readable = {rule.user: rule.name for rule in rules if (rule.operation, rule.kind, rule.begins) == READ_ONE}
    for rule in rules:
        connection = guarded.user(rule.user)
        name = rule.name + ("water" if rule.kind == "TOPIC" and rule.begins else "")
        if rule.kind == "TOPIC" and rule.operation == "WRITE":
            await write(connection, name)
        elif rule.kind == "TOPIC":
            await read(connection, name)
        else:
            await join(connection, readable[rule.user], name)


@pytest.mark.parametrize("group", ["audit", "water", "partner.fire", "partner.fire.archive", "partner.waters"])
async def test_a_partner_is_in_no_group_of_others(guarded: Guarded, group: str) -> None:
    connection = guarded.user("partner.water")
    assert await denied(join(connection, "to.water", group)) is GroupAuthorizationFailedError


async def test_a_service_is_in_no_group_of_others(guarded: Guarded) -> None:
    assert await denied(join(guarded.user("triage"), "ReportFiled", "audit")) is GroupAuthorizationFailedError


@pytest.mark.parametrize(
    ("user", "topic"), [("partner.water", "from.water"), ("intake", "ReportFiled"), ("triage", "Assigned")]
)
async def test_nobody_has_a_transactional_id(guarded: Guarded, user: str, topic: str) -> None:
    """A transaction that is left open would hide what follows it from whoever reads committed records only."""
    attempt = write(guarded.user(user), topic, f"{user}-1")
    assert await denied(attempt) is TransactionalIdAuthorizationFailed


@pytest.mark.parametrize("user", ["partner.water", "intake"])
async def test_nobody_makes_topics(guarded: Guarded, user: str) -> None:
    assert await denied(make_topic(guarded.user(user), "from.other")) in (
        ClusterAuthorizationFailedError,
        TopicAuthorizationFailedError,
    )


@pytest.mark.parametrize("user", ["partner.water", "intake"])
async def test_nobody_else_makes_users_or_sees_the_rules(guarded: Guarded, user: str) -> None:
    with pytest.raises(Problem, match="the broker does not do as its administrator says: CLUSTER_AUTHORIZATION_FAILED"):
        await accounts.renew(guarded.user(user), "", "water")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda user: replace(user, user="somebody"), "the broker knows no user somebody with this password"),
        (lambda user: replace(user, password="guessed"), "the broker knows no user partner.water with this password"),
        (lambda user: replace(user, mechanism="PLAIN"), "the broker knows no user partner.water with this password"),
        (lambda user: replace(user, mechanism="SCRAM-SHA-512"), "the broker does not take SCRAM-SHA-512"),
        (lambda user: Connection(user.servers), "the broker hangs up on a client without a user"),
    ],
)
async def test_a_stranger_is_turned_away_and_told_why(
    guarded: Guarded, what: Callable[[Connection], Connection], words: str
) -> None:
    stranger = what(guarded.user("partner.water"))
    with pytest.raises(NotNow, match=words):
        await write(stranger, "from.water")
    assert words in (await stranger.refusal() or "")
    assert await guarded.user("partner.water").refusal() is None


@pytest.mark.parametrize("user", [None, "intake", "partner.water"])
async def test_the_controller_takes_nothing_from_anybody_but_the_administrator(
    guarded: Guarded, user: str | None
) -> None:
    """Its listener would take commands such as a new topic directly."""

    async def attempt(connection: Connection) -> int:
        known = await create_conn("127.0.0.1", guarded.kafka.broker.controller_port, **security(connection))
        try:
            asked: Any = CreateTopicsRequest
            answer: Any = await known.send(asked([("from.other", 1, 1, [], [])], 5_000, True))
            return answer.topic_errors[0][1]
        finally:
            known.close()

    assert await attempt(guarded.user("admin")) == 0, "it answers the administrator"
    stranger = Connection(guarded.kafka.bootstrap) if user is None else guarded.user(user)
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        with pytest.raises(KafkaError):
            await attempt(replace(stranger, mechanism=mechanism))


async def test_what_is_no_longer_wanted_is_removed_and_what_is_others_stays(own_guarded_kafka: Kafka) -> None:
    broker, own = own_guarded_kafka.administrator, passwords(own_guarded_kafka.data_dir.parent)
    await topics.create(broker, topics.of_installation(PARTNERS), 1)
    await accounts.settle(broker, "", PARTNERS, own)
    await accounts.settle(broker, "t1-", ("water",), own)
    word = await accounts.renew(broker, "", "water")
    assert word is not None
    user = Connection(own_guarded_kafka.bootstrap, "SASL_PLAINTEXT", user="partner.water", password=word)
    other = await accounts.renew(broker, "t1-", "water")
    producer = AIOKafkaProducer(**user.options())
    await producer.start()
    await producer.send_and_wait("from.water", b"{}")

    assert await accounts.settle(broker, "", PARTNERS, own) == ["fire"], "the same again changes nothing"
    assert await user.refusal() is None
    assert await accounts.settle(broker, "", ("fire",), own) == ["fire"]

    with pytest.raises(TopicAuthorizationFailedError):  # on the connection that was open before
        await producer.send_and_wait("from.water", b"{}")
    await producer.stop()
    assert "no user partner.water" in (await user.refusal() or "")
    assert other is not None
    assert await replace(user, user="t1-partner.water", password=other).refusal() is None


async def test_a_new_password_takes_the_place_of_the_old(guarded: Guarded) -> None:
    broker, before = guarded.user("admin"), guarded.user("partner.fire")
    assert await accounts.renew(broker, "", "fire", in_any_case=False) is None
    assert await before.refusal() is None
    word = await accounts.renew(broker, "", "fire")
    assert word is not None
    guarded.users["partner.fire"] = replace(before, password=word)
    assert "no user partner.fire" in (await before.refusal() or "")
    assert await guarded.user("partner.fire").refusal() is None


async def test_what_an_open_broker_holds_is_brought_over_in_place(infrastructure_folder: Path) -> None:
    """A stack from before there were users: the same data, started with users, and made ready as `up` does."""
    folder = infrastructure_folder / "from-before"
    own = passwords(folder)
    open_to_all = Kafka(folder)
    await open_to_all.start()
    await topics.create(open_to_all.administrator, topics.of_installation(("water",)), 1)
    await write(open_to_all.administrator, "ReportFiled")
    await join(open_to_all.administrator, "ReportFiled", "triage")
    await open_to_all.stop()
    guarded = Kafka(folder, passwords=passwords_folder(folder))
    await guarded.start()
    try:
        assert await topics.create(guarded.administrator, topics.of_installation(("water",)), 1) == []
        assert await accounts.settle(guarded.administrator, "", ("water",), own) == ["water"]
        triage = service_connections(guarded)["triage"]
        admin = AIOKafkaAdminClient(**triage.options())
        await admin.start()
        committed = await admin.list_consumer_group_offsets("triage")
        await admin.close()
        assert committed[TopicPartition("ReportFiled", 0)].offset == 0
        await read(triage, "ReportFiled")
        assert "hangs up" in (await Connection(guarded.bootstrap).refusal() or "")
    finally:
        await guarded.kill()
