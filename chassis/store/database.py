"""PostgreSQL: a pool that waits for the server, and transactions whose COMMIT survives task cancellation.

Nothing waits long for a server that hangs: chassis.store.watch ends it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from chassis.retry import NotNow, in_short
from chassis.store.migrations import REBUILDS, Migration, require
from chassis.store.transaction import Conflict, Connection, Transaction, transaction
from chassis.store.watch import SILENT, Silent, Watch, give_up, in_time
from chassis.store.writable import LACKING, require_writable

R = TypeVar("R")
Row = asyncpg.Record

log = logging.getLogger(__name__)

TRANSIENT_ERRORS = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that died in the middle of something
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.FeatureNotSupportedError,  # 0A: the server is older than it must be
    asyncpg.InvalidTransactionStateError,  # 25: a server that has become a standby, a transaction that idled too long
    asyncpg.InvalidSQLStatementNameError,  # 26: a prepared statement that a proxy has lost
    asyncpg.InvalidAuthorizationSpecificationError,  # 28
    asyncpg.InvalidCatalogNameError,  # 3D
    asyncpg.InvalidSchemaNameError,  # 3F
    asyncpg.TransactionRollbackError,  # 40: deadlock, serialization
    asyncpg.SyntaxOrAccessError,  # 42: a right, table or column that is not there, or not as this version needs it
    asyncpg.InsufficientResourcesError,  # 53: disk, memory, connections
    asyncpg.ObjectNotInPrerequisiteStateError,  # 55: a lock that was not given in time
    asyncpg.OperatorInterventionError,  # 57: shutdown, crash recovery, a statement that took too long
    asyncpg.PostgresSystemError,  # 58: the server's files
    asyncpg.ConfigFileError,  # F0
    asyncpg.InternalServerError,  # XX: a table or an index that is damaged
)
"""Errors of the network, the server or the schema, not of a record: the same work may succeed on another try.

PostgreSQL's are told apart by the class of their SQLSTATE, as its documentation has them (appendix A), each of which
asyncpg has one base class for. What is left is about what was to be written: 21, 22 (data), 23 (integrity), 54 (too
large), and P0, what a trigger of ours refuses.
"""


ROLLED_BACK = (asyncpg.TransactionRollbackError,)
"""Of these errors, those by which the server ends one of several transactions that stand in each other's way."""


DATABASE_ERRORS = (Conflict, asyncpg.PostgresError, *TRANSIENT_ERRORS)
"""Errors that end a transaction. Nothing of it is left, unless its connection was lost at the COMMIT: then that is not
known.
"""


async def _leave_as_it_is(_: Connection) -> None:
    """In place of asyncpg's reset of a session, which is a round trip after each use: nothing here changes a session.

    asyncpg itself has ended a transaction that was left open, and removed listeners.
    """


class _Use:
    """One use of a connection of the pool, in a task of its own."""

    def __init__(self, pool: asyncpg.Pool, watch: Watch, work: Callable[[Connection], Awaitable[Any]]) -> None:
        self._pool = pool
        self._watch = watch
        self._work = work
        self._connection: Connection | None = None
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> Any:
        with self._watch.over(self.end):
            async with self._pool.acquire() as connection:
                self._connection = connection
                return await self._work(connection)

    async def over(self) -> BaseException | None:
        """Waits until it is over, whatever comes of it; what it failed with."""
        await asyncio.wait([self.task])
        return None if self.task.cancelled() else self.task.exception()

    def end(self) -> None:
        """Ends it without waiting for the server, whether it has a connection yet or not."""
        if self._connection is None:
            self.task.cancel()
        else:
            with contextlib.suppress(asyncpg.InterfaceError):  # given back in this very moment
                self._connection.terminate()


