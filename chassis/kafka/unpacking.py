"""What a fetch brought of one partition, record after record: whatever lies there, no record ends the reading.

This stands in the place of aiokafka's `PartitionRecords`, whose exceptions leave the position where it was, so that
the same fault comes again for ever. Batches are decoded by aiokafka's own code; only what that does not decode takes
another way:

    a batch that is not what its header says, or   fetched once more, because what went wrong may have been the way
    whose checksum is wrong                        here; then stepped over up to the next batch that is sound
    a batch that cannot be inflated, or too far    stepped over
    a record that cannot be decoded                given as bytes, the others of its batch as records (salvage.py)
    a batch of a transaction's markers             given as such: it takes an offset, and audit counts them

What is stepped over is an item, too: with its offsets, its bytes and the reason, so that it is parked and logged like
any record that is no event.
"""

import logging
import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch

from chassis.kafka.inflating import BATCH_BYTES, Uninflatable, inflated
from chassis.kafka.salvage import MARKER, RECORD_BYTES, Batch, Salvaged, records, too_large, unread

log = logging.getLogger(__name__)

_BEGINNING = struct.Struct(">qi")
"""Of a batch: its first offset, and how many bytes follow."""
_VERSION_AT, _VERSION = 16, 2
_ATTRIBUTES_AT, _CODEC, _CONTROL = 22, 0x07, 0x20
_NUMBERS = struct.Struct(">i")
_LAST_AT, _COUNT_AT = 23, 57
_HEADER = 61
_MAY_BEGIN = re.compile(rb"(?=\x00\x00.{14}\x02)", re.DOTALL)
"""Where a batch may begin: an offset below 2^48, and the version in its place."""
_TRIED = 1_000
"""The most places at which a sound batch is looked for behind one that is not."""


class Patience:
    """What the partitions of one reader share: which batch was fetched once more, and how much may be inflated."""

    def __init__(self) -> None:
        self.again: dict[TopicPartition, int] = {}
        """Partition -> the offset at which what was fetched was not sound."""
        self.room = BATCH_BYTES
        """For the records that are asked for next. When it is used up, the rest is fetched again later."""


