"""Whether a service could write now: a server that answers reads may have a table locked, or no room left.

Nothing is written for it while writes succeed. What has failed for want of room is tried with a page of a temporary
table, which lies on the same disk and leaves nothing behind.
"""

import asyncpg

from chassis.store.transaction import Connection

LACKING = (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError)
"""Errors of a write after which it is asked whether there is room again."""

_LOCK_MS = 1_000
_TABLES = """
SELECT string_agg(quote_ident(relname), ', ' ORDER BY relname) FROM pg_class
 WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'INSERT')
"""
_PAGE = (
    "CREATE TEMPORARY TABLE room ON COMMIT DROP AS SELECT repeat(md5(random()::text), 60) FROM generate_series(1, 8)"
)


async def require_writable(connection: Connection, *, room: bool) -> None:
    """Raises what the server refuses a write with, or a lock within a second; with `room` also a new page."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MS}")
        tables = await connection.fetchval(_TABLES)
        if tables is not None:
            await connection.execute(f"LOCK TABLE {tables} IN ROW EXCLUSIVE MODE")
        if room:
            await connection.execute(_PAGE)
