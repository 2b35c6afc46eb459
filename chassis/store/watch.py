"""Tells a server that hangs from a statement that takes long, and ends what waits for the first.

A statement that is merely cancelled waits for the server to confirm the cancellation, which one that hangs never does:
only closing the connection on this side ends the wait. Whether a COMMIT that was under way took effect is then not
known, as after any lost connection.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from chassis.retry import LACKING, NotNow

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 2.0
"""How long something waits before the server is asked whether it answers at all."""
_PROBE_SECONDS = 2.0
_SLICE_SECONDS = 0.1

SILENT = "the database does not answer"


class Silent(NotNow):
    """The server hangs."""


class _Wait:
    """Something that waits for the server, and how to end that."""

    def __init__(self, end: Callable[[], object]) -> None:
        self.since = time.monotonic()
        self.end = end
        self.ended = False


class Watch:
    """Ends whatever waits for a server that gives no answer, five seconds after the wait began at the latest."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._waits: set[_Wait] = set()

    @contextmanager
    def over(self, end: Callable[[], object]) -> Iterator[None]:
        """Around what waits for the server. If the server hangs, calls `end`, which becomes a `NotNow`."""
        wait = _Wait(end)
        self._waits.add(wait)
        try:
            yield
        except (Exception, asyncio.CancelledError) as fault:
            if wait.ended:
                raise Silent(SILENT) from fault
            raise
        finally:
            self._waits.discard(wait)

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            if not any(now - wait.since >= _PATIENCE_SECONDS for wait in self._waits) or await self._answers():
                continue
            for wait in [one for one in self._waits if one.since <= now]:
                wait.ended = True
                wait.end()

    async def _answers(self) -> bool:
        """Whether the server takes a connection, or refuses it: a refusal is an answer, too.

        Where this process lacks what a connection takes, it has learned nothing of the server: nobody's work is ended.
        """
        probe = asyncio.ensure_future(self._connect())
        try:
            if not await in_time(probe, _PROBE_SECONDS):
                return False
        finally:
            give_up(probe)
        fault = probe.exception()
        ours = isinstance(fault, OSError) and fault.errno in LACKING
        return ours or isinstance(fault, ConnectionError) or not isinstance(fault, OSError)


def give_up(connecting: asyncio.Future[asyncpg.Connection]) -> None:
    """Ends an attempt to connect, and closes what it has connected."""
    if connecting.done():
        _close(connecting)
    else:
        connecting.cancel()
        connecting.add_done_callback(_close)


def _close(connecting: asyncio.Future[asyncpg.Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


async def in_time(work: asyncio.Future[Any], seconds: float) -> bool:
    """Whether `work` ends in this time. Time during which this process was too busy to hear of it does not count."""
    for _ in range(round(seconds / _SLICE_SECONDS)):
        done, _ = await asyncio.wait([work], timeout=_SLICE_SECONDS)
        if done:
            return True
    return False
