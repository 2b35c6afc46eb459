"""A closed case as a template for others: the same rows, moved in time.

Rows are those of PostgreSQL's binary COPY, and a copy has the same bytes but for what names the case or says when: the
beginning of each UUIDv7, which is a time, each instant, and the numbers that audit's log and the outbox count by. All
instants of a case are moved by the same number of whole seconds, so that whatever follows from them still does.
Places, people and words stay as they are.

A template is read apart once; a copy then costs as many joined pieces as it has identifiers and instants.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from operator import itemgetter

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_TEXTS = frozenset({"text", "bytea", "json", "jsonb"})
_INSTANTS = "timestamptz"
_WHEN = re.compile(
    rb"([0-9a-f]{8}-[0-9a-f]{4}(?=-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
)
"""The time in a UUIDv7, or an instant to the second."""
_COUNTED = re.compile(rb'(?<=_index":)([0-9]+)')
"""An index of the log in a folded case of audit's."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where PostgreSQL counts from, in microseconds. What lies before it is no instant of a case."""
_FAR = int((datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a copy goes."""

    seconds: int
    """By how much it is moved."""
    index: int
    """Of its first record in audit's log; the others follow it."""
    positions: Mapping[str, int]
    """Service -> that of its first own event; the others follow it."""


Slot = Callable[[Destination], bytes]
"""What stands at one spot of a copy."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The time of a UUIDv7, in milliseconds."""

    milliseconds: int

    def __call__(self, where: Destination) -> bytes:
        digits = b"%012x" % (self.milliseconds + where.seconds * 1000)
        return digits[:8] + b"-" + digits[8:]


@dataclass(frozen=True, slots=True)
class Written:
    """An instant as text, in seconds since the epoch of Unix."""

    seconds: int

    def __call__(self, where: Destination) -> bytes:
        day, second = divmod(self.seconds + where.seconds, 86_400)
        return _day(day) + b"T" + _time(second)


@dataclass(frozen=True, slots=True)
class Stored:
    """An instant as a timestamptz, in microseconds since `_EPOCH`."""

    microseconds: int

    def __call__(self, where: Destination) -> bytes:
        return struct.pack(">q", self.microseconds + where.seconds * 1_000_000)


@dataclass(frozen=True, slots=True)
class Index:
    """The index of the case's n-th record in the log."""

    n: int

    def __call__(self, where: Destination) -> bytes:
        return struct.pack(">q", where.index + self.n)


@dataclass(frozen=True, slots=True)
class Offset:
    """A place on a topic that no record will ever have: below 0, and another for each record of the log."""

    n: int

    def __call__(self, where: Destination) -> bytes:
        return struct.pack(">q", -1 - where.index - self.n)


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a service's n-th own event."""

    service: str
    n: int

    def __call__(self, where: Destination) -> bytes:
        return struct.pack(">q", where.positions[self.service] + self.n)


@dataclass(frozen=True, slots=True)
class Counted:
    """An index as text."""

    n: int

    def __call__(self, where: Destination) -> bytes:
        return b"%d" % (where.index + self.n)


@dataclass(frozen=True, slots=True)
class Length:
    """The length of a field with indexes as text: `fixed` bytes beside them."""

    fixed: int
    counted: tuple[int, ...]

    def __call__(self, where: Destination) -> bytes:
        return struct.pack(">i", self.fixed + sum(len(b"%d" % (where.index + n)) for n in self.counted))


@lru_cache(maxsize=1024)
def _day(number: int) -> bytes:
    return (date(1970, 1, 1) + timedelta(number)).isoformat().encode()


@lru_cache(maxsize=86_400)
def _time(second: int) -> bytes:
    return b"%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60)


Row = list[bytes | None]
"""The fields of a row, as binary COPY has them."""


@dataclass(frozen=True)
class Table:
    """Rows of one case in one table. `columns`: name -> type, in order."""

    service: str
    name: str
    columns: Mapping[str, str]
    rows: Sequence[Row]


@dataclass
class Template:
    """One closed case in all stores."""

    slots: list[Slot] = field(default_factory=list)
    """Each once, wherever it stands."""
    tables: dict[tuple[str, str], "Pieces"] = field(default_factory=dict)
    records: int = 0
    """That audit's log has of it."""
    own: dict[str, int] = field(default_factory=dict)
    """Service -> number of its own events."""

    @classmethod
    def of(cls, tables: Iterable[Table]) -> "Template":
        """Reads a case apart. Raises `ValueError` where its log is not in order of its index."""
        tables = sorted(tables, key=lambda table: table.name != "log")  # the first of all: others name its indexes
        found = cls()
        numbers: dict[Slot, int] = {}
        indexes: dict[int, int] = {}
        for table in tables:
            pieces = [b""]
            order: list[int] = []
            for row in table.rows:
                pieces[-1] += struct.pack(">h", len(row))
                for (column, kind), value in zip(table.columns.items(), row, strict=True):
                    for part in found._apart(table, column, kind, value, indexes):
                        if isinstance(part, bytes):
                            pieces[-1] += part
                        else:
                            order.append(numbers.setdefault(part, len(numbers)))
                            pieces.append(b"")
            found.tables[table.service, table.name] = Pieces(pieces, order)
        found.slots = list(numbers)
        return found

    def copies(self, where: Destination) -> Mapping[tuple[str, str], bytes]:
        """(service, table) -> the rows of the copy that goes there."""
        values = [slot(where) for slot in self.slots]
        return {name: pieces.joined(values) for name, pieces in self.tables.items()}

    def _apart(
        self, table: Table, column: str, kind: str, value: bytes | None, indexes: dict[int, int]
    ) -> Iterator[bytes | Slot]:
        """A field with its length, as bytes and slots in turn."""
        if value is None:
            yield struct.pack(">i", -1)
        elif (table.name, column) == ("cases", "state"):
            yield from _state(value, indexes)
        else:
            yield struct.pack(">i", len(value))
            yield from self._value(table, column, kind, value, indexes)

    def _value(
        self, table: Table, column: str, kind: str, value: bytes, indexes: dict[int, int]
    ) -> Iterator[bytes | Slot]:
        match table.name, column:
            case "log", "index":
                yield Index(indexes.setdefault(_number(value), self.records))
                self.records += 1
            case "log", "offset":
                yield Offset(self.records - 1)
            case "cases", "first_index" | "last_index":
                yield Index(indexes[_number(value)])
            case "events", "position":
                self.own[table.service] = n = self.own.get(table.service, 0)
                self.own[table.service] += 1
                yield Position(table.service, n)
            case _ if kind == _INSTANTS:
                at = _number(value)
                yield Stored(at) if 0 < at < _FAR else value
            case _ if kind in _TEXTS:
                yield from _moving(value)
            case _:
                yield value


@dataclass(frozen=True)
class Pieces:
    """What stays the same, and between each two pieces of it the number of the slot that stands there."""

    fixed: list[bytes]
    order: Sequence[int]

    def joined(self, values: Sequence[bytes]) -> bytes:
        """With these values of the slots."""
        parts: list[bytes] = [b""] * (2 * len(self.fixed) - 1)
        parts[::2] = self.fixed
        parts[1::2] = self._chosen(values)
        return b"".join(parts)

    @cached_property
    def _chosen(self) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
        if len(self.order) > 1:
            return itemgetter(*self.order)
        return lambda values: tuple(values[n] for n in self.order)


def rows_of(data: bytes) -> Iterator[Row]:
    """The fields of each row of a binary COPY. Raises `ValueError` where it is none."""
    if not data.startswith(HEADER):
        raise ValueError("this is no binary COPY as PostgreSQL writes it")
    at = len(HEADER)
    while True:
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        if count < 0:
            return
        row: Row = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if length < 0 else data[at : at + length])
            at += max(length, 0)
        yield row


def _moving(value: bytes) -> Iterator[bytes | Slot]:
    for n, part in enumerate(_WHEN.split(value)):
        if n % 2 == 0:
            yield part
        elif b"T" in part:
            yield Written(int(datetime.fromisoformat(part.decode() + "+00:00").timestamp()))
        else:
            yield Moved(int(part.replace(b"-", b""), 16))


def _state(value: bytes, indexes: Mapping[int, int]) -> Iterator[bytes | Slot]:
    parts = _COUNTED.split(value)
    counted = tuple(indexes[int(part)] for part in parts[1::2])
    yield Length(sum(len(part) for part in parts[::2]), counted)
    for n, part in enumerate(parts):
        if n % 2:
            yield Counted(indexes[int(part)])
        else:
            yield from _moving(part)


def _number(value: bytes) -> int:
    return struct.unpack(">q", value)[0]
