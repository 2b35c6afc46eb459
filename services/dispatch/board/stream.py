"""The board as server-sent events (WHATWG HTML, section 9.2): a snapshot, then what changes; heartbeats in silence.

A client that comes back with `Last-Event-ID` gets a snapshot again: it replaces whatever was missed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson

from chassis.changes import EVERYTHING
from chassis.database import PASSING
from chassis.runtime import Runtime
from services.dispatch.queries import Filters, assignments, board

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
GATHER_SECONDS = 0.2
"""The least time between two messages; what changes meanwhile comes in one."""
SNAPSHOT = 500
"""The most open assignments of a snapshot, those due first."""
MANY = 200
"""Of cases changed at once, from which a snapshot is cheaper."""
ENDED = timedelta(hours=24)
"""How far back the board counts what has ended."""


async def messages(
    runtime: Runtime, filters: Filters, *, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes]:
    """The stream of one client, until it goes away or the database does; then the client is to come again."""
    number = 1
    yield b"retry: 1000\n\n"
    async with runtime.changes.listen() as changes:
        try:
            yield await _snapshot(runtime, filters, number)
            while True:
                try:
                    changed = await asyncio.wait_for(changes.get(), heartbeat_seconds)
                except TimeoutError:
                    yield b": heartbeat\n\n"
                    continue
                while not changes.empty():
                    changed |= changes.get_nowait()
                number += 1
                if changed >= EVERYTHING or len(changed) > MANY:
                    yield await _snapshot(runtime, filters, number)
                else:
                    yield await _change(runtime, filters, changed, number)
                await asyncio.sleep(GATHER_SECONDS)
        except PASSING as fault:
            log.warning("a live view ends: %r", fault)
            yield b": the database cannot be reached\n\n"


async def _snapshot(runtime: Runtime, filters: Filters, number: int) -> bytes:
    now = runtime.clock()
    found = await assignments(runtime.database, replace(filters, status="open"), now, limit=SNAPSHOT + 1)
    return _message(
        number,
        "snapshot",
        {
            "board": await board(runtime.database, filters, now, now - ENDED),
            "assignments": [one.shown for one in found[:SNAPSHOT]],
            "more": len(found) > SNAPSHOT,
        },
    )


async def _change(runtime: Runtime, filters: Filters, changed: frozenset[str], number: int) -> bytes:
    now = runtime.clock()
    found = await assignments(runtime.database, replace(filters, cases=changed), now, limit=MANY * 100)
    return _message(
        number,
        "change",
        {
            "board": await board(runtime.database, filters, now, now - ENDED),
            "assignments": [one.shown for one in found],
        },
    )


def _message(number: int, event: str, data: Any) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.encode(), orjson.dumps(data, option=orjson.OPT_UTC_Z))
