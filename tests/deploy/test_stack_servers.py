"""The embedded broker and database keep what they were given, through a kill -9, too."""

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.postgres import Postgres


async def test_records_survive_kill_9_of_the_broker(own_kafka: Kafka) -> None:
    await topics.create(own_kafka.administrator, ["kept"], 3)
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    for number in range(30):
        await producer.send_and_wait("kept", str(number).encode(), partition=number % 3)
    await producer.stop()

    await own_kafka.kill()
    assert own_kafka.pid is None
    await own_kafka.start()

    consumer = AIOKafkaConsumer(bootstrap_servers=own_kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition("kept", number) for number in range(3)])
    values = {(await consumer.getone()).value for _ in range(30)}
    await consumer.stop()
    assert values == {str(number).encode() for number in range(30)}


async def test_a_topic_is_never_made_by_asking_for_it(own_kafka: Kafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap, request_timeout_ms=1000)
    await producer.start()
    with pytest.raises(UnknownTopicOrPartitionError):
        await producer.send_and_wait("mistyped", b"")
    await producer.stop()


async def test_committed_rows_survive_kill_9_of_the_server(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")

    await own_postgres.kill()
    assert own_postgres.pid is None
    await own_postgres.start()

    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("SELECT sum(number) FROM kept") == 500500
    await connection.close()


async def test_the_server_listens_on_loopback_only_and_asks_for_a_password(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    assert await connection.fetchval("SHOW unix_socket_directories") == ""
    rules = await connection.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
    await connection.close()
    assert [rule["auth_method"] for rule in rules] == ["scram-sha-256"]