class Database:
    """A pool of connections to one service's schema, opened when the server answers."""

    def __init__(
        self,
        url: str,
        schema: str,
        *,
        size: int,
        migrations: Sequence[Migration],
        statement_seconds: float | None = 60,
        password_file: Path | None = None,
    ) -> None:
        """`migrations` are those that this version knows. `statement_seconds` is how long a statement may take; None:
        as long as it takes, on the server, too. `password_file` holds the password where the URL has none.
        """
        self._url = url
        self._password_file = password_file
        self._schema = schema
        self._size = size
        self._migrations = tuple(migrations)
        self._statement_seconds = statement_seconds
        self._pool: asyncpg.Pool | None = None
        self._closed_because = "the database has not been reached yet"
        self._lacked = False
        """Whether a write has failed because the server lacked room, and it has not been asked again."""
        self._held_because: str | None = None
        self._watch = Watch(self._connect)
        self._watching: asyncio.Task[None] | None = None

    async def connect(self) -> asyncpg.Connection:
        """A connection outside the pool, for a lock or for LISTEN; the caller closes it, and watches its statements.
        Raises `NotNow` if the server hangs.
        """
        connecting = asyncio.ensure_future(self._connect())
        with self._watch.over(connecting.cancel):
            try:
                return await connecting
            except TimeoutError as fault:
                raise Silent(SILENT) from fault
            except asyncio.CancelledError:
                give_up(connecting)  # it may have been made in this very moment
                raise

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._url, **self._settings)

    async def watched(self, connection: asyncpg.Connection, statement: Awaitable[R]) -> R:
        """The outcome of a statement on a connection of `connect`. Raises `NotNow` if the server hangs."""
        with self._watch.over(connection.terminate):
            return await statement

    @property
    def _settings(self) -> dict[str, Any]:
        return {
            "server_settings": {
                "search_path": self._schema,
                "application_name": self._schema,
                REBUILDS: str(sum(migration.rebuilds for migration in self._migrations)),
                **({"statement_timeout": "0"} if self._statement_seconds is None else {}),
            },
            "timeout": 10,
            "command_timeout": self._statement_seconds,
            **({"password": self._password} if self._password_file else {}),
        }

    def _password(self) -> str:
        """Read anew for every connection, so that a new password needs no restart."""
        assert self._password_file is not None
        try:
            return self._password_file.read_text().strip()
        except OSError as fault:
            raise NotNow(f"DATABASE_PASSWORD_FILE can't be read: {fault.strerror}") from fault

    async def open(self, *, rebuilt: bool = True) -> None:
        """Opens the pool. Raises one of `TRANSIENT_ERRORS` while the server is not there, or the schema is not as this
        version needs it; with `rebuilt` false it may still be to be rebuilt.
        """
        if self._pool is not None:
            return
        try:
            await self._open(rebuilt)
        except TRANSIENT_ERRORS as fault:
            known = isinstance(fault, NotNow)
            self._closed_because = str(fault) if known else f"the database has not been reached yet: {in_short(fault)}"
            raise

    async def _open(self, rebuilt: bool) -> None:
        # Without a minimum: asyncpg would restore it on its own, and log each attempt while the server is away.
        pool = await asyncpg.create_pool(
            self._url, min_size=0, init_size=1, max_size=self._size, reset=_leave_as_it_is, **self._settings
        )
        watching = asyncio.create_task(self._watch.run(), name=f"{self._schema}-watch")
        try:
            await _Use(pool, self._watch, lambda one: require(one, self._migrations, rebuilt=rebuilt)).task
        except BaseException:
            watching.cancel()
            pool.terminate()
            raise
        self._pool, self._watching = pool, watching

    async def close(self) -> None:
        """Closes the pool; waits at most five seconds for running queries."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            await asyncio.wait_for(pool.close(), 5)
        except TimeoutError:
            pool.terminate()
        if self._watching is not None:
            self._watching.cancel()

    @property
    def pool(self) -> asyncpg.Pool:
        """The open pool, unwatched; `NotNow` that says why while there is none."""
        if self._pool is None:
            raise NotNow(self._closed_because)
        return self._pool

    async def transact(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Runs `work` in one transaction. A cancelled caller waits until the transaction has ended, because the outcome
        of an interrupted COMMIT would be unknown. Raises `NotNow` if the server hangs; then it is unknown, too.
        """

        async def run(connection: Connection) -> R:
            async with connection.transaction():
                return await work(connection)

        return await self._to_its_end(run)

    def hold(self, because: str | None) -> None:
        """Lets nothing be decided until this is called with None."""
        self._held_because = because

    @property
    def held_because(self) -> str | None:
        """Why nothing may be decided; None where it may."""
        return self._held_because

    async def decide(self, work: Callable[[Transaction], Awaitable[R]], *, although_held: bool = False) -> R:
        """`transact` for work that collects what it writes. Raises `Conflict` if what it has read changed meanwhile;
        `NotNow` while nothing may be decided.
        """
        if self._held_because is not None and not although_held and self._pool is not None:
            raise NotNow(self._held_because)

        async def run(connection: Connection) -> R:
            async with transaction(connection) as one:
                return await work(one)

        return await self._to_its_end(run)

    async def _to_its_end(self, run: Callable[[Connection], Awaitable[R]]) -> R:
        use = self._use(run)
        try:
            return await asyncio.shield(use.task)
        except asyncio.CancelledError:
            if (fault := await use.over()) is not None:
                log.warning("a cancelled transaction had failed: %s", fault)
            raise
        except LACKING:
            self._lacked = True
            raise

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of a query outside any transaction. Raises `NotNow` if the server hangs."""
        return await self.read(lambda connection: connection.fetch(query, *arguments))

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a query outside any transaction. Raises `NotNow` if the server hangs."""
        return await self.read(lambda connection: connection.fetchrow(query, *arguments))

    async def read(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Runs `work` outside any transaction. Raises `NotNow` if the server hangs."""
        use = self._use(work)
        try:
            return await asyncio.shield(use.task)
        except asyncio.CancelledError:
            use.task.cancel()
            await use.over()  # the server has ended the query then, or has been given up
            raise

    async def answers(self, seconds: float) -> bool:
        """Whether the server answers in this time. Raises one of `TRANSIENT_ERRORS` if it cannot be asked, if the
        schema is not as this version needs it, or if nothing can be written.
        """

        async def ask(connection: Connection) -> None:
            await require(connection, self._migrations, rebuilt=True)
            await require_writable(connection, room=self._lacked)

        use = self._use(ask)
        if not await in_time(use.task, seconds):
            use.end()
            await use.over()
            return False
        use.task.result()
        self._lacked = False
        return True

    def _use(self, work: Callable[[Connection], Awaitable[Any]]) -> _Use:
        return _Use(self.pool, self._watch, work)
