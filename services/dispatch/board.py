"""The board as server-sent events (WHATWG HTML, section 9.2): a snapshot, then what changes; heartbeats in silence.

A client that comes back with `Last-Event-ID` gets a snapshot again, which replaces whatever it missed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from chassis.clock import Clock
from chassis.retry import in_words
from chassis.store.changes import EVERYTHING, Changes
from chassis.store.database import TRANSIENT_ERRORS, Database
from contracts.reading import Scope
from services.dispatch import queries
from services.dispatch.bodies import UnitFilters

log = logging.getLogger(__name__)

ENDED = timedelta(hours=24)
"""How far back the board counts what has ended."""

_HEARTBEAT_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
"""The least time between two messages; changes meanwhile come in one message."""
_SNAPSHOT_LIMIT = 500
"""The most open assignments of a snapshot, with the earliest deadlines."""
_MANY_CASES = 200
"""If more cases have changed at once, a snapshot is cheaper."""


@dataclass(frozen=True, slots=True)
class LiveBoard:
    """The board as one client sees it."""

    database: Database
    changes: Changes
    clock: Clock
    filters: UnitFilters
    scope: Scope

    async def messages(self, *, heartbeat_seconds: float = _HEARTBEAT_SECONDS) -> AsyncGenerator[bytes]:
        """The messages to the client. They end when the database cannot be reached; the client then connects again."""
        number = 1
        yield b"retry: 1000\n\n"
        async with self.changes.listen() as changes:
            try:
                yield await self._snapshot(number)
                while True:
                    try:
                        changed = await asyncio.wait_for(changes.get(), heartbeat_seconds)
                    except TimeoutError:
                        yield b": heartbeat\n\n"
                        continue
                    while not changes.empty():
                        changed |= changes.get_nowait()
                    number += 1
                    if changed >= EVERYTHING or len(changed) > _MANY_CASES:
                        yield await self._snapshot(number)
                    else:
                        yield await self._change(number, changed)
                    await asyncio.sleep(_PAUSE_SECONDS)
            except TRANSIENT_ERRORS as fault:
                log.warning("a live board ends: %s", in_words(fault))
                yield b": the database cannot be reached\n\n"

    async def _snapshot(self, number: int) -> bytes:
        limit = _SNAPSHOT_LIMIT
        found = await queries.open_assignments(self.database, self.filters, self.scope, self.clock(), limit + 1)
        return await self._message(number, "snapshot", {"assignments": found[:limit], "more": len(found) > limit})

    async def _change(self, number: int, cases: frozenset[str]) -> bytes:
        found = await queries.assignments_of(self.database, self.filters, self.scope, self.clock(), cases)
        return await self._message(number, "change", {"assignments": found})

    async def _message(self, number: int, event: str, data: dict[str, Any]) -> bytes:
        now = self.clock()
        board = await queries.board(self.database, self.filters, self.scope, now, now - ENDED)
        body = orjson.dumps({"board": board, **data}, option=orjson.OPT_UTC_Z)
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.encode(), body)
