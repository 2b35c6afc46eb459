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
from deploy.replay.rows import TEXT, TITLE, Broken, Reject, Report, Unreadable, end, instant, reports, required

NAME = "messages"
ZONE = ZoneInfo("Asia/Shanghai")
PLACES = "The messages have no coordinates: a simulated acceptor gives each a grid of the reference district by hash."
NO_TITLE = "no title: the text's beginning is taken"
LONG_TEXT = "a text of more than 20,000 characters: its beginning is taken"
NO_REPLY = "no reply: settled without words"
_HEADLINE = 60


def read(path: Path, district: District, now: datetime) -> Iterator[Report | Reject]:
    """The lines of the file. Raises `Unreadable`, and OSError where it cannot be opened."""
    return reports(_lines(path), _number, partial(_adapt, now))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = True
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if first and not line.lstrip().startswith("{"):
                raise Unreadable(f"{path} does not begin with a JSON object: it is not a file of format {NAME}")
            first = False
            yield number, line


def _number(line: str) -> str | None:
    try:
        return _text_of(_parsed(line).get("id"))
    except Broken:
        return None


def _adapt(now: datetime, number: int, line: str) -> Report:
    message = _parsed(line)
    key = required("id", _text_of(message.get("id")))
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
        row=number,
        external_id=key,
        title=(title or " ".join(text.split())[:_HEADLINE])[:TITLE],
        text=text[:TEXT],
        channel="citizen",
        reported_at=reported_at,
        ended_at=ended_at,
        closing_words=reply[:TEXT] or None,
        notes=tuple(note for note in notes if note),
    )


def _parsed(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as fault:
        raise Broken("record", f"is not JSON: {fault}") from None
    if not isinstance(message, dict):
        raise Broken("record", f"must be a JSON object, is {type(message).__name__}")
    return message


def _text_of(value: Any) -> str | None:
    return None if value is None else str(value).strip() or None


def _words(message: dict[str, Any], name: str) -> str:
    value = message.get(name) or ""
    if not isinstance(value, str):
        raise Broken(name, f"must be a text, is {type(value).__name__}")
    return value.strip()
