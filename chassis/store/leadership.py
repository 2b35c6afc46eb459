"""The lease of the relay that publishes: the session that the table `leader` names, as long as it lives and speaks.

A frozen process keeps its session, so one that has said nothing for the time of the lease is ended by who waits to
lead. Every statement renews the lease, by the database's clock: PostgreSQL notes when a session last did something, so
a renewal writes nothing. Correctness does not depend on any of this: two relays at once send the same events in the
same order.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

from chassis.store.outbox import Watched

R = TypeVar("R")

log = logging.getLogger(__name__)

LEASE_SECONDS = 6.0
"""A session that leads and has been silent for longer has lost the lead."""
_RENEW_SECONDS = 2.0

# A backend's number is given again, its start is not. A session lock would end with its session just so, but every role
# of the database can take it.
_LEAD = """
UPDATE leader SET pid = me.pid, connected_since = me.backend_start
  FROM pg_stat_activity me
 WHERE me.pid = pg_backend_pid()
   AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE (a.pid, a.backend_start) = (leader.pid, leader.connected_since))
RETURNING true
"""
# One that waits for its client, for the next statement or to take what the last one gave: a statement that the server
# still works on is not the client's silence.
_END_SILENT = """
SELECT pg_terminate_backend(a.pid)
  FROM leader JOIN pg_stat_activity a ON (a.pid, a.backend_start) = (leader.pid, leader.connected_since)
 WHERE a.wait_event_type = 'Client' AND a.state_change < clock_timestamp() - $1::float8 * interval '1 second'
"""


class Lease:
    """What one session has or waits for; it ends with the session's connection."""

    def __init__(self, connection: asyncpg.Connection, watched: Watched) -> None:
        self._connection = connection
        self._watched = watched

    async def take(self) -> bool:
        """Whether this session leads from now on. Ends the session that leads if it has been silent for too long: then
        the next call finds the lead free.
        """
        if await self._watched(self._connection, self._connection.fetchval(_LEAD)):
            return True
        if await self._watched(self._connection, self._connection.fetchval(_END_SILENT, LEASE_SECONDS)):
            log.warning("the relay that led has been silent for %d seconds and is replaced", LEASE_SECONDS)
        return False

    async def kept(self, work: Coroutine[Any, Any, R]) -> R:
        """The outcome of work that asks the broker and not the database: the lease is renewed meanwhile."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait([task], timeout=_RENEW_SECONDS))[0]:
                await self._watched(self._connection, self._connection.execute("SELECT"))
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return task.result()