class _Unsound(Exception):
    """A batch is not what its header says. The message says why, `end` where it ends if that is known."""

    def __init__(self, reason: str, end: int | None = None, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.end = end
        self.cut = cut


class Unpacked:
    """An iterable of records as aiokafka's `FetchResult` expects it, which may stop and go on."""

    def __init__(self, tp: TopicPartition, raw: bytes, position: int, end: int, patience: Patience) -> None:
        """`raw` is what was fetched of the partition for `position`; `end` is the offset at which its log ends."""
        self.next_fetch_offset = position
        self._tp = tp
        self._raw = raw
        self._position = position
        self._end = end
        self._patience = patience
        self._records = self._unpack()

    def __iter__(self) -> Iterator[Any]:
        return self._records

    def __next__(self) -> Any:
        return next(self._records)

    def _unpack(self) -> Iterator[Any]:
        at, after, size = 0, 0, len(self._raw)
        while at < size:
            try:
                raw, batch = self._batch(at, after)
            except _Unsound as fault:
                if self._may_heal(fault):
                    return
                passed, at = self._step_over(at, after, fault)
                if passed is not None:
                    yield passed
                after = max(after, self.next_fetch_offset)
                continue
            at += len(raw)
            after, since = batch.next_offset, self.next_fetch_offset
            if after <= since:
                continue
            flags = raw[_ATTRIBUTES_AT]
            if flags & _CONTROL:
                yield self._passed(batch, b"", MARKER)
                continue
            if flags & _CODEC:
                if self._patience.room <= 0:
                    return
                try:
                    raw = self._whole(batch, raw)
                    batch = DefaultRecordBatch(raw)
                except Uninflatable as fault:
                    yield self._passed(batch, raw, f"the batch cannot be read: {fault}")
                    continue
            offset = batch.base_offset
            well = len(raw) <= RECORD_BYTES or not too_large(raw[_HEADER:])
            try:
                for record in batch if well else ():
                    if record.offset != offset:
                        well = False
                        break
                    offset += 1
                    if offset > since:
                        self.next_fetch_offset = offset
                        yield record
            except Exception:  # whatever it is: the slow way finds out, and loses no record
                well = False
            if not well:
                for one in self._salvaged(batch, raw):
                    self.next_fetch_offset = one.last + 1
                    yield one
            self.next_fetch_offset = after  # also past offsets of which compaction left no record

    def _batch(self, at: int, after: int) -> tuple[bytes, Any]:
        """The batch at that place, as bytes and as aiokafka's; its offsets begin at `after` or later."""
        raw = self._raw
        if len(raw) - at < _HEADER:
            raise _Unsound("it breaks off", cut=True)
        base, length = _BEGINNING.unpack_from(raw, at)
        end = at + _BEGINNING.size + length
        if end - at < _HEADER:
            raise _Unsound(f"it says that {length} bytes follow")
        if end > len(raw):
            raise _Unsound("it breaks off", cut=True)
        if raw[at + _VERSION_AT] != _VERSION:
            raise _Unsound(f"it has version {raw[at + _VERSION_AT]} of the format, not {_VERSION}", end)
        found = raw[at:end]
        batch = DefaultRecordBatch(found)
        if not batch.validate_crc():
            raise _Unsound("its checksum is wrong", end)
        if not after <= base < batch.next_offset <= self._end:
            raise _Unsound(f"it says that it has the offsets {base} to {batch.next_offset - 1}", end)
        return found, batch

    def _salvaged(self, batch: Any, raw: bytes) -> Iterator[Salvaged]:
        """The records, from the next one on, of a batch that aiokafka does not decode; `raw` is all of it, inflated."""
        log_append = batch.timestamp_type
        timestamp = batch.max_timestamp if log_append else batch.first_timestamp
        count = _NUMBERS.unpack_from(raw, _COUNT_AT)[0]
        header = Batch(raw[_HEADER:], batch.base_offset, batch.next_offset - 1, count, timestamp, log_append)
        return records(header, self.next_fetch_offset)

    def _whole(self, batch: Any, raw: bytes) -> bytes:
        """A batch as it would be without compression. Raises `Uninflatable`."""
        payload = inflated(batch.compression_type, raw[_HEADER:])
        self._patience.room -= len(payload)
        header = bytearray(raw[:_HEADER])
        header[_ATTRIBUTES_AT] &= ~_CODEC
        return bytes(header) + payload

    def _passed(self, batch: Any, raw: bytes, reason: str) -> Salvaged:
        """A batch of whose records none can be given."""
        first, self.next_fetch_offset = max(batch.base_offset, self.next_fetch_offset), batch.next_offset
        found = unread(first, batch.next_offset - 1, raw, reason)
        found.timestamp, found.timestamp_type = batch.max_timestamp, batch.timestamp_type
        return found

    def _may_heal(self, fault: _Unsound) -> bool:
        """Whether it is to be fetched once more: an answer may end within a batch, but not within its first one, and a
        fault may have come about on the way here.
        """
        if fault.cut and self.next_fetch_offset > self._position:
            return True
        before = self._patience.again.get(self._tp)
        self._patience.again[self._tp] = self.next_fetch_offset
        return before != self.next_fetch_offset

    def _step_over(self, at: int, after: int, fault: _Unsound) -> tuple[Salvaged | None, int]:
        """What lies between here and the next sound batch, if no item has told of it before; and where that begins."""
        since = self.next_fetch_offset
        end, following = self._following(at, max(after, since), fault.end)
        raw = self._raw[at:end]
        if following is None:
            following = self._claimed(raw, since)
        if following <= since:
            return None, end
        base = _BEGINNING.unpack_from(raw)[0] if len(raw) >= _BEGINNING.size else since
        first = base if since <= base < following else since
        self.next_fetch_offset = following
        log.warning("%s/%d@%d: a batch is stepped over: %s", self._tp.topic, self._tp.partition, first, fault)
        return unread(first, following - 1, raw, f"the batch cannot be read: {fault}"), end

    def _following(self, at: int, after: int, end: int | None) -> tuple[int, int | None]:
        """Where the next sound batch begins, with its first offset; without one, where the batch here ends."""
        places = [end] if end is not None else []
        places += [found.start() for found in islice(_MAY_BEGIN.finditer(self._raw, at + 1), _TRIED)]
        for place in places:
            try:
                return place, self._batch(place, after)[1].base_offset
            except _Unsound:
                continue
        return end or len(self._raw), None

    def _claimed(self, raw: bytes, since: int) -> int:
        """The offset behind a batch by its own words, if they agree with each other; else the next one."""
        if len(raw) >= _HEADER:
            last, count = (_NUMBERS.unpack_from(raw, place)[0] for place in (_LAST_AT, _COUNT_AT))
            claimed = _BEGINNING.unpack_from(raw)[0] + count
            if count == last + 1 and since < claimed <= self._end:
                return claimed
        return since + 1
