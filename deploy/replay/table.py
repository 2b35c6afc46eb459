"""CSV of somebody else (RFC 4180, with what Excel and others make of it), read so that a bad row costs itself alone.

`csv` of Python goes on to the end of the file behind a quote that is never closed, and refuses the whole file for one
field that is too long. Here a field has bounds. A row that breaks them, and one of several lines that is not
well-formed or has swallowed what looks like another row, is rejected at its first line; reading goes on at the next
one. In the first line of a row a quote inside a field without quotes is a character like any other, as `csv` takes it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import TypeAlias

from deploy.replay.lines import LONGEST, Lines, stripped
from deploy.replay.rows import Broken, Row, Unreadable

FIELD = 131_072
"""The most characters of a field."""
SPAN = 20
"""The most lines of a field."""
LINES = 200
"""The most lines of a row."""
DELIMITERS = ",;\t"
_SEP = re.compile(r'"?sep=([^"\w])"?', re.IGNORECASE)
_TEXT = re.compile(r'="([^"]*)"')
"""How Excel is kept from taking digits for a number."""
_NO_NAME = re.compile(r"[\W_]+")
_SHOWN = 12
"""The most names of a heading that a message has."""
_LOOK = 20
"""Lines under the heading that show how many fields a row has."""
Columns: TypeAlias = Mapping[str, Sequence[str]]
"""Column -> other names that files have for it. Case, spaces and punctuation do not count."""


@dataclass(frozen=True)
class Format:
    """What a table's heading must have, and may have."""

    name: str
    columns: Columns
    needed: Sequence[str]
    likely: Callable[[Mapping[str, str]], bool]
    """Whether what a line says by itself looks like a row, though it stands inside a quoted field."""


class Table:
    """The rows under a heading, of which only the columns named are read."""

    def __init__(self, lines: Lines, format: Format) -> None:
        """Reads the heading. Raises `Unreadable` where it is none of that format."""
        self._lines = lines
        self._format = format
        columns = format.columns
        self._delimiter, heading = _heading(lines)
        self._most = len(heading)
        while heading and not heading[-1]:
            heading.pop()
        self._least = len(heading)
        self._most = max(self._most, self._empty_behind())
        found = {name: _places(heading, (name, *others)) for name, others in columns.items()}
        missing = [name for name in format.needed if not found[name]]
        if missing:
            raise Unreadable(
                f"{lines.path} {_lacks(missing, columns, heading)}; it is not a file of format {format.name}"
            )
        self._places = {name: places[0] for name, places in found.items() if places}
        self._again = [(name, places[0], each) for name, places in found.items() for each in places[1:]]
        for name, places in found.items():
            if not places and (near := _near(columns, name, heading)):
                lines.notes.append(f"there is no column {name}; {near!r} is not read")

    def rows(self) -> Iterator[Row[dict[str, str]]]:
        """Every row that says anything, with the fault that it has as a row, if any."""
        number = 0
        for line, fields, fault in self._records():
            if fault is None and not any(map(stripped, fields)):
                self._lines.blank += 1
                continue
            number += 1
            yield Row(number, line, self._content(fields), fault or self._fault(fields))

    def _content(self, fields: Sequence[str]) -> dict[str, str]:
        return {name: _plain(fields[at]) for name, at in self._places.items() if at < len(fields)}

    def _fault(self, fields: Sequence[str]) -> Broken | None:
        for name, one, other in self._again:
            first, second = fields[one].strip(), fields[other].strip()
            if second and first != second:
                return Broken(name, f"stands in columns {one + 1} and {other + 1}, which differ")
        return None

    def _records(self) -> Iterator[tuple[int, list[str], Broken | None]]:
        """(First line, fields, fault) of each."""
        while (begun := self._lines.take()) is not None:
            line = self._lines.number
            try:
                taken, fields = _record(self._lines, begun, self._delimiter, self._most)
                fault = self._unfit(fields)
                if fault and any(map(self._may_be_row, taken[1:])):
                    raise _Resume(fault, taken, fields)
                if any(map(self._is_like_row, taken[1:])):
                    raise _Resume(Broken("record", "a quoted field holds what looks like another row"), taken, fields)
            except _Resume as cut:
                self._lines.give_back(cut.taken[1:])
                taken, fields, fault = cut.taken[:1], cut.fields, cut.fault
            fault = next(filter(None, map(self._undecoded, taken)), fault)
            self._lines.continuation += len(taken) - 1
            yield line, fields, fault

    def _unfit(self, fields: list[str]) -> Broken | None:
        if not any(map(stripped, fields)):
            return None
        if len(fields) < self._least:
            return Broken("record", "has fewer fields than the heading")
        if len(fields) not in (self._least, self._most) or any(map(stripped, fields[self._least :])):
            return Broken("record", "has more fields than the heading")
        return None

    def _empty_behind(self) -> int:
        """How many fields a row has where most have empty ones behind those of the heading, as Excel writes them.

        One more in a single row is a delimiter inside a field: there all that follows would be taken for its neighbour.
        """
        looked = list(islice(iter(self._lines.take, None), _LOOK))
        self._lines.give_back(looked)
        rows = [line.rstrip("\r\n").split(self._delimiter) for line in looked if stripped(line) and '"' not in line]
        usual, times = next(iter(Counter(map(len, rows)).most_common(1)), (0, 0))
        empty = not any(stripped(field) for row in rows if len(row) == usual for field in row[self._least :])
        return usual if times > 1 and empty else 0

    def _may_be_row(self, line: str) -> bool:
        """Whether a line inside a row that does not fit may well be a row of its own, or begin one."""
        record = _Record(self._delimiter)
        try:
            return not record.add(line) or (any(map(stripped, record.fields)) and self._unfit(record.fields) is None)
        except Broken:
            return True

    def _is_like_row(self, line: str) -> bool:
        """Whether a line inside a row that fits is a row of its own all the same, or begins one: of two quotes that
        were lost, the one behind a field and the one before another, everything between them would make one field.
        """
        record = _Record(self._delimiter)
        try:
            fits = not record.add(line) or self._unfit(record.fields) is None
        except Broken:
            return False
        return fits and self._format.likely(self._content(record.fields))

    def _undecoded(self, text: str) -> Broken | None:
        rule = self._lines.encoding.broken(text)
        return None if rule is None else Broken("record", rule)


