"""Undoes the compression of a batch, and never into more than a bound: who writes a batch chooses what it inflates to.

A batch has 1 MiB at most as it lies on a topic (deploy/stack/limits.py). Clients count their batches before they
compress them (librdkafka, a million bytes) or by an estimate of the ratio, of which text in JSON seldom has more than
ten. Sixteen times the limit is beyond what any of them makes, and little enough to be held in memory.
"""

import mmap
import struct
import zlib
from collections.abc import Callable, Mapping

import cramjam

BATCH_BYTES = 16 * 1024 * 1024
"""The most that one batch may inflate to."""

_GZIP = 16 + zlib.MAX_WBITS
_MEMBERS = 64
"""Of a gzip stream. Clients write one; each costs a copy of all that follow it."""
_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEADER = 16
_LENGTH = struct.Struct(">i")
_BUFFER = mmap.mmap(-1, BATCH_BYTES)
"""Written to by one inflation at a time; pages that were never needed take no memory."""


class Uninflatable(Exception):
    """What was compressed cannot be had again, or would be too large. The message says why."""


def inflated(codec: int, compressed: bytes) -> bytes:
    """What was compressed by one of Kafka's codecs, as batches number them. Raises `Uninflatable`."""
    if codec not in _CODECS:
        raise Uninflatable(f"it is compressed by codec {codec}, which Kafka does not have")
    name, inflate = _CODECS[codec]
    try:
        return inflate(compressed)
    except Exception as fault:
        if "whole buffer" in str(fault):  # cramjam's words for a buffer that is too small
            raise _too_large() from None
        raise Uninflatable(f"it is not what {name} makes: {fault}") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:  # what a panic in cramjam's Rust becomes is no Exception
        raise Uninflatable(f"{name} cannot undo it: {fault!r}") from None


def _too_large() -> Uninflatable:
    return Uninflatable(f"it inflates to more than {BATCH_BYTES} bytes")


def _gzip(compressed: bytes) -> bytes:
    found = b""
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        found += member.decompress(compressed, BATCH_BYTES + 1 - len(found))
        if len(found) > BATCH_BYTES:
            raise _too_large()
        if not member.eof:
            raise ValueError("it ends too early")
        compressed = member.unused_data
        if not compressed:
            return found
    raise ValueError(f"it has more than {_MEMBERS} members")


def _snappy(compressed: bytes) -> bytes:
    """One block, or the blocks of the Java client, each behind its length."""
    if not compressed.startswith(_XERIAL):
        return _snappy_block(compressed, BATCH_BYTES)
    blocks: list[bytes] = []
    at, room = _XERIAL_HEADER, BATCH_BYTES
    while at < len(compressed):
        begin = at + _LENGTH.size
        at = begin + _LENGTH.unpack_from(compressed, at)[0]
        if not begin <= at <= len(compressed):
            raise ValueError("a block has another length")
        blocks.append(_snappy_block(compressed[begin:at], room))
        room -= len(blocks[-1])
    return b"".join(blocks)


def _snappy_block(block: bytes, room: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise _too_large()
    return bytes(cramjam.snappy.decompress_raw(block))


def _lz4(compressed: bytes) -> bytes:
    return _BUFFER[: cramjam.lz4.decompress_into(compressed, _BUFFER)]


def _zstd(compressed: bytes) -> bytes:
    return _BUFFER[: cramjam.zstd.decompress_into(compressed, _BUFFER)]


_CODECS: Mapping[int, tuple[str, Callable[[bytes], bytes]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
