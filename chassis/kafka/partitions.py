"""Key -> partition of the topics that services write: Kafka's own function (murmur2); where a case stays if its topic
got more partitions after it had begun.

The same function as aiokafka's own, a word at a time instead of a byte at a time: a third of its cost for a case id.
Nobody's reading depends on where a record lies. A partner's producer may spread its keys as it likes, librdkafka's for
instance by CRC32, as long as it keeps a key together.
"""

import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime

from chassis.settings import Raised

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The hash of Kafka's `Utils.murmur2`, as an unsigned 32-bit number."""
    length = len(data)
    h = _SEED ^ length
    words = length // 4
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := data[words * 4 :]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def place(key: bytes, count: int, history: Sequence[Raised] = ()) -> int:
    """The partition of a key on a topic of so many partitions. A key without a time is as old as can be."""
    if history:
        began = _begun(key)
        count = next((min(one.number, count) for one in history if began is None or began < one.at), count)
    return (murmur2(key) & 0x7FFFFFFF) % count


def _begun(key: bytes) -> datetime | None:
    """When a case began, by its id: a UUID of version 7 begins with that, in milliseconds (RFC 9562, section 5.7)."""
    digits = key[:8] + key[9:13]
    if len(key) != 36 or key[14:15] != b"7":
        return None
    try:
        return datetime.fromtimestamp(int(digits, 16) / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # no digits, or beyond what a datetime can be
        return None


class Partitioner:
    """For aiokafka's `partitioner`: the key's partition; of a record without a key, any that is available."""

    def __init__(self, history: Sequence[Raised] = ()) -> None:
        self._history = history

    def __call__(self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]) -> int:
        """The partition of `key`; `all_partitions` in order."""
        if key is None:
            return random.choice(available or all_partitions)
        return all_partitions[place(key, len(all_partitions), self._history)]
