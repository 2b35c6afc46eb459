"""A partner is registered on the real broker: its topics are there before its entry, its key is shown once."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.kafka.connection import Connection
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.web.errors import Unauthenticated
from chassis.web.identity import Identity
from deploy.district.__main__ import main as write_district
from deploy.partners import Installation, Issued, Unacceptable, Wanted, as_partner, read, register, unregister
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

WATER = Wanted("water", says=("reports", "steps"), units=("dept:water",))
LOG_APPEND_TIME = 1
PARTITIONS = 3


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district") / "tiny"
    assert write_district(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
async def installation(
    kafka: str,
    topic_prefix: str,
    make_topics: Callable[..., Awaitable[list[str]]],
    district: Path,
    tmp_path: Path,
) -> AsyncIterator[Installation]:
    """One with the topics of the facts, and nobody registered."""
    await make_topics(topic_prefix, PARTITIONS)
    yield Installation(tmp_path / "partners.json", district, Connection(kafka), topic_prefix)
    await topics.delete(
        Connection(kafka), [name for partner in ("water", "fire") for name in topics.of_partner(partner, topic_prefix)]
    )


@pytest.fixture
def command(installation: Installation) -> Callable[..., Awaitable[tuple[int | None, str, str]]]:
    """`await command("list")`: exit status, standard output and standard error of `python -m deploy.partners`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CASEGRID_")},
        "KAFKA_BOOTSTRAP_SERVERS": installation.broker.servers,
        "CASEGRID_TOPIC_PREFIX": installation.prefix,
        "CASEGRID_DISTRICT": str(installation.district),
        "CASEGRID_PARTNERS": str(installation.partners),
    }

    async def run(*arguments: str, **more: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.partners", *arguments),
            cwd=ROOT,
            env={**environment, **more},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    return run


async def test_its_topics_are_there_and_the_broker_stamps_what_it_says(installation: Installation) -> None:
    assert (await register(installation, WATER)).client_key is not None
    said, told = f"{installation.prefix}from.water", f"{installation.prefix}to.water"
    assert await topics.partitions(installation.broker, said) == PARTITIONS
    assert await topics.partitions(installation.broker, told) == PARTITIONS

    producer = AIOKafkaProducer(bootstrap_servers=installation.broker.servers)
    await producer.start()
    long_ago = 1_000_000_000_000
    for topic in (said, told):
        await producer.send_and_wait(topic, b"x", partition=0, timestamp_ms=long_ago)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.broker.servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(said, 0), TopicPartition(told, 0)])
    found = {record.topic: record for record in [await consumer.getone(), await consumer.getone()]}
    await consumer.stop()
    assert found[said].timestamp_type == LOG_APPEND_TIME
    assert found[said].timestamp > long_ago
    assert found[told].timestamp == long_ago


async def test_the_services_know_it_by_its_key_which_stands_in_the_file_as_a_hash_only(
    installation: Installation,
) -> None:
    key = (await register(installation, WATER)).client_key
    assert key is not None
    assert key not in installation.partners.read_text()
    assert set(read(installation.partners).by_key) == {hashlib.sha256(key.encode()).hexdigest()}

    caller = await Identity(Settings(), Registry(installation.partners)).caller(None, key)

    assert caller is not None
    assert (caller.subject, caller.source, caller.unit) == ("partner:water", "/partners/water", "dept:water")


async def test_registered_again_it_keeps_its_key_until_a_new_one_is_asked_for(installation: Installation) -> None:
    first = (await register(installation, WATER)).client_key
    before = read(installation.partners).by_key
    again = await register(installation, Wanted("water", says=("steps",), units=("dept:sanitation",)))
    assert again == Issued(None, None)
    assert list(read(installation.partners).by_key) == list(before)
    assert read(installation.partners).by_id["water"].units == ("dept:sanitation",)

    second = (await register(installation, WATER, rotate=True)).client_key

    assert first is not None
    assert second not in (None, first)
    identity = Identity(Settings(), Registry(installation.partners))
    assert await identity.caller(None, second)
    with pytest.raises(Unauthenticated):
        await identity.caller(None, first)


async def test_what_breaks_a_rule_changes_nothing(installation: Installation) -> None:
    await register(installation, WATER)
    before = installation.partners.read_bytes()
    with pytest.raises(Unacceptable, match="units: dept:water answers through water already"):
        await register(installation, Wanted("fire", says=("steps",), units=("dept:water",)))
    assert installation.partners.read_bytes() == before
    assert await topics.partitions(installation.broker, f"{installation.prefix}from.fire") is None


async def test_removed_it_leaves_its_topics_and_goes_on_with_them_when_it_comes_back(
    installation: Installation,
) -> None:
    await register(installation, WATER)
    producer = AIOKafkaProducer(bootstrap_servers=installation.broker.servers)
    await producer.start()
    await producer.send_and_wait(f"{installation.prefix}from.water", b"kept", partition=0)

    assert await unregister(installation, "water")

    assert read(installation.partners).by_key == {}
    assert (await register(installation, WATER)).client_key is not None
    again = await producer.send_and_wait(f"{installation.prefix}from.water", b"next", partition=0)
    await producer.stop()
    assert again.offset == 1


async def test_no_entry_without_topics(installation: Installation, kafka: str) -> None:
    elsewhere = Installation(
        installation.partners, installation.district, Connection(kafka), f"{installation.prefix}none-"
    )
    with pytest.raises(Problem, match=f"has no topic {installation.prefix}none-ReportFiled yet"):
        await register(elsewhere, WATER)
    assert not installation.partners.exists()


