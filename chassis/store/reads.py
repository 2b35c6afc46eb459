"""The table of what was read: who read the bytes of which records, and when."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import asyncpg

from chassis.store.conditions import Conditions
from chassis.store.database import Connection, Database

_INSERT = """
INSERT INTO reads (reader, route, case_id, reporter_ref, first, last, coordinates, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_COLUMNS = "read_id, read_at, reader, route, case_id, reporter_ref, first, last, coordinates, reason"


@dataclass(frozen=True, slots=True)
class Read:
    """What is read in one request."""

    case_id: str | None = None
    reporter_ref: str | None = None
    first: int | None = None
    """Number of the first record: its index in the log, or that of a parked record."""
    last: int | None = None
    coordinates: str | None = None
    reason: str | None = None
    """Why a person was erased."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows a list holds."""

    reader: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, int] | None = None
    """Instant and number of the row after which the list goes on."""


async def record(source: Database | Connection, reader: str, route: str, read: Read) -> None:
    """Adds a row; on a database it is durable afterwards, on a connection with its transaction."""
    await source.fetch(_INSERT, reader, route, *astuple(read))


async def find(database: Database, wanted: Wanted, limit: int) -> Sequence[asyncpg.Record]:
    """At most so many rows, the newest first."""
    conditions = Conditions(limit)
    conditions.equals("reader", wanted.reader)
    conditions.add("read_at >= {0}", wanted.since)
    conditions.add("read_at < {0}", wanted.until)
    if wanted.before is not None:
        conditions.add("(read_at, read_id) < ({0}, {1})", *wanted.before)
    return await database.fetch(
        f"SELECT {_COLUMNS} FROM reads WHERE {conditions.where} ORDER BY read_at DESC, read_id DESC LIMIT $1",
        *conditions.arguments,
    )
