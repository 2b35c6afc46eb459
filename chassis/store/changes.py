"""Which cases changed, as it happens: PostgreSQL's NOTIFY, fanned out to the live views of this process."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.retry import Backoff, in_words, keep_running
from chassis.store.database import TRANSIENT_ERRORS, Database

log = logging.getLogger(__name__)

EVERYTHING = frozenset({"*"})
"""Too many cases to name, or some were missed: read all of them."""


class Changes:
    """One LISTEN connection, any number of listeners."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[asyncio.Queue[frozenset[str]]] = set()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator["asyncio.Queue[frozenset[str]]"]:
        """A queue of sets of case ids that changed; a listener that falls a thousand behind is told `EVERYTHING`."""
        queue: asyncio.Queue[frozenset[str]] = asyncio.Queue(1000)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def run(self) -> None:
        """Listens until cancelled."""
        await keep_running(
            self._listen, TRANSIENT_ERRORS, lambda error: log.warning("live views are behind: %s", in_words(error))
        )

    async def _listen(self, backoff: Backoff) -> None:
        connection = await self._database.connect()
        try:
            watched = self._database.watched
            schema = await watched(connection, connection.fetchval("SELECT current_schema()"))
            tell = connection.add_listener(f"{schema}_changed", lambda *a: self._tell(frozenset(str(a[3]).split(","))))
            await watched(connection, tell)
            self._tell(EVERYTHING)
            backoff.reset()
            while not connection.is_closed():
                await watched(connection, connection.execute("SELECT 1"))
                await asyncio.sleep(2)
        finally:
            if not connection.is_closed():
                connection.terminate()

    def _tell(self, changed: frozenset[str]) -> None:
        for queue in self._listeners:
            behind = queue.full()
            while behind and not queue.empty():
                queue.get_nowait()
            queue.put_nowait(EVERYTHING if behind else changed)