async def test_a_topic_whose_records_bear_their_writers_time_is_not_taken(installation: Installation) -> None:
    said = f"{installation.prefix}from.water"
    await topics.create(installation.broker, [said], PARTITIONS)
    with pytest.raises(Problem, match=f"topic {said} has message.timestamp.type=CreateTime: it must be LogAppendTime"):
        await register(installation, WATER)
    assert not installation.partners.exists()


async def test_two_at_once_are_both_registered(installation: Installation) -> None:
    fire = Wanted("fire", says=("steps",), units=("dept:fire",))
    keys = await asyncio.gather(register(installation, WATER), register(installation, fire))
    assert None not in keys
    assert set(read(installation.partners).by_id) == {"water", "fire"}


async def test_of_two_at_once_for_one_unit_one_is_refused(installation: Installation) -> None:
    fire = Wanted("fire", says=("steps",), units=WATER.units)
    ends = await asyncio.gather(register(installation, WATER), register(installation, fire), return_exceptions=True)
    assert [type(end) for end in ends if not isinstance(end, Issued)] == [Unacceptable]
    assert len(read(installation.partners).partners) == 1


async def test_the_command_shows_a_key_once_and_says_what_it_did(
    installation: Installation, command: Callable[..., Awaitable[tuple[int | None, str, str]]]
) -> None:
    status, out, err = await command(
        *("add", "--units=dept:water", "--says=reports, steps", "--title=Water company", "--", "water")
    )
    assert (status, err) == (0, "")
    assert "water (Water company): says reports and steps for dept:water" in out
    assert f"writes {installation.prefix}from.water, reads {installation.prefix}to.water" in out
    assert "shown only once" in out
    key = out.split()[-1]
    assert hashlib.sha256(key.encode()).hexdigest() in read(installation.partners).by_key

    status, out, _ = await command("add", "--units=dept:water", "--says=steps", "--", "water")
    assert status == 0
    assert "keeps its client key" in out
    assert key not in out

    _, out, _ = await command("list")
    assert out == "water (Water company): says steps for dept:water\n"

    status, out, _ = await command("remove", "--", "water")
    assert status == 0
    assert f"{installation.prefix}from.water and {installation.prefix}to.water stay with what they hold" in out
    assert (await command("list"))[1] == "water (Water company): registered no longer\n"


async def test_the_command_names_what_is_wrong_and_ends_with_2(
    installation: Installation, command: Callable[..., Awaitable[tuple[int | None, str, str]]]
) -> None:
    status, out, err = await command("add", "--units=dept:watr,*", "--says=resolved", "--", "Water")
    assert (status, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "id",
        "says",
        "units",
        "units",
        "nothing was changed",
    ]
    assert not installation.partners.exists()
    status, _, err = await command("remove", "--", "water")
    assert (status, err.splitlines()[0]) == (2, f"id: 'water' is not registered in {installation.partners}")


async def test_where_no_broker_is_the_command_says_so(
    installation: Installation, command: Callable[..., Awaitable[tuple[int | None, str, str]]]
) -> None:
    status, _, err = await command("add", "--says=reports", "--", "water", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert status == 1
    assert err.startswith("the broker at 127.0.0.1:1 does not answer")
    assert not installation.partners.exists()


async def test_the_setup_container_has_all_that_the_command_needs(installation: Installation) -> None:
    """What docker-compose.yml gives it, with this machine's addresses and folders in place of the containers'."""
    setup = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["setup"]
    here = {
        "DATABASE_URL": "postgresql://postgres@127.0.0.1:1/casegrid",  # nothing of it is asked
        "KAFKA_BOOTSTRAP_SERVERS": installation.broker.servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",  # the broker here knows no users
        "CASEGRID_DISTRICT": str(installation.district),
        "CASEGRID_PARTNERS": str(installation.partners),
    }
    environment = {name: here.get(name, str(value)) for name, value in setup["environment"].items()}
    assert set(here) <= set(environment)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.partners", "add", "water", "--units", "dept:water", "--says", "reports,steps"),
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "CASEGRID_TOPIC_PREFIX": installation.prefix,  # the broker here is not this test's alone
            **environment,
            "CASEGRID_PARTITIONS": "6",
        },
    )
    assert await process.wait() == 0
    assert set(read(installation.partners).by_id) == {"water"}


async def test_where_the_broker_has_users_it_gets_one_with_a_password_of_its_own(
    guarded_kafka: Kafka, topic_prefix: str, district: Path, tmp_path: Path
) -> None:
    broker = guarded_kafka.administrator
    await topics.create(broker, topics.of_installation((), topic_prefix), 1)
    installation = Installation(tmp_path / "partners.json", district, broker, topic_prefix)
    first = (await register(installation, WATER)).password
    assert (await register(installation, WATER)).password is None, "it keeps the one it has"
    second = (await register(installation, WATER, rotate=True)).password
    assert None not in (first, second)

    async def turned_away(password: str | None) -> bool:
        return await as_partner(installation, "water", password).refusal() is not None

    assert await turned_away(first)
    assert not await turned_away(second)
    producer = AIOKafkaProducer(**as_partner(installation, "water", second).options())
    await producer.start()
    await producer.send_and_wait(f"{topic_prefix}from.water", b"{}")
    await producer.stop()

    assert await unregister(installation, "water")
    assert await turned_away(second)
    assert (await register(installation, WATER)).password not in (None, first, second)


async def test_removed_while_the_broker_is_silent_it_is_registered_no_longer_all_the_same(
    installation: Installation,
) -> None:
    await register(installation, WATER)
    silent = Connection("127.0.0.1:1", "SASL_PLAINTEXT", "PLAIN", "admin", "x")
    elsewhere = replace(installation, broker=silent)
    with pytest.raises(Problem, match="water is registered no longer, and `make up` removes its user"):
        await unregister(elsewhere, "water")
    assert read(installation.partners).registered == {}
