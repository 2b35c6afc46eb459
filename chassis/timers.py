"""Deadlines -> facts: streams whose next deadline has passed are asked what follows, once, also after a long stop.

A deadline is judged only once everything has taken effect that was on the topics when it was found to have passed: what
would have ended it may lie there unread. Debts to other cases (chassis.owed) are paid here, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from chassis import owed
from chassis.clock import Clock
from chassis.database import PASSING, Conflict, Connection, Database
from chassis.deciding import Deciding, opened
from chassis.inbox import Inbox, backoff
from chassis.service import Service
from chassis.telemetry import hop

T = TypeVar("T")

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_BATCH = 500

_DUE = "SELECT stream_id FROM streams WHERE due_at <= $1 ORDER BY due_at LIMIT $2"


async def always(now: datetime) -> datetime | None:
    """Of a process without topics: nothing can lie there unread."""
    return now


class Timers:
    """Asks `lapse` of every due stream, for deadlines up to the instant of which `read_up_to` says that all is known.

    Several workers may do so at once: the stream's version lets one win.
    """

    def __init__(
        self,
        service: Service,
        database: Database,
        clock: Clock,
        inbox: Inbox | None,
        read_up_to: Callable[[datetime], Awaitable[datetime | None]] = always,
    ) -> None:
        self._service = service
        self._database = database
        self._clock = clock
        self._inbox = inbox
        self._read_up_to = read_up_to
        self.fault: str | None = None

    async def run(self) -> None:
        """Looks until cancelled."""
        attempt, begun = 0, False
        while True:
            try:
                if not begun:
                    await self.begin()
                    begun = True
                while await self.look() == _BATCH:
                    pass
                while await self.pay() == owed.AT_ONCE:
                    pass
                attempt = 0
                self.fault = None
                await asyncio.sleep(_LOOK_SECONDS)
            except Conflict:
                continue
            except PASSING as fault:
                self.fault = f"{type(fault).__name__}: {fault}"
                await backoff(attempt)
                attempt += 1

    async def begin(self) -> None:
        """Takes up what an earlier process could not do."""
        await owed.take_up(self._database)

    async def pay(self) -> int:
        """Lets a batch of cases hear of what they are owed; how many debts there were."""
        debts = await owed.debts(self._database)
        if debts:
            await _each(debts, self._pay, self._leave)
        return len(debts)

    async def _pay(self, debts: Sequence[int]) -> None:
        self._forget(await owed.pay(self._service, self._database, self._clock, debts))

    async def _leave(self, debt: int, fault: Exception) -> None:
        log.error("debt %d cannot be paid, and is left until a worker begins anew", debt, exc_info=fault)
        await owed.leave(self._database, debt, repr(fault))

    async def look(self) -> int:
        """Takes in one batch of passed deadlines; the number of streams that were due."""
        if not await self._due(self._clock()):
            return 0
        until = await self._read_up_to(self._clock())
        due = await self._due(until) if until is not None else []
        if until is None or not due:
            return 0
        await _each(due, lambda some: self._judge(some, until), self._stop_clock)
        self._forget(due)
        return len(due)

    async def _judge(self, due: Sequence[str], until: datetime) -> None:
        now = self._clock()

        async def work(connection: Connection) -> None:
            deciding = await opened(self._service, connection, now, due)
            for stream_id in due:
                await self._lapse(connection, deciding, stream_id, until)
            await deciding.journal.write(connection)

        await self._database.transact(work)

    async def _stop_clock(self, stream_id: str, fault: Exception) -> None:
        log.error(
            "the deadlines of case %s cannot be judged; its clock stands until its next fact",
            stream_id,
            exc_info=fault,
        )
        query = "UPDATE streams SET due_at = NULL WHERE stream_id = $1 AND due_at <= $2"  # not what was set meanwhile
        await self._database.fetch(query, stream_id, self._clock())

    async def _due(self, until: datetime) -> list[str]:
        return [row["stream_id"] for row in await self._database.fetch(_DUE, until, _BATCH)]

    def _forget(self, streams: list[str]) -> None:
        if self._inbox is not None:
            self._inbox.cache.forget(streams)

    async def _lapse(self, connection: Connection, deciding: Deciding[Any], stream_id: str, until: datetime) -> None:
        decider, journal = self._service.decider, deciding.journal
        stream = journal.streams[stream_id]
        inputs = deciding.inputs(stream_id, now=until, actor="clock")
        facts, due_at = decider.lapse(stream.state, inputs), decider.due(stream.state)
        if facts:
            traceparent = hop(f"{self._service.name} clock")
            journal.publish(stream_id, facts, at=journal.now, actor="clock", traceparent=traceparent)
            return
        if due_at is not None and due_at <= until:
            log.error("case %s is due at %s, but its rules say nothing of it; its clock stands", stream_id, due_at)
            due_at = None
        await connection.execute(
            "UPDATE streams SET due_at = $2 WHERE stream_id = $1 AND version = $3", stream_id, due_at, stream.version
        )


async def _each(
    items: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[None]],
    give_up: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Does the work on all of them; where that meets a defect on each alone, and gives up the one that has it."""
    try:
        await work(items)
    except (Conflict, *PASSING):
        raise
    except Exception as fault:
        if len(items) == 1:
            await give_up(items[0], fault)
            return
        log.warning("%d at once met a defect, they are taken one by one: %r", len(items), fault)
        for item in items:
            await _each([item], work, give_up)
