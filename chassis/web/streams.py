"""Endless answers: server-sent events (WHATWG HTML, section 9.2). Whatever is streamed is streamed here.

How many there may be is bounded in one process and for one caller. Who is shown the same is shown the same bytes
(chassis.web.feeds): a view is made of its key alone, so nothing of one caller can reach another one whose key differs.
Whoever reads too slowly, or nothing when their token ends, is cut off.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from chassis.clock import Clock
from chassis.store.changes import Changes
from chassis.store.database import Database
from chassis.web.errors import Overloaded, TooMany
from chassis.web.feeds import Feed, Share, View, Watcher
from chassis.web.server import CONNECTION

K = TypeVar("K", bound=Hashable)

MOST = 20
"""The streams of one caller."""
MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
_WAIT_SECONDS = 5.0
_PART = 16 * 1024
"""The bytes that are given to a connection at once; it takes no more while twice as many wait there."""
_RETRY = b"retry: 1000\n\n"


class Streams:
    """Those of one process."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        clock: Clock,
        most: int,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._most = most
        self._heartbeat_seconds = heartbeat_seconds
        self._share = Share()
        self._feeds: dict[Hashable, tuple[Feed, asyncio.Task[None]]] = {}
        self._of = Counter[str]()
        self._open = 0
        self._refused = 0
        self._dropped = 0

    def health(self) -> dict[str, int]:
        """How many are open, how many may be, how many views they show, and how many were refused and dropped."""
        return {
            "open": self._open,
            "most": self._most,
            "views": len(self._feeds),
            "refused": self._refused,
            "dropped": self._dropped,
        }

    def answer(self, caller: str, view: Callable[[Database, Clock, K], View], key: K) -> Response:
        """The endless answer to this caller. `key` must hold all that the view shows or hides things by, rights as well
        as filters: callers of one view and equal keys get the same bytes.

        The answer raises `TooMany` or `Overloaded` before it begins if there are as many as may be.
        """
        return EventStream(self, caller, (view, key), lambda: view(self._database, self._clock, key))

    @contextmanager
    def watching(
        self, caller: str, key: Hashable, view: Callable[[], View], cut_off: Callable[[], None]
    ) -> Iterator[Watcher]:
        """One who watches, for as long as they do. Raises `TooMany` and `Overloaded`."""
        with self._place(caller):
            watcher = Watcher(cut_off)
            feed = self._feed(key, view)
            feed.join(watcher)
            try:
                yield watcher
            finally:
                self._dropped += watcher.dropped
                if feed.leave(watcher):
                    self._close(key, feed)

    @contextmanager
    def _place(self, caller: str) -> Iterator[None]:
        if self._of[caller] >= MOST:
            words = f"{caller} has {MOST} streams open, the most that a caller may have"
            raise TooMany("stream.limit", words, _WAIT_SECONDS)
        if self._open >= self._most:
            self._refused += 1
            wait = random.uniform(_WAIT_SECONDS, 4 * _WAIT_SECONDS)  # so that they do not all come again at once
            raise Overloaded(wait, "streams.at_once", "this process has as many streams open as it may at once")
        self._of[caller] += 1
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]

    def _feed(self, key: Hashable, view: Callable[[], View]) -> Feed:
        known = self._feeds.get(key)
        if known is not None and not known[0].ended:
            return known[0]
        feed = Feed(view(), self._changes, self._share, self._heartbeat_seconds)
        self._feeds[key] = feed, asyncio.create_task(feed.run())
        return feed

    def _close(self, key: Hashable, feed: Feed) -> None:
        known = self._feeds.get(key)
        if known is not None and known[0] is feed:
            del self._feeds[key]
            known[1].cancel()


class EventStream(Response):
    """One endless answer; `Streams.answer` makes it."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, caller: str, key: Hashable, view: Callable[[], View]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._caller = caller
        self._key = key
        self._view = view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the view fails, the caller leaves, or their token ends, which cancels it."""
        transport = _transport(scope)
        with self._streams.watching(self._caller, self._key, self._view, _cut_off(transport)) as watcher:
            if transport is not None:
                transport.set_write_buffer_limits(high=2 * _PART)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": _RETRY, "more_body": True})
            leaving = asyncio.create_task(_leave(receive, watcher))
            try:
                while (message := await watcher.next()) is not None:
                    for part in _parts(message):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
            except asyncio.CancelledError:
                if transport is not None and transport.get_write_buffer_size() > 0:
                    transport.abort()  # a message may be half sent, and nobody waits until it is read
                raise
            finally:
                leaving.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _leave(receive: Receive, watcher: Watcher) -> None:
    """Ends the stream of a caller who has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()


def _parts(message: bytes) -> Iterator[bytes | memoryview]:
    """What is given to the connection at once, without a copy."""
    if len(message) <= _PART:
        yield message
        return
    whole = memoryview(message)
    for first in range(0, len(message), _PART):
        yield whole[first : first + _PART]


def _transport(scope: Scope) -> asyncio.Transport | None:
    """Of the connection, where chassis.web.server serves it."""
    connection = scope.get("state", {}).get(CONNECTION)
    protocol = None if connection is None else connection()
    return None if protocol is None else protocol.transport


def _cut_off(transport: asyncio.Transport | None) -> Callable[[], None]:
    return (lambda: None) if transport is None else transport.abort
