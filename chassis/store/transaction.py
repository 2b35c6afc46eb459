"""A transaction whose writes are collected, and sent together at its end.

What was read needs no lock and no BEGIN: a stream is written only if it is still at the version that was read, and
whatever else must not have changed meanwhile is asserted in the same way. So a transaction of few rows is one question,
and one statement, which PostgreSQL makes a transaction of its own. One that takes locks is begun before them; many rows
go by COPY, between BEGIN and COMMIT.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg

Connection = asyncpg.pool.PoolConnectionProxy

_TOGETHER = 400
"""The most rows of one statement; with more of them, COPY is worth its round trips."""
_MANY = 50
"""The rows of one table from which its COPY is, in a transaction of more than `_TOGETHER`."""
_ASSERTED = "CG409"
"""What the schema's function `exactly` raises."""
_PARAMETER = re.compile(r"\$(\d+)")


class Conflict(Exception):
    """Another writer changed in the meantime what was read; nothing was written."""


class Write(NamedTuple):
    """A part of the statement, which sees nothing of what the other parts write.

    `sql` has an array for each column of `rows` as its parameters, and no `$` elsewhere. It inserts, updates or
    deletes; where it only selects, or returns rows, `exactly` says in words what there must be as many of, or else the
    transaction ends with `Conflict`. `bulk` does the same as `sql` for many rows, and asserts nothing. No two parts
    write the same row: the second would do nothing.
    """

    sql: str
    rows: Sequence[tuple[Any, ...]]
    exactly: str | None = None
    bulk: Callable[[Connection], Awaitable[object]] | None = None

    async def at_once(self, connection: Connection) -> None:
        """Writes it by itself, asserting nothing."""
        if self.bulk is not None and len(self.rows) >= _MANY:
            await self.bulk(connection)
        elif self.rows:
            await connection.execute(self.sql, *zip(*self.rows, strict=True))


class Transaction:
    """What a transaction reads by, and what it is to write."""

    def __init__(self, connection: Connection, ending: AsyncExitStack) -> None:
        self.connection = connection
        """For reading. What locks, or writes at once, asks `begin` for it."""
        self._ending = ending
        self._begun = False
        self._writes: list[Write] = []
        self._calls: list[tuple[str, Sequence[Any]]] = []

    async def begin(self) -> Connection:
        """Begins the transaction, if it has not begun: what its connection then locks and writes ends with it."""
        if not self._begun:
            await self._ending.enter_async_context(self.connection.transaction())
            self._begun = True
        return self.connection

    def write(self, write: Write) -> None:
        """Adds to what is written at the end; nothing where it has no rows."""
        if write.rows:
            self._writes.append(write)

    def call(self, sql: str, *arguments: Any) -> None:
        """Adds an expression that is evaluated at the end, such as a notification."""
        self._calls.append((sql, arguments))

    async def send(self) -> None:
        """Writes everything. If nothing was begun, this is the commit as well."""
        writes, self._writes = self._writes, []
        calls, self._calls = self._calls, []
        if sum(len(write.rows) for write in writes) <= _TOGETHER:
            await self._send(writes, calls)
            return
        connection = await self.begin()
        for write in writes:
            if write.exactly is None:
                await write.at_once(connection)
            else:
                await self._send([write], ())
        await self._send((), calls)

    async def _send(self, writes: Sequence[Write], calls: Sequence[tuple[str, Sequence[Any]]]) -> None:
        if not writes and not calls:
            return
        parts = tuple((write.sql, len(write.rows[0]), write.exactly is not None) for write in writes)
        statement = _statement(parts, tuple((sql, len(arguments)) for sql, arguments in calls))
        arguments: list[Any] = [column for write in writes for column in zip(*write.rows, strict=True)]
        arguments += [value for write in writes if write.exactly for value in (len(write.rows), write.exactly)]
        await self.connection.execute(statement, *arguments, *(one for _, given in calls for one in given))


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[Transaction]:
    """A transaction that sends its writes when it is left, and is then durable. Raises `Conflict`; then nothing is
    written, nor after another error of the server. Where the connection is lost, or time runs out, that is not known.
    """
    try:
        async with AsyncExitStack() as ending:
            one = Transaction(connection, ending)
            yield one
            await one.send()
    except asyncpg.PostgresError as fault:
        if getattr(fault, "sqlstate", None) != _ASSERTED:
            raise
        raise Conflict(str(fault)) from None


@lru_cache(maxsize=1024)
def _statement(writes: Sequence[tuple[str, int, bool]], calls: Sequence[tuple[str, int]]) -> str:
    """One statement of these parts, each with its number of parameters.

    PostgreSQL runs the parts that are counted first, in their order, because the end of the statement asks for them,
    and then the others. So what asserts is done before anything else is written; no case's order relies on it.
    """
    parts, asserted, used = [], [], 0
    for number, (sql, parameters, exactly) in enumerate(writes):
        parts.append(f"w{number} AS ({_renumbered(sql, used)})")
        used += parameters
        if exactly:
            asserted.append(number)
    evaluated = []
    for number in asserted:
        evaluated.append(f"exactly(${used + 1}, (SELECT count(*) FROM w{number}), ${used + 2})")
        used += 2
    for sql, parameters in calls:
        evaluated.append(_renumbered(sql, used))
        used += parameters
    return f"{'WITH ' + ', '.join(parts) if parts else ''} SELECT {', '.join(evaluated)}"


def _renumbered(sql: str, used: int) -> str:
    """With the parameters behind those that are used already."""
    return _PARAMETER.sub(lambda one: f"${int(one[1]) + used}", sql)
