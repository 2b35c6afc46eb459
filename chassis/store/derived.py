"""Tables that follow from a service's stored events: made anew as a whole, or for what an older version has written.

While a service is upgraded, processes of the version before may write on, also after the rebuild that a migration
demanded. Their rows lack what the migration added. So a process whose version knows fewer of those migrations than the
schema notes the streams that it writes, in the same transaction, and a worker of the newer version makes their rows
anew. It notes them after it has written: a rebuild waits for it then, or has been seen by it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chassis.retry import Backoff, in_words, keep_running
from chassis.store.checksums import Progress, TableRebuilt, checksum
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.migrations import OLDER, MigrationError

log = logging.getLogger(__name__)

_BATCH = 500
_LOOK_SECONDS = 2.0

NOTE = f"INSERT INTO outdated SELECT unnest($1::text[]) WHERE {OLDER} ON CONFLICT DO NOTHING"
"""SQL, after they were written: notes the streams of a transaction, if the schema is newer than this version."""
_NOTED = f"""
SELECT stream_id FROM outdated WHERE NOT {OLDER} AND stream_id <> ALL($1::text[]) ORDER BY stream_id LIMIT $2
"""
_FORGET = "DELETE FROM outdated WHERE stream_id = ANY($1::text[])"
_LEFT = "INSERT INTO outdated SELECT unnest($1::text[])"
_MARK = "UPDATE migrations SET rebuilt = true WHERE NOT rebuilt"


@dataclass(frozen=True)
class Derived:
    """What is derived from the events of each stream, and how."""

    tables: Sequence[str]
    """Compared before and after a rebuild."""
    emptied: Sequence[str]
    """Of these, the ones that hold nothing else."""
    hold: Callable[[Connection, Sequence[str] | None], Awaitable[None]]
    """Makes whoever writes these streams, or any, wait until the transaction ends."""
    count: str
    """SQL: the number of streams."""
    following: str
    """SQL: the names of at most $2 streams behind $1, in order."""
    refill: Callable[[Connection, Sequence[str]], Awaitable[None]]
    """Writes the rows of these streams."""


LEFT_ASIDE = 3
"""Exit status of a rebuild that is done, but for cases that meet a defect."""


class Rebuilt(NamedTuple):
    """What a rebuild has made anew."""

    tables: list[TableRebuilt]
    """Each with its checksum before and after."""
    broken: list[str]
    """The streams that have no rows now, because a defect met them. The log has its words."""


async def rebuild(derived: Derived, database: Database, progress: Progress) -> Rebuilt:
    """Makes the tables anew in one transaction. A stream that meets a defect is left aside, for workers to try again.

    Readers see the old rows until it commits. Writers wait, so a service that runs meanwhile loses nothing. Raises
    `MigrationError` where this version is older than the schema: it would not fill what it does not know.
    """

    async def run(connection: Connection) -> Rebuilt:
        await derived.hold(connection, None)
        if await connection.fetchval(f"SELECT {OLDER}"):
            raise MigrationError("the database's schema is newer than this version: rebuild with the newer one")
        before = [await checksum(connection, table) for table in derived.tables]
        for table in derived.emptied:
            await connection.execute(f"DELETE FROM {table}")
        broken = await _refill(derived, connection, progress)
        after = [await checksum(connection, table) for table in derived.tables]
        await connection.execute("DELETE FROM outdated")
        await connection.execute(_LEFT, broken)
        await connection.execute(_MARK)
        return Rebuilt([TableRebuilt(*found) for found in zip(derived.tables, before, after, strict=True)], broken)

    return await database.transact(run)


async def _refill(derived: Derived, connection: Connection, progress: Progress) -> list[str]:
    """Returns the streams that meet a defect; a person sees the others' rows all the same."""
    total, done, last = await connection.fetchval(derived.count), 0, ""
    broken: list[str] = []
    while names := [row[0] for row in await connection.fetch(derived.following, last, _BATCH)]:
        last = names[-1]
        if not await _refilled(derived, connection, names):
            broken += [name for name in names if not await _refilled(derived, connection, [name])]
        done += len(names)
        progress(done, total)
    return broken


async def _refilled(derived: Derived, connection: Connection, names: Sequence[str]) -> bool:
    """Writes the rows of these streams; whether it could."""
    try:
        async with connection.transaction():
            await derived.refill(connection, names)
    except TRANSIENT_ERRORS:
        raise
    except Exception:
        if len(names) == 1:
            log.exception("the rows of case %s cannot be made anew; a worker tries again when it starts", names[0])
        return False
    return True


class Refresher:
    """Makes the derived rows anew of streams that an older version has written."""

    def __init__(self, derived: Derived, database: Database) -> None:
        self._derived = derived
        self._database = database
        self._aside: set[str] = set()
        """Streams that meet a defect; a newer process may do better."""

    async def run(self) -> None:
        """Looks until cancelled."""
        await keep_running(
            self._look_on, TRANSIENT_ERRORS, lambda error: log.warning("rows stay outdated: %s", in_words(error))
        )

    async def _look_on(self, backoff: Backoff) -> None:
        while True:
            while await self.refresh() == _BATCH:
                pass
            backoff.reset()
            await asyncio.sleep(_LOOK_SECONDS)

    async def refresh(self) -> int:
        """One batch; returns the number of streams."""
        noted = [row["stream_id"] for row in await self._database.fetch(_NOTED, list(self._aside), _BATCH)]
        if noted:
            try:
                await self._make_anew(noted)
            except TRANSIENT_ERRORS:
                raise
            except Exception:
                for stream in noted:
                    await self._alone(stream)
        return len(noted)

    async def _alone(self, stream: str) -> None:
        try:
            await self._make_anew([stream])
        except TRANSIENT_ERRORS:
            raise
        except Exception:
            log.exception("the rows of case %s stay outdated until a worker starts again", stream)
            self._aside.add(stream)

    async def _make_anew(self, streams: Sequence[str]) -> None:
        async def run(connection: Connection) -> None:
            await self._derived.hold(connection, streams)
            await connection.execute(_FORGET, streams)
            await self._derived.refill(connection, streams)

        await self._database.transact(run)