class _Resume(Exception):
    """The row is broken; reading is to go on at its second line."""

    def __init__(self, fault: Broken, taken: list[str], fields: list[str]) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.taken = taken
        self.fields = fields


class _Record:
    """A record as far as it has been read."""

    def __init__(self, delimiter: str) -> None:
        self.fields: list[str] = []
        self._delimiter = delimiter
        self._text = ""
        self._at = 0
        """Where the field begins that is being read."""
        self._lines = 0
        """That this field has."""
        self._first = True
        """Whether the line is the record's first."""

    def add(self, line: str) -> bool:
        """Reads on; whether the record is complete with this line. Raises `Broken`."""
        if len(line) > LONGEST:
            raise Broken("record", f"has a line longer than {LONGEST:,} characters")
        self._text, self._at = self._text[self._at :], 0
        unread, self._text = len(self._text), self._text + line
        end = len(self._text) - len(line) + len(line.rstrip("\r\n"))
        self._lines += 1
        while True:
            if not self._text.startswith('"', self._at):
                stop = self._text.find(self._delimiter, self._at, end)
                field = self._text[self._at : stop if stop >= 0 else end]
                if '"' in field and not self._first:
                    raise Broken("record", "a quote stands in a field without quotes, behind one of several lines")
                self._take(field)
                if stop < 0:
                    return True
                self._at = stop + 1
                continue
            closing = self._closing(max(unread, self._at + 1))
            if closing < 0:
                self._still_open()
                self._first = False
                return False
            self._take(self._text[self._at + 1 : closing].replace('""', '"'))
            self._at, self._lines = closing + 2, 1
            if closing + 1 == end:
                return True
            if self._text[closing + 1] != self._delimiter:
                raise Broken("record", "a quoted field goes on behind its closing quote")

    def _closing(self, start: int) -> int:
        """Where the next quote stands that is not doubled; -1: not in what has been read."""
        text = self._text
        while (at := text.find('"', start)) >= 0 and text.startswith('"', at + 1):
            start = at + 2
        return at

    def _take(self, field: str) -> None:
        if len(field) > FIELD:
            raise Broken("record", f"has a field longer than {FIELD:,} characters")
        self.fields.append(field)

    def _still_open(self) -> None:
        if self._lines >= SPAN:
            raise Broken("record", f"a quote is opened and not closed within {SPAN} lines")
        if len(self._text) - self._at - 1 > FIELD:
            raise Broken("record", f"a quote is opened and not closed within {FIELD:,} characters")


