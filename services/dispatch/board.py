"""The board as server-sent events (WHATWG HTML, section 9.2): a snapshot, then what changes; heartbeats in silence.

A client that comes back with `Last-Event-ID` gets a snapshot again, which replaces whatever it missed. Of cases that it
may not see nothing comes, not even an empty message.
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
        number, now = 1, asyncio.get_running_loop().time
        yield b"retry: 1000\n\n"
        async with self.changes.listen() as changes:
            try:
                last = await self._snapshot()
                seen = last.cases
                yield last.numbered(number)
                silent_until = now() + heartbeat_seconds
                while True:
                    try:
                        changed = await asyncio.wait_for(changes.get(), max(0.0, silent_until - now()))
                    except TimeoutError:
                        new = await self._change([])
                        if new.counts == last.counts:  # time alone may change them
                            new = None
                            yield b": heartbeat\n\n"
                    else:
                        while not changes.empty():
                            changed |= changes.get_nowait()
                        new = await self._after(changed, seen)
                        if new is None:
                            continue
                        seen = new.cases | (seen - changed if new.event == "change" else frozenset())
                    silent_until = now() + heartbeat_seconds
                    if new is not None:
                        number, last = number + 1, new
                        yield new.numbered(number)
                        await asyncio.sleep(_PAUSE_SECONDS)
            except TRANSIENT_ERRORS as fault:
                log.warning("a live board ends: %s", in_words(fault))
                yield b": the database cannot be reached\n\n"

    async def _after(self, changed: frozenset[str], seen: frozenset[str]) -> "_Message | None":
        """What to say after these cases have changed; nothing if the client neither sees nor saw one of them."""
        if changed >= EVERYTHING or len(changed) > _MANY_CASES:
            return await self._snapshot()
        found = await queries.assignments_of(self.database, self.filters, self.scope, self.clock(), changed)
        return await self._change(found) if found or not seen.isdisjoint(changed) else None

    async def _snapshot(self) -> "_Message":
        limit = _SNAPSHOT_LIMIT
        found = await queries.open_assignments(self.database, self.filters, self.scope, self.clock(), limit + 1)
        data = {"assignments": found[:limit], "more": len(found) > limit}
        return _Message("snapshot", await self._board(), data)

    async def _change(self, found: list[dict[str, Any]]) -> "_Message":
        return _Message("change", await self._board(), {"assignments": found})

    async def _board(self) -> dict[str, Any]:
        now = self.clock()
        return await queries.board(self.database, self.filters, self.scope, now, now - ENDED)


@dataclass(frozen=True, slots=True)
class _Message:
    """One event of the stream, without its number."""

    event: str
    board: dict[str, Any]
    data: dict[str, Any]

    @property
    def cases(self) -> frozenset[str]:
        """The cases of its assignments."""
        return frozenset(one["case_id"] for one in self.data["assignments"])

    @property
    def counts(self) -> dict[str, Any]:
        """The board without the instants that it is of."""
        return {name: value for name, value in self.board.items() if name not in ("as_of", "ended_since")}

    def numbered(self, number: int) -> bytes:
        """The event as it is sent."""
        body = orjson.dumps({"board": self.board, **self.data}, option=orjson.OPT_UTC_Z)
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, self.event.encode(), body)
