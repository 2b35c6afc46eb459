"""Deadlines -> facts: streams whose next deadline has passed are asked what follows, once, also after a long stop.

A deadline is decided only after everything that was on the topics when it was found to have passed has taken effect: an
event that ends the deadline may lie there unread. Pending propagations to other cases are carried out here, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from chassis.clock import Clock
from chassis.engine import propagation
from chassis.engine.model import Model
from chassis.engine.unit_of_work import UnitOfWork, begin
from chassis.retry import Backoff, in_short, in_words, keep_running, together_or_alone
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.streams import Cache
from chassis.store.transaction import Conflict, Transaction, Write
from chassis.telemetry import About, deadline_span
from contracts import actors

log = logging.getLogger(__name__)

_BATCH = 500
_RAISED = (Conflict, *TRANSIENT_ERRORS)
"""Errors that are no defect of one stream."""

_DUE = "SELECT stream_id FROM streams WHERE due_at <= $1 ORDER BY due_at LIMIT $2"
_SET = """
UPDATE streams s SET due_at = u.due_at
  FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS u (stream_id, due_at, version)
 WHERE s.stream_id = u.stream_id AND s.version = u.version
"""
_ANYTHING = f"""
SELECT (SELECT min(due_at) FROM streams) <= $1 IS TRUE OR EXISTS ({propagation.PENDING})
"""
"""The earliest one, because a plan for any $1 expects a third of all streams to be due, and reads the whole table for
the first of them."""


ReadUpTo = Callable[[datetime], Awaitable[datetime | None]]
"""now -> an instant up to which all records of the topics have taken effect; None: not yet."""


class Timers:
    """Calls `on_deadline` of every due stream, for deadlines up to the instant that `read_up_to` gives.

    Several workers may do so at once: the stream's version lets one win.
    """

    def __init__(
        self,
        model: Model,
        database: Database,
        clock: Clock,
        cache: Cache[Any],
        read_up_to: ReadUpTo,
        look_seconds: float = 1.0,
    ) -> None:
        self._model = model
        self._database = database
        self._clock = clock
        self._cache = cache
        self._read_up_to = read_up_to
        self._look_seconds = look_seconds
        self._started = False
        self.fault: str | None = None
        """What keeps deadlines from being decided now; None while all is well."""

    async def run(self) -> None:
        """Looks until cancelled."""
        await keep_running(self._look_on, TRANSIENT_ERRORS, self._note)

    async def _look_on(self, backoff: Backoff) -> None:
        while True:
            try:
                if not self._started:
                    await self.start()
                    self._started = True
                if await self._anything():
                    while await self.look() == _BATCH:
                        pass
                    while await self.propagate() == propagation.AT_ONCE:
                        pass
            except Conflict:
                continue
            backoff.reset()
            self.fault = None
            await asyncio.sleep(self._look_seconds)

    def _note(self, error: Exception) -> None:
        self.fault = in_short(error)
        log.warning("deadlines are not decided now: %s", in_words(error))

    async def start(self) -> None:
        """Makes pending again what an earlier process set aside."""
        await propagation.retry_all(self._database)

    async def propagate(self) -> int:
        """Carries out one batch of pending propagations; returns their number."""
        positions = await propagation.pending(self._database)
        if positions:
            await together_or_alone(positions, self._carry_out, self._set_aside, _RAISED)
        return len(positions)

    async def _carry_out(self, positions: Sequence[int]) -> None:
        self._cache.forget(await propagation.carry_out(self._model, self._database, self._clock, positions))

    async def _set_aside(self, position: int, fault: Exception) -> None:
        log.error("propagation %d fails, and is set aside until a worker starts again", position, exc_info=fault)
        await propagation.set_aside(self._database, position, repr(fault))

    async def look(self) -> int:
        """Decides one batch of passed deadlines; returns the number of streams that were due."""
        if not await self._due(self._clock()):
            return 0
        until = await self._read_up_to(self._clock())
        due = await self._due(until) if until is not None else []
        if until is None or not due:
            return 0
        with deadline_span(self._model.name):
            await together_or_alone(due, lambda some: self._decide(some, until), self._stop_clock, _RAISED)
        self._cache.forget(due)
        return len(due)

    async def _decide(self, due: Sequence[str], until: datetime) -> None:
        now = self._clock()

        async def run(transaction: Transaction) -> None:
            work = await begin(self._model, transaction, now, due)
            quiet = [row for stream_id in due if (row := self._decide_one(work, stream_id, until)) is not None]
            work.journal.write(transaction)
            transaction.write(Write(_SET, quiet))

        await self._database.decide(run)

    async def _stop_clock(self, stream_id: str, fault: Exception) -> None:
        with About(stream_id, None):
            log.error(
                "the deadlines of case %s cannot be decided; its clock stops until its next fact",
                stream_id,
                exc_info=fault,
            )
        # `due_at <= $2`: a deadline that was set meanwhile stays.
        query = "UPDATE streams SET due_at = NULL WHERE stream_id = $1 AND due_at <= $2"
        await self._database.fetch(query, stream_id, self._clock())

    async def _anything(self) -> bool:
        """Whether a deadline has passed, or a propagation is pending: mostly neither is, and one question is enough."""
        return (await self._database.fetch(_ANYTHING, self._clock()))[0][0]

    async def _due(self, until: datetime) -> list[str]:
        return [row["stream_id"] for row in await self._database.fetch(_DUE, until, _BATCH)]

    def _decide_one(self, work: UnitOfWork[Any], stream_id: str, until: datetime) -> tuple[Any, ...] | None:
        """Appends what follows from a deadline; if nothing does, the row of `_SET`."""
        decider, journal = self._model.decider, work.journal
        stream = journal.streams[stream_id]
        inputs = work.inputs(stream_id, now=until, actor=actors.CLOCK)
        facts, due_at = decider.on_deadline(stream.state, inputs), decider.due(stream.state)
        if facts:
            journal.append(stream_id, facts, at=journal.now, actor=actors.CLOCK)
            return None
        if due_at is not None and due_at <= until:
            log.error("case %s is due at %s, but no fact follows from it; its clock stops", stream_id, due_at)
            due_at = None
        return stream_id, due_at, stream.version
