"""Reading the log: records as they were stored, and the chain of a case."""

import base64
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.database import Database
from contracts.wire import parse
from services.audit.domain.chain import Entry
from services.audit.domain.words import words

_COLUMNS = """index, topic, partition, "offset", key, headers, body, stored_at, valid, reason, source, event_id,
case_id, type, kind, time, recorded_time, sequence, causation_id, actor, settles, duplicate_of"""

_FROM = f"SELECT {_COLUMNS} FROM log WHERE index >= $1 ORDER BY index LIMIT $2"
_ONE = f"SELECT {_COLUMNS} FROM log WHERE index = $1"
_OF_CASE = f"SELECT {_COLUMNS} FROM log WHERE case_id = $1 AND index > $2 ORDER BY index LIMIT $3"
_EVENTS = """
SELECT index, topic, partition, "offset", stored_at, valid, reason, body FROM log l
 WHERE case_id = $1 AND time IS NOT NULL AND duplicate_of IS NULL AND l.counts
   AND ($2::timestamptz IS NULL OR time <= $2)
 ORDER BY index
"""


async def size(database: Database) -> int:
    """The number of records, which is the next index."""
    return (await database.fetch("SELECT coalesce(max(index), -1) + 1 FROM log"))[0][0]


async def since(database: Database, index: int, limit: int) -> list[dict[str, Any]]:
    """Records from that index on."""
    return [_shown(row) for row in await database.fetch(_FROM, index, limit)]


async def one(database: Database, index: int) -> dict[str, Any] | None:
    """The record at that index."""
    row = await database.fetchrow(_ONE, index)
    return None if row is None else _shown(row)


async def of_case(database: Database, case_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Every record routed to a case or about it, valid or not, duplicates too, from behind that index."""
    return [_shown(row) for row in await database.fetch(_OF_CASE, case_id, after, limit)]


async def events(database: Database, case_id: str, at: datetime | None) -> list[Entry]:
    """The events that count for a case in the log's order, each once; with `at`, those that had happened by then."""
    found: dict[tuple[str, str], Entry] = {}
    for row in await database.fetch(_EVENTS, case_id, at):
        event = parse(row["topic"], row["body"])
        found.setdefault((event.source, event.id), _entry(row, event))
    return list(found.values())


def _entry(row: asyncpg.Record, event: Any) -> Entry:
    return Entry(
        row["index"],
        event,
        row["topic"],
        row["partition"],
        row["offset"],
        row["stored_at"],
        row["valid"],
        row["reason"],
        orjson.loads(row["body"])["data"],
    )


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    found = dict(row)
    body, key = found.pop("body"), found.pop("key")
    found["key_base64"] = _base64(key)
    found["headers"] = [
        (name, None if value is None else _base64(bytes.fromhex(value))) for name, value in orjson.loads(row["headers"])
    ]
    found["body_base64"] = _base64(body)
    # Only what was read when it came has a time; anything else has no words either.
    found["summary"] = words(parse(row["topic"], body)) if row["time"] is not None else None
    return found


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