def _record(lines: Lines, begun: str, delimiter: str, most: int) -> tuple[list[str], list[str]]:
    """The lines of the record that begins with this one, and its fields. Raises `_Resume` where it has no end."""
    begun = begun.lstrip("\ufeff")
    if '"' not in begun and len(begun) <= FIELD:
        return [begun], begun.rstrip("\r\n").split(delimiter)
    record, taken = _Record(delimiter), [begun]
    try:
        while not record.add(taken[-1]):
            if len(record.fields) >= most:
                raise Broken("record", "has more fields than the heading")
            if len(taken) == LINES:
                raise Broken("record", f"goes over more than {LINES} lines")
            if (line := lines.take()) is None:
                raise Broken("record", "a quote is opened and never closed")
            taken.append(line)
    except Broken as fault:
        raise _Resume(fault, taken, record.fields) from None
    return taken, record.fields


def _heading(lines: Lines) -> tuple[str, list[str]]:
    """The delimiter and the names. Raises `Unreadable`."""
    delimiters = DELIMITERS
    while (begun := lines.take()) is not None:
        if not stripped(begun).strip(DELIMITERS):
            lines.blank += 1
        elif sep := _SEP.fullmatch(begun.strip("\ufeff\r\n")):
            lines.heading += 1
            delimiters = sep[1]
        else:
            break
    else:
        raise Unreadable(f"{lines.path} is empty")
    at = lines.number
    if rule := lines.encoding.broken(begun):
        raise Unreadable(f"{lines.path}, line {at}: {rule}")
    found: list[tuple[str, list[str], list[str]]] = []
    fault: Broken | None = None
    for delimiter in delimiters:
        try:
            taken, fields = _record(lines, begun, delimiter, LONGEST)
            found.append((delimiter, taken, fields))
        except _Resume as cut:
            taken, fault = cut.taken, fault or cut.fault
        lines.give_back(taken[1:])
    if not found:
        raise Unreadable(f"{lines.path}, line {at}: {fault and fault.rule}")
    delimiter, taken, fields = max(found, key=lambda one: len(one[2]))
    for _ in taken[1:]:
        lines.take()
    lines.heading += len(taken)
    return delimiter, [" ".join(stripped(name).split()) for name in fields]


def _places(heading: Sequence[str], names: Sequence[str]) -> list[int]:
    """Where the column stands under the first of its names that the heading has."""
    known = [_key(name) for name in heading]
    name = next((name for name in map(_key, names) if name in known), None)
    return [at for at, key in enumerate(known) if key == name]


def _key(name: str) -> str:
    return _NO_NAME.sub("", name.casefold())


def _near(columns: Columns, name: str, heading: Sequence[str]) -> str | None:
    """The name in the heading that may have been meant, none of those that are known for another column."""
    known = {_key(each) for own, others in columns.items() for each in (own, *others)}
    free = {_key(each): each for each in heading if each and _key(each) not in known}
    for wanted in (name, *columns[name]):
        if close := get_close_matches(_key(wanted), free, n=1, cutoff=0.75):
            return free[close[0]]
    return None


def _lacks(missing: Sequence[str], columns: Columns, heading: Sequence[str]) -> str:
    words = [f"has no column {', '.join(missing)}"]
    for name in missing:
        if columns[name]:
            words.append(f"{name} may also be called {' or '.join(map(repr, columns[name]))}")
        if near := _near(columns, name, heading):
            words.append(f"{name}: the nearest is {near[:40]!r}")
    more = f" and {len(heading) - _SHOWN} more" if len(heading) > _SHOWN else ""
    return "; ".join((*words, f"found: {', '.join(repr(name[:40]) for name in heading[:_SHOWN])}{more}"))


def _plain(field: str) -> str:
    kept = _TEXT.fullmatch(field) if field.startswith('="') else None
    return kept[1] if kept else field
