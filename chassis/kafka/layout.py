"""Which topics there are, with how many partitions, and which one of several that had the same name (KIP-516).

aiokafka speaks version 5 of this request, which does not tell a topic from one that was made anew under its name.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError, NoError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from chassis.kafka.completion import to_completion

_NONE = UUID(int=0)


class Topic(NamedTuple):
    """A topic as it is now."""

    partitions: frozenset[int]
    topic_id: UUID | None
    """None where the broker does not say."""


class _Uuid(AbstractType[UUID]):
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _Response(Response):
    API_KEY = 3  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]  as aiokafka's own
    API_VERSION = 12  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Request(Request[_Struct]):
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = [(_NONE, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._topics, False, False, {})


async def layout(client: AIOKafkaClient, topics: Iterable[str]) -> Mapping[str, Topic]:
    """Those of the topics that there are. Raises `KafkaError` if the broker does not say it now."""
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError
    wanted = list(topics)
    try:
        answer: Any = await to_completion(client.send(node, _Request(wanted)))
    except NotImplementedError:  # a broker before 3.1
        cluster = await to_completion(client.fetch_all_metadata())
        numbers = {topic: cluster.partitions_for_topic(topic) for topic in wanted}
        return {topic: Topic(frozenset(found), None) for topic, found in numbers.items() if found}
    found: dict[str, Topic] = {}
    for code, name, topic_id, _, partitions, *_ in answer.topics:
        error: type[KafkaError] = for_code(code)
        if error is NoError:
            found[name] = Topic(frozenset(part[1] for part in partitions), None if topic_id == _NONE else topic_id)
        elif error is not UnknownTopicOrPartitionError:
            raise error(name)
    return found
