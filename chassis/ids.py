"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import os
from datetime import datetime

_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62


def uuid7(at: datetime) -> str:
    """A new UUIDv7 of that instant, in lower case: 48 bits of milliseconds, 12 of microseconds, 62 of chance.

    The twelve bits after the version hold the fraction of the millisecond (RFC 9562, method 3), so that identifiers of
    one process drawn in different microseconds keep their order.
    """
    microseconds = int(at.timestamp() * 1_000_000)
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    chance = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | _VERSION | fraction << 64 | _VARIANT | chance
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
