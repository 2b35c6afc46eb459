"""What the logs of a stack say of a process that failed: the end of its log, the line that tells why, how it ended.

Services and Kafka write JSON lines; PostgreSQL, Python's tracebacks and the process manager write plain text.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

_BYTES = 64_000
_LONGEST = 400
_SEVERE = ("WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "PANIC")
_SEVERE_WORD = re.compile(rf"\b({'|'.join(_SEVERE)})\b")
_BETWEEN = ("Traceback (most recent call last)", "During handling of the above", "The above exception was")
_SAYS_NOTHING = (
    "Application startup failed. Exiting.",
    "SystemExit",
    "For further information visit",
    "the database system is starting up",
)
_DATED = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
"""In UTC: of the services' and Kafka's entries, and of PostgreSQL's lines."""
_DATE_WITHIN = 40


def tail(log: Path, lines: int = 12) -> str:
    """The end of a log file, introduced by its name; long lines cut."""
    if not log.exists():
        return f"no log at {log}"
    return "\n".join([f"the end of {log}:", *(f"  {line[:_LONGEST]}" for line in _last(log)[-lines:])])


def telling(log: Path, since: float = 0, *, ended: bool = True) -> str | None:
    """The last warning, error or traceback of a log in one line, with its instant where it has one.

    Of a program that `ended` bare words count as well, as when it refuses to start. What was written before `since`
    (POSIX seconds) does not count. None where nothing of the kind was written.
    """
    lines = [line for line in _last(log) if line.strip()]
    if not lines or log.stat().st_mtime < since:
        return None
    end = len(lines)
    while end and _instant(lines[end - 1]) >= since:
        entry = _entry(lines[end - 1])
        if entry is None:
            start = next((at for at in range(end, 0, -1) if _entry(lines[at - 1]) is not None), 0)
            if said := _of_text([line for line in lines[start:end] if _instant(line) >= since], ended=ended):
                return said[:_LONGEST]
            end = start
            continue
        if entry.get("level") in _SEVERE and (said := _of_entry(entry)):
            return said[:_LONGEST]
        end -= 1
    return None


def ending(manager_log: Path, name: str) -> str | None:
    """How the process last ended by itself: `exit status 1`, `terminated by SIGKILL`. None if it never did."""
    ended = re.compile(rf"exited: {re.escape(name)} \((.*?)(?:; (?:not )?expected)?\)$")
    found = [match[1] for line in _last(manager_log) if (match := ended.search(line))]
    return found[-1] if found else None


def _last(log: Path) -> list[str]:
    """The whole lines at the end of the file."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        start = max(0, log.stat().st_size - _BYTES)
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return lines[1:] if start and len(lines) > 1 else lines


def _entry(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "message" in entry else None


def _instant(line: str) -> float:
    """When the line was written, POSIX seconds; of a line that does not say, after everything."""
    found = _DATED.search(line[:_DATE_WITHIN])
    return datetime.fromisoformat(f"{found[0]}+00:00").timestamp() if found else math.inf


def _of_entry(entry: dict[str, Any]) -> str:
    """Empty where it says nothing of use."""
    message = str(entry["message"]).strip()
    if any(phrase in message for phrase in _SAYS_NOTHING):
        return ""
    trace = str(entry.get("exception") or entry.get("error") or "").splitlines()
    lines = message.splitlines()
    if _is_traceback(lines):
        lines, trace = [], lines
    said = ": ".join(part for part in (lines[0] if lines else "", _exception(trace)) if part)
    instant = str(entry.get("time") or entry.get("at") or "")[:19]
    return f"{instant}Z {said}" if instant else said


def _of_text(lines: Sequence[str], *, ended: bool) -> str:
    """Empty where it says nothing of use."""
    if _is_traceback(lines):
        return _exception(lines)
    meant = [line for line in lines[-10:] if not any(phrase in line for phrase in _SAYS_NOTHING)]
    severe = [line for line in meant if _SEVERE_WORD.search(line)]
    bare = [line for line in meant if ended and not _DATED.search(line[:_DATE_WITHIN])]
    return (severe or bare or [""])[-1].strip()


def _is_traceback(lines: Sequence[str]) -> bool:
    return any(line.startswith("Traceback (most recent call last)") for line in lines)


def _exception(lines: Sequence[str]) -> str:
    """The last exception of a traceback with the lines of its text; of anything else, as Java's, the first line."""
    if not _is_traceback(lines):
        return lines[0].strip() if lines else ""
    found: list[list[str]] = []
    inside = False
    for line in lines:
        if line.startswith(_BETWEEN) or not line.strip():
            inside = False
        elif inside:
            found[-1].append(line.strip())
        elif not line.startswith(" "):
            found.append([line.strip()])
            inside = True
    meant = [text for text in found if not text[0].startswith(_SAYS_NOTHING)]
    return " ".join(line for line in (meant or found or [[]])[-1][:4] if not line.startswith(_SAYS_NOTHING))
