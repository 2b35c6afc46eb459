"""Consumer groups, as an operator with Kafka's tool would set them."""

from aiokafka import AIOKafkaConsumer, TopicPartition


async def read_again(kafka: str, group: str, topics: list[str], partitions: int) -> None:
    """Lets a group without members begin at the earliest records."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 0))
    finally:
        await consumer.stop()
