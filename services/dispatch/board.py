"""The live board: a snapshot, then what changes.

A client that comes back with `Last-Event-ID` gets a snapshot again, which replaces whatever it missed. Of cases that it
may not see nothing comes, not even an empty message.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from chassis.clock import Clock
from chassis.store.changes import EVERYTHING
from chassis.store.database import Database
from chassis.web.feeds import Said
from contracts.reading import Scope
from services.dispatch import queries
from services.dispatch.bodies import UnitFilters

ENDED = timedelta(hours=24)
"""How far back the board counts what has ended."""

_SNAPSHOT_LIMIT = 500
"""The most open assignments of a snapshot, with the earliest deadlines."""
_MANY_CASES = 200
"""If more cases have changed at once, a snapshot is cheaper."""
_SEEN = 10_000
"""The most cases of which it is known that they were shown. Of another one that is not to be seen any more the numbers
tell, with the next message or in the next silence."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the board depends on: what is asked for, and what the caller may see."""

    filters: UnitFilters
    scope: Scope


class LiveBoard:
    """The board as everybody sees it who asks for the same and may see the same."""

    def __init__(self, database: Database, clock: Clock, shown: Shown) -> None:
        self._database = database
        self._clock = clock
        self._filters, self._scope = shown.filters, shown.scope
        self._seen: dict[str, None] = {}
        self._counts: dict[str, Any] | None = None
        """The numbers that were told last; those of a snapshot only where nothing was told before."""

    async def whole(self) -> Said:
        """A snapshot."""
        limit = _SNAPSHOT_LIMIT
        found = await queries.open_assignments(self._database, self._filters, self._scope, self._clock(), limit + 1)
        board = await self._board()
        if self._counts is None:
            self._counts = _counts(board)
        self._see(found[:limit])
        return _said("snapshot", board, assignments=found[:limit], more=len(found) > limit)

    async def after(self, changed: frozenset[str]) -> Said | None:
        """The changed assignments, if the clients see or saw one of them."""
        if changed >= EVERYTHING or len(changed) > _MANY_CASES:
            self._counts = None
            self._seen.clear()
            return await self.whole()
        found = await queries.assignments_of(self._database, self._filters, self._scope, self._clock(), changed)
        if not found and self._seen.keys().isdisjoint(changed):
            return None
        for case_id in changed:
            self._seen.pop(case_id, None)
        self._see(found)
        return self._change(await self._board(), found)

    async def later(self) -> Said | None:
        """The numbers, if they are others than before."""
        board = await self._board()
        return None if _counts(board) == self._counts else self._change(board, [])

    def _change(self, board: dict[str, Any], found: list[dict[str, Any]]) -> Said:
        self._counts = _counts(board)
        return _said("change", board, assignments=found)

    def _see(self, found: list[dict[str, Any]]) -> None:
        self._seen |= dict.fromkeys(one["case_id"] for one in found)
        while len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]

    async def _board(self) -> dict[str, Any]:
        now = self._clock()
        return await queries.board(self._database, self._filters, self._scope, now, now - ENDED)


def _counts(board: dict[str, Any]) -> dict[str, Any]:
    """The board without the instants that it is of."""
    return {name: value for name, value in board.items() if name not in ("as_of", "ended_since")}


def _said(event: str, board: dict[str, Any], **more: Any) -> Said:
    return Said(event, orjson.dumps({"board": board, **more}, option=orjson.OPT_UTC_Z))
