"""PostgreSQL: a pool that waits for the server, and transactions whose COMMIT survives task cancellation."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from chassis.retry import NotNow

R = TypeVar("R")
Connection = asyncpg.pool.PoolConnectionProxy
Row = asyncpg.Record

log = logging.getLogger(__name__)

TRANSIENT_ERRORS = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that died in the middle of something
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.OperatorInterventionError,  # shutdown, crash recovery, cannot connect now
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,  # of a server that has become a standby
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # the schema is not there yet
    asyncpg.InvalidSchemaNameError,
)
"""Errors of the network or the server, not of a record: the same work may succeed on another try."""


class Conflict(Exception):
    """Another writer appended to one of the streams in the meantime; nothing was written."""


class Database:
    """A pool of connections to one service's schema, opened when the server answers."""

    def __init__(self, url: str, schema: str, *, size: int) -> None:
        self._url = url
        self._schema = schema
        self._size = size
        self._pool: asyncpg.Pool | None = None

    async def connect(self) -> asyncpg.Connection:
        """A connection outside the pool, for a lock or for LISTEN; the caller closes it."""
        return await asyncpg.connect(
            self._url, server_settings={"search_path": self._schema, "application_name": self._schema}, timeout=10
        )

    async def open(self) -> None:
        """Opens the pool. Raises one of `TRANSIENT_ERRORS` while the server or the schema is not there."""
        if self._pool is not None:
            return
        pool = await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=self._size,
            server_settings={"search_path": self._schema, "application_name": self._schema},
            timeout=10,
            command_timeout=60,
        )
        try:
            await pool.execute("SELECT 1 FROM migrations LIMIT 1")
        except BaseException:
            await pool.close()
            raise
        self._pool = pool

    async def close(self) -> None:
        """Closes the pool; waits at most five seconds for running queries."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            await asyncio.wait_for(pool.close(), 5)
        except TimeoutError:
            pool.terminate()

    @property
    def pool(self) -> asyncpg.Pool:
        """The open pool; `NotNow` while the database has not been reached yet."""
        if self._pool is None:
            raise NotNow("the database has not been reached yet")
        return self._pool

    async def transact(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Runs `work` in one transaction. A cancelled caller waits until the transaction has ended, because the outcome
        of an interrupted COMMIT would be unknown.
        """

        async def run() -> R:
            async with self.pool.acquire() as connection, connection.transaction():
                return await work(connection)

        task = asyncio.ensure_future(run())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            if not task.cancelled() and (fault := task.exception()) is not None:
                log.warning("a cancelled transaction had failed: %s", fault)
            raise

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of a query outside any transaction."""
        return await self.pool.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a query outside any transaction."""
        return await self.pool.fetchrow(query, *arguments)
