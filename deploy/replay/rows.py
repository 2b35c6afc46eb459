"""A row of a file of real reports -> a report to be filed, or a reject that names the field and the rule."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

R = TypeVar("R")

TITLE = 500
"""The most characters of a title."""
TEXT = 20_000
"""The most characters of a text."""
REFERENCE = 150
"""The most characters of a row's own number: `external_ref` takes 200, and the run's name stands before it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMERICAN = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")
"""New York's way, and what Excel makes of it."""
_UNKEPT = re.compile(r"[\0\ud800-\udfff]")
"""Characters that no service keeps: NUL, and halves of a surrogate pair."""

ENDED_BEFORE = "it ended before it was reported: the end is taken as unknown"
ENDED_LATER = "it ends in the future: the end is taken as unknown"
END_UNREADABLE = "its end is not readable: taken as unknown"
NO_END = "its end is not known"


class Unreadable(Exception):
    """The file is not of that format at all; the message says why."""


class Broken(ValueError):
    """A row that cannot be filed: `field` and the rule it breaks."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class Row(NamedTuple, Generic[R]):
    """One row of a file: `number` counts from 1, without the heading, `line` is the physical line it begins at."""

    number: int
    line: int
    content: R
    fault: Broken | None = None
    """Why it cannot be used, whatever it says; `content` may be incomplete then."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a row says. `row` counts from 1, without the heading; instants are in UTC."""

    row: int
    external_id: str
    title: str
    text: str
    channel: str
    reported_at: datetime
    category: str | None = None
    place: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """As intake takes it: point, address."""
    ended_at: datetime | None = None
    """None: unknown, or it has not ended."""
    open: bool = False
    """It had not ended when the file was made."""
    closing_words: str | None = None
    notes: tuple[str, ...] = ()
    """What is wrong or missing, and how it was taken."""
    line: int = 0
    """Of the file, where the row begins."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not filed."""

    row: int
    external_id: str | None
    field: str
    rule: str
    line: int = dataclasses.field(default=0, compare=False)
    """Of the file, where the row begins. `row` tells it from others."""


def reports(
    rows: Iterable[Row[R]], identify: Callable[[R], str | None], adapt: Callable[[Row[R]], Report]
) -> Iterator[Report | Reject]:
    """Every row's report or reject, in the file's order; a number that an earlier row had is a reject."""
    seen: dict[str, int] = {}
    for row in rows:
        try:
            if row.fault:
                raise row.fault
            report = adapt(row)
            _require_kept(report)
        except Broken as fault:
            yield Reject(row.number, _shown(identify(row.content)), fault.field, fault.rule, row.line)
            continue
        before = seen.setdefault(report.external_id, row.number)
        if before == row.number:
            yield report
        else:
            yield Reject(row.number, report.external_id, "id", f"row {before} has the same number", row.line)


def _require_kept(report: Report) -> None:
    """Raises `Broken` where a service would refuse a text of the report, now or at a later step of its case."""
    if len(report.external_id) > REFERENCE:
        raise Broken("id", f"is longer than {REFERENCE} characters")
    texts = ("external_id", "title", "text", "closing_words")
    for name, text in (*((name, getattr(report, name)) for name in texts), ("address", report.place.get("address"))):
        if text and (found := _UNKEPT.search(text)):
            raise Broken(name, f"holds the character U+{ord(found[0]):04X}, which no service keeps")


def _shown(external_id: str | None) -> str | None:
    """As it can be written to a file and shown."""
    return external_id and external_id[:REFERENCE].encode("utf-8", "backslashreplace").decode()


def required(name: str, value: Any) -> str:
    """A text that must not be blank. Raises `Broken`."""
    if value is None or value == "":
        raise Broken(name, "is required")
    if not isinstance(value, str):
        raise Broken(name, f"must be a text, is {type(value).__name__}")
    if not value.strip():
        raise Broken(name, "is required")
    return value.strip()


def instant(name: str, value: Any, zone: ZoneInfo, now: datetime) -> datetime:
    """A local time as an instant; one with an offset of its own keeps it. Raises `Broken`."""
    text = required(name, value)
    try:
        at = _read(text, zone)
    except (ValueError, OverflowError):
        raise Broken(name, f"is not a time: {text[:40]!r}") from None
    if at < _EPOCH:
        raise Broken(name, f"lies before 1970: {text[:40]!r}")
    if at > now:
        raise Broken(name, f"lies in the future: {text[:40]!r}")
    return at


def is_time(value: str | None, zone: ZoneInfo) -> bool:
    """Whether it can be read as a time at all."""
    try:
        return value is not None and bool(_read(value.strip(), zone))
    except (ValueError, OverflowError):
        return False


def end(value: Any, zone: ZoneInfo, since: datetime, now: datetime) -> tuple[datetime | None, str | None]:
    """When it ended, and what is to be noted; a time that cannot be makes the end unknown, not the report untrue."""
    if not isinstance(value, str) or not value.strip():
        return None, NO_END
    try:
        at = _read(value.strip(), zone)
    except (ValueError, OverflowError):
        return None, END_UNREADABLE
    if at < since:
        return None, ENDED_BEFORE
    if at > now:
        return None, ENDED_LATER
    return at, None


def _read(text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = _american(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC)


def _american(text: str) -> datetime:
    for written in _AMERICAN:
        with suppress(ValueError):
            return datetime.strptime(text, written)  # noqa: DTZ007  local, as there
    raise ValueError(text)
