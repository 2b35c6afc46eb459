"""What a batch holds although the Kafka client does not decode it: record after record, each whole or with a reason.

This is the slow way, for the one batch in which something is wrong. A record that can be told apart from the next one
costs the others nothing; where that is not possible, the rest of the batch is one item.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

RECORD_BYTES = 1024 * 1024
"""The most of one record, or of one batch that is no records, that is kept. An event has a quarter of it."""

MARKER = "the marker of a transaction"
"""Why a control batch is no record."""

_NAMES_BYTES = 64 * 1024
"""The most of the key and the headers of a record whose value is too large to be kept."""


@dataclass(slots=True)
class Salvaged:
    """A record of a batch that aiokafka does not decode, in the form of its own; or `unread` says why it is none."""

    offset: int
    last: int
    """The last offset that it stands for; of a record its own."""
    unread: str | None
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] | list[tuple[str, bytes | None]] = ()
    timestamp: int = -1
    timestamp_type: int = 0


class Batch(NamedTuple):
    """The header of a batch as far as its records need it, and the records as bytes, inflated."""

    payload: bytes
    base: int
    last: int
    number: int
    timestamp: int
    """Of all records if the broker keeps its own time, else of the first."""
    timestamp_type: int


def behind(found: Any) -> int:
    """The offset that follows what a reader has found: a record of aiokafka's own, or one of these."""
    return (found.last if type(found) is Salvaged else found.offset) + 1


def unread(first: int, last: int, raw: bytes, reason: str) -> Salvaged:
    """What lies at these offsets, as bytes if it is not too large, with the reason why it is no record."""
    where = f"; it takes the offsets {first} to {last}" if last > first else ""
    value, kept = _kept(raw)
    return Salvaged(first, last, reason + where + kept, value)


def too_large(payload: bytes) -> bool:
    """Whether a record among these is larger than is kept, or cannot be told apart from the next."""
    at, size = 0, len(payload)
    while at < size:
        try:
            length, at = _varint(payload, at)
        except ValueError:
            return True
        if not 0 <= length <= RECORD_BYTES:
            return True
        at += length
    return False


def records(batch: Batch, since: int) -> Iterator[Salvaged]:
    """What has an offset from `since` on, in order, without a gap to the end of the batch if nothing was compacted."""
    payload, at, before = batch.payload, 0, batch.base - 1
    numbered = batch.number == batch.last - batch.base + 1
    for place in range(batch.number):
        begin = at
        try:
            length, at = _varint(payload, at)
            end = at + length
            if length < 1 or end > len(payload):
                raise ValueError(f"a record of {length} bytes where {len(payload) - at} are left")
        except ValueError as fault:
            yield from _rest(batch, begin, max(before + 1, since), str(fault))
            return
        body, at = payload[at:end], end
        offset = batch.base + place if numbered else None
        found = _record(batch, body, offset, before)
        before = found.offset
        if found.offset >= since:
            yield found
    if at < len(payload):
        yield from _rest(batch, at, max(before + 1, since), f"{len(payload) - at} bytes too many")


def _rest(batch: Batch, begin: int, first: int, reason: str) -> Iterator[Salvaged]:
    if first <= batch.last:
        yield unread(first, batch.last, batch.payload[begin:], f"the batch breaks off: {reason}")


def _record(batch: Batch, body: bytes, offset: int | None, before: int) -> Salvaged:
    """One record. Without an offset that the batch's own count tells, its own must be one that may come next."""
    try:
        _, at = _varint(body, 1)  # behind the attributes: the time
        delta, at = _varint(body, at)
        claimed = batch.base + delta
        key, at = _bytes(body, at)
        value, at = _bytes(body, at)
        headers, names = _headers(body, at)
    except ValueError as fault:
        found = offset if offset is not None else before + 1
        return unread(found, found, body, f"the record cannot be decoded: {fault}")
    reason = names
    if offset is not None and claimed != offset:
        reason = f"the record says offset {claimed}, its place {offset}"
    elif offset is None and not before < claimed <= batch.last:
        offset, reason = before + 1, f"the record says offset {claimed} in a batch up to {batch.last}"
    found = claimed if offset is None else offset
    kept: tuple[bytes | None, str] = (value, "")
    if len(body) > RECORD_BYTES:
        if len(body) - len(value or b"") > _NAMES_BYTES:
            return unread(found, found, body, reason or "the record is too large")
        kept = _kept(value or b"")
        reason = reason or "the record is too large"
    timestamp = batch.timestamp
    if not batch.timestamp_type:
        timestamp += _varint(body, 1)[0]
    return Salvaged(
        found,
        found,
        None if reason is None else reason + kept[1],
        kept[0],
        key,
        headers,
        timestamp,
        batch.timestamp_type,
    )


def _headers(body: bytes, at: int) -> tuple[list[tuple[str, bytes | None]], str | None]:
    """The headers to the end of the record, and what is wrong with their names."""
    count, at = _varint(body, at)
    if count < 0:
        raise ValueError(f"{count} headers")
    found: list[tuple[str, bytes | None]] = []
    wrong = None
    for _ in range(count):
        raw, at = _bytes(body, at)
        if raw is None:
            raise ValueError("a header without a name")
        name = raw.decode("utf-8", "surrogateescape")
        if wrong is None and any("\ud800" <= one <= "\udfff" for one in name):
            wrong = f"headers: the name {raw[:100]!a} is not UTF-8"
        value, at = _bytes(body, at)
        found.append((name, value))
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes too many")
    return found, wrong


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(body, at)
    if length < 0:
        return None, at
    if at + length > len(body):
        raise ValueError(f"a field of {length} bytes where {len(body) - at} are left")
    return body[at : at + length], at + length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number as records write it (zigzag, seven bits a byte), and where it ends."""
    found = shift = 0
    while True:
        if at >= len(body):
            raise ValueError("a number breaks off")
        one = body[at]
        at += 1
        found |= (one & 0x7F) << shift
        if one < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _kept(raw: bytes) -> tuple[bytes | None, str]:
    """The bytes, or what is said of them instead where they are too many."""
    if len(raw) <= RECORD_BYTES:
        return raw, ""
    return None, f"; {len(raw)} bytes, more than {RECORD_BYTES}, are not kept: sha256 {sha256(raw).hexdigest()}"
