"""Reads the log: records as they were stored, the events of a case, and cases folded from it."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from chassis.kafka.records import headers_from_text
from chassis.store.database import Connection, Database
from contracts.envelope import AnyEvent
from contracts.fields import FROM
from contracts.reading import ACCESS_VALID
from contracts.wire import TOPICS, reread
from services.audit.domain.case import Case, fold
from services.audit.domain.chain import LoggedEvent
from services.audit.domain.summaries import summary

SIZE = "SELECT coalesce(max(index), -1) + 1 FROM log"
"""The number of records, which is the next index."""

_COLUMNS = """index, topic, partition, "offset", key, headers, body, stored_at, valid, invalidity, reason, source,
event_id, case_id, type, kind, time, recorded_time, sequence, causation_id, actor, answers, settles, duplicate_of,
reread_of"""

_FROM_INDEX = f"SELECT {_COLUMNS} FROM log WHERE index >= $1 ORDER BY index LIMIT $2"
_AT_INDEX = f"SELECT {_COLUMNS} FROM log WHERE index = $1"
_OF_CASE = f"SELECT {_COLUMNS} FROM log WHERE case_id = $1 AND index > $2 ORDER BY index LIMIT $3"
_EVENTS = f"""
SELECT index, topic, partition, "offset", stored_at, body FROM log
 WHERE case_id = $1 AND valid AND duplicate_of IS NULL
   AND ($2::timestamptz IS NULL OR time <= $2 OR topic LIKE '{FROM}%')
 ORDER BY index
"""
_ACCESSES = """
SELECT topic, body FROM log a
 WHERE case_id = $1 AND valid AND topic = 'Progressed' AND kind = 'accessed' AND actor = $2 AND time > $3 AND time <= $4
   AND NOT EXISTS (
       SELECT FROM (SELECT convert_from(body, 'UTF8')::jsonb -> 'data' AS data FROM log
                     WHERE case_id = $1 AND valid AND topic = 'Progressed' AND kind = 'forged') f
        WHERE data ->> 'forged_topic' = a.topic AND (data ->> 'partition')::integer = a.partition
          AND (data ->> 'offset')::bigint = a."offset")
"""
_FACTS = """
SELECT index, topic, case_id, body FROM log
 WHERE case_id = ANY($1::text[]) AND topic = ANY($2::text[]) AND duplicate_of IS NULL AND valid
   AND ($3::timestamptz IS NULL OR time <= $3)
 ORDER BY case_id, index
"""


async def accessed(database: Database, case_id: str, subject: str, now: datetime) -> bool:
    """Whether a service has granted somebody access to the case that has not expired.

    Nobody is let in by a step that its service calls forged, that lies ahead, or for longer than an access lasts.
    """
    rows = await database.fetch(_ACCESSES, case_id, subject, now - ACCESS_VALID, now)
    steps = [reread(row["topic"], row["body"]) for row in rows]
    return any(now < min(step.data.until, step.time + ACCESS_VALID) for step in steps)


async def size(database: Database) -> int:
    """The number of records, which is the next index."""
    return (await database.fetch(SIZE))[0][0]


async def from_index(database: Database, first: int, limit: int) -> list[dict[str, Any]]:
    """Records from that index on."""
    return [_item(row) for row in await database.fetch(_FROM_INDEX, first, limit)]


async def at_index(database: Database, index: int) -> dict[str, Any] | None:
    """The record at that index."""
    row = await database.fetchrow(_AT_INDEX, index)
    return None if row is None else _item(row)


async def of_case(database: Database, case_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Every record with this case id, invalid ones and duplicates too, behind the index `after`."""
    return [_item(row) for row in await database.fetch(_OF_CASE, case_id, after, limit)]


async def events_of(database: Database, case_id: str, at: datetime | None) -> list[LoggedEvent]:
    """The events of a case in the log's order, each once; with `at`, those whose own time is not later.

    Partners' requests are among them whatever `at`, because their own time is a claim.
    """
    return [
        LoggedEvent(
            row["index"],
            reread(row["topic"], row["body"]),
            row["topic"],
            row["partition"],
            row["offset"],
            row["stored_at"],
            row["body"],
        )
        for row in await database.fetch(_EVENTS, case_id, at)
    ]


async def folded(
    source: Database | Connection, case_ids: Sequence[str], at: datetime | None = None
) -> Mapping[str, Case]:
    """The cases folded from the log alone: every fact once, in the log's order; with `at`, those not later."""
    facts: dict[str, list[tuple[AnyEvent, int]]] = {}
    for row in await source.fetch(_FACTS, case_ids, TOPICS, at):
        facts.setdefault(row["case_id"], []).append((reread(row["topic"], row["body"]), row["index"]))
    cases = {case_id: fold(found) for case_id, found in facts.items()}
    return {case_id: case for case_id, case in cases.items() if case is not None}


def _item(row: asyncpg.Record) -> dict[str, Any]:
    item = dict(row)
    body, key = item.pop("body"), item.pop("key")
    item["key_base64"] = _base64(key)
    item["headers"] = [_header(*header) for header in headers_from_text(row["headers"])[0]]
    item["body_base64"] = _base64(body)
    item["summary"] = summary(reread(row["topic"], body)) if row["valid"] else None
    return item


def _header(name: str, value: bytes | None) -> Sequence[str | None]:
    raw = name.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "replace")
    return (name, _base64(value)) if text == name else (text, _base64(value), _base64(raw))


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
