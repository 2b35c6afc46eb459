"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import os
from datetime import datetime
from functools import lru_cache


def uuid7(at: datetime) -> str:
    """A new UUIDv7 of that instant, in lower case: 48 bits of milliseconds, 12 of microseconds, 62 of chance.

    The twelve bits after the version hold the fraction of the millisecond (RFC 9562, method 3), so that identifiers of
    one process drawn in different microseconds keep their order.
    """
    chance = os.urandom(8).hex()
    variant = "89ab"[int(chance[0], 16) & 3]
    return f"{_beginning(at)}-{variant}{chance[1:4]}-{chance[4:]}"


@lru_cache(maxsize=16)  # all that a transaction draws is of one instant
def _beginning(at: datetime) -> str:
    """The 48 bits of milliseconds, the version, and the 12 bits of microseconds."""
    microseconds = int(at.timestamp() * 1_000_000)
    milliseconds, rest = divmod(microseconds, 1000)
    time = f"{milliseconds & ((1 << 48) - 1):012x}"
    return f"{time[:8]}-{time[8:]}-7{rest * 4096 // 1000:03x}"
