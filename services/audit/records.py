"""Reading the log: records as they were stored, and the chain of a case."""

import base64
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.database import Database
from contracts.wire import read_json, reread
from services.audit.domain.chain import Entry
from services.audit.domain.words import words

_COLUMNS = """index, topic, partition, "offset", key, headers, body, stored_at, valid, invalidity, reason, source,
event_id, case_id, type, kind, time, recorded_time, sequence, causation_id, actor, answers, settles, duplicate_of"""

_FROM = f"SELECT {_COLUMNS} FROM log WHERE index >= $1 ORDER BY index LIMIT $2"
_ONE = f"SELECT {_COLUMNS} FROM log WHERE index = $1"
_OF_CASE = f"SELECT {_COLUMNS} FROM log WHERE case_id = $1 AND index > $2 ORDER BY index LIMIT $3"
_EVENTS = """
SELECT index, topic, partition, "offset", stored_at, body FROM log
 WHERE case_id = $1 AND valid AND duplicate_of IS NULL AND ($2::timestamptz IS NULL OR time <= $2)
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


async def known(database: Database, case_id: str) -> bool:
    """Whether there is any record routed to a case or about it."""
    return await database.fetchrow("SELECT 1 FROM log WHERE case_id = $1 LIMIT 1", case_id) is not None


async def events(database: Database, case_id: str, at: datetime | None) -> list[Entry]:
    """The events of a case in the log's order, each once; with `at`, those that had happened by then."""
    return [
        Entry(
            row["index"],
            reread(row["topic"], row["body"]),
            row["topic"],
            row["partition"],
            row["offset"],
            row["stored_at"],
            read_json(row["body"])["data"],
        )
        for row in await database.fetch(_EVENTS, case_id, at)
    ]


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    found = dict(row)
    body, key = found.pop("body"), found.pop("key")
    found["key_base64"] = _base64(key)
    found["headers"] = [
        (name, None if value is None else _base64(bytes.fromhex(value))) for name, value in orjson.loads(row["headers"])
    ]
    found["body_base64"] = _base64(body)
    found["summary"] = words(reread(row["topic"], body)) if row["valid"] else None
    return found


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
