"""Citizens' messages to a Chinese city as JSON lines: title, text, time, the official reply and its time.

A message says in its words where and what; it has no coordinates and no category, so people locate it, and where the
words do not suffice they classify it, too. The reply's time is when it was settled.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from deploy.replay.district import District
from deploy.replay.lines import LONGEST, Lines, stripped
from deploy.replay.reading import How, Reading
from deploy.replay.reading import read as read_file
from deploy.replay.rows import TEXT, TITLE, Broken, Report, Row, Unreadable, end, instant, required

NAME = "messages"
ZONE = ZoneInfo("Asia/Shanghai")
PLACES = "The messages have no coordinates: a simulated acceptor gives each a grid of the reference district by hash."
NO_TITLE = "no title: the text's beginning is taken"
LONG_TEXT = "a text of more than 20,000 characters: its beginning is taken"
NO_REPLY = "no reply: settled without words"
_HEADLINE = 60
_LOOK = 100
"""Lines at the beginning of which one must begin an object."""


_Message = dict[str, Any]


def read(path: Path, district: District, now: datetime, how: How | None = None) -> Reading:
    """The lines of the file. Raises `Unreadable`."""
    return read_file(path, how or How(), _rows, _external_id, partial(_adapt, now))


def _rows(lines: Lines) -> Iterator[Row[_Message]]:
    _require_messages(lines)
    while (line := lines.take()) is not None:
        text = stripped(line)
        if not text:
            lines.blank += 1
            continue
        try:
            if rule := lines.encoding.broken(line):
                raise Broken("record", rule)
            yield Row(lines.number, lines.number, _parsed(text))
        except Broken as fault:
            yield Row(lines.number, lines.number, {}, fault)


def _require_messages(lines: Lines) -> None:
    """Raises `Unreadable` where none of the first lines begins an object: one that is broken may be the first."""
    looked: list[str] = []
    for line in iter(lines.take, None):
        looked.append(line)
        if stripped(line).startswith("{"):
            break
        if len(looked) == _LOOK:
            break
    lines.give_back(looked)
    if not any(map(stripped, looked)):
        raise Unreadable(f"{lines.path} is empty")
    if not stripped(looked[-1]).startswith("{"):
        raise Unreadable(
            f"{lines.path} has no JSON object among its first {len(looked)} lines: it is not a file of format {NAME},"
            " which has one object on each line"
        )


def _adapt(now: datetime, row: Row[_Message]) -> Report:
    message = row.content
    key = required("id", _number(message.get("id")))
    reported_at = instant("time", message.get("time"), ZONE, now)
    title, text = _words(message, "title"), _words(message, "text")
    if not title and not text:
        raise Broken("text", "is required where there is no title")
    ended_at, ended = end(message.get("reply_time"), ZONE, reported_at, now)
    reply = _words(message, "reply")
    notes = (
        None if title else NO_TITLE,
        LONG_TEXT if len(text) > TEXT else None,
        ended,
        None if reply else NO_REPLY,
    )
    return Report(
        row=row.number,
        line=row.line,
        external_id=key,
        title=(title or " ".join(text.split())[:_HEADLINE])[:TITLE],
        text=text[:TEXT],
        channel="citizen",
        reported_at=reported_at,
        ended_at=ended_at,
        closing_words=reply[:TEXT] or None,
        notes=tuple(note for note in notes if note),
    )


def _parsed(text: str) -> _Message:
    if len(text) > LONGEST:
        raise Broken("record", f"is longer than {LONGEST:,} characters")
    try:
        message = json.loads(text)
    except ValueError as fault:
        raise Broken("record", f"is not JSON: {fault}") from None
    except RecursionError:
        raise Broken("record", "is not JSON that can be read: too many objects and lists stand in each other") from None
    if not isinstance(message, dict):
        raise Broken("record", f"must be a JSON object, is {type(message).__name__}")
    return message


def _external_id(message: _Message) -> str | None:
    number = _number(message.get("id"))
    return number.strip() or None if isinstance(number, str) else None


def _number(value: Any) -> Any:
    """The message's own number as text, whether it was written as a text or as a whole number."""
    return str(value) if type(value) is int else value


def _words(message: _Message, name: str) -> str:
    value = message.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Broken(name, f"must be a text, is {type(value).__name__}")
    return value.strip()
