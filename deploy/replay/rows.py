"""A row of a file of real reports -> a report to be filed, or a reject that names the field and the rule."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

R = TypeVar("R")

TITLE = 500
"""The most characters of a title."""
TEXT = 20_000
"""The most characters of a text."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMERICAN = "%m/%d/%Y %I:%M:%S %p"

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
    place: Mapping[str, Any] = field(default_factory=dict)
    """As intake takes it: point, address."""
    ended_at: datetime | None = None
    """None: unknown, or it has not ended."""
    open: bool = False
    """It had not ended when the file was made."""
    closing_words: str | None = None
    notes: tuple[str, ...] = ()
    """What is wrong or missing, and how it was taken."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not filed."""

    row: int
    external_id: str | None
    field: str
    rule: str


def reports(
    rows: Iterable[tuple[int, R]], identify: Callable[[R], str | None], adapt: Callable[[int, R], Report]
) -> Iterator[Report | Reject]:
    """Every row's report or reject, in the file's order; a number that an earlier row had is a reject."""
    seen: dict[str, int] = {}
    for number, row in rows:
        external_id = identify(row)
        try:
            report = adapt(number, row)
        except Broken as fault:
            yield Reject(number, external_id, fault.field, fault.rule)
            continue
        before = seen.setdefault(report.external_id, number)
        if before == number:
            yield report
        else:
            yield Reject(number, external_id, "id", f"row {before} has the same number")


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
        at = datetime.strptime(text, _AMERICAN).replace(tzinfo=zone)
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC)
