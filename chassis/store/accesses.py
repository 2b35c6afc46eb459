"""Exceptional accesses: who may read which case until when, beyond what the rule allows.

Each is a step of the case (`accessed`), which stays; the row only finds it, and is worth nothing once it has expired.
"""

from datetime import datetime

from chassis.store.database import Connection, Database

_GRANT = """
INSERT INTO accesses (subject, stream_id, until) VALUES ($1, $2, $3)
ON CONFLICT (subject, stream_id) DO UPDATE SET until = excluded.until WHERE accesses.until <= $4 RETURNING true
"""


async def grant(connection: Connection, subject: str, stream_id: str, now: datetime, until: datetime) -> bool:
    """Notes that somebody may read a case until then; False, and nothing is noted, if they may already."""
    return await connection.fetchval(_GRANT, subject, stream_id, until, now) is not None


async def valid(database: Database, subject: str, stream_id: str, now: datetime) -> bool:
    """Whether somebody may read a case by an access that has not expired."""
    query = "SELECT true FROM accesses WHERE subject = $1 AND stream_id = $2 AND until > $3"
    return await database.fetchrow(query, subject, stream_id, now) is not None
