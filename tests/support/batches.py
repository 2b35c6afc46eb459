"""Batches of records byte by byte, as a careless or hostile client writes them, and what is wrong on a disk."""

import struct
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

from tests.support.services import eventually

Header = tuple[bytes, bytes | None]

_BEFORE_CRC = struct.Struct(">qiibI")
_HEADER = struct.Struct(">hiqqqhii")
_NOW = 1_750_000_000_000


def varint(number: int) -> bytes:
    """A number as records have it."""
    zigzag = number << 1 if number >= 0 else (-number << 1) - 1
    found = bytearray()
    while zigzag > 0x7F:
        found.append(0x80 | zigzag & 0x7F)
        zigzag >>= 7
    return bytes([*found, zigzag])


def field(content: bytes | None) -> bytes:
    """A key, a value, or a part of a header."""
    return varint(-1) if content is None else varint(len(content)) + content


def record(
    place: int, value: bytes | None = b"{}", *, key: bytes | None = b"case", headers: Sequence[Header] = ()
) -> bytes:
    """One record of a batch; `place` is its offset in it."""
    rest = b"".join(field(name) + field(content) for name, content in headers)
    body = b"\0" + varint(0) + varint(place) + field(key) + field(value) + varint(len(headers)) + rest
    return varint(len(body)) + body


def batch(
    records: Sequence[bytes], *, base: int = 0, codec: int = 0, last: int | None = None, packed: bytes | None = None
) -> bytes:
    """A batch with a true checksum; `packed` stands for the records where they are compressed."""
    last = len(records) - 1 if last is None else last
    attributes = codec
    checked = _HEADER.pack(attributes, last, _NOW, _NOW, -1, -1, -1, len(records))
    checked += b"".join(records) if packed is None else packed
    return _BEFORE_CRC.pack(base, len(checked) + 9, -1, 2, calc_crc32c(checked)) + checked


async def put(kafka: str, topic: str, partition: int, raw: bytes) -> int:
    """Writes a batch as it is; the offset that it begins at. Raises what the broker refuses it with."""
    offset = -1
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()

    async def taken() -> bool:
        nonlocal offset
        node = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        answer: Any = await client.send(node, ProduceRequest(None, -1, 10_000, [(topic, [(partition, raw)])]))
        _, code, offset, *_ = answer.topics[0][1][0]
        error = for_code(code)
        if error not in (NoError, NotLeaderForPartitionError):
            raise error()
        return error is NoError

    try:
        await client.set_topics([topic])
        await eventually(taken, what="the leader of a topic that was just made")
    finally:
        await client.close()
    return offset
