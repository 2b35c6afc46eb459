"""Live views: one query and one rendering for all who are shown the same, and the same bytes for each of them.

A feed belongs to what is shown. Whoever comes gets the whole of it, then what changes. Feeds ask the database one after
the other, so all of them together take one connection of the pool; and after each piece of work they rest for twice its
time, so that commands have the rest of the process, however many watch.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from typing import NamedTuple, Protocol

from chassis.retry import in_words
from chassis.store.changes import Changes
from chassis.store.database import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

BEHIND = 8
"""The messages that may wait for a watcher; with one more they are dropped."""
PAUSE_SECONDS = 0.2
"""The least time between two messages: changes meanwhile come as one, and who comes meanwhile shares a whole."""
_REST = 2
"""How many times as long as it worked a feed rests."""
_MOST_REST_SECONDS = 0.1
"""For how long at most: what took long mostly waited, for the database or for its turn in a busy process."""
_AT_ONCE, _BYTES_AT_ONCE = 25, 1024 * 1024
"""Watchers and bytes that are sent in one go."""
_WELCOMED = 100
"""Newcomers who get the whole before the others hear what has changed meanwhile."""
_HEARTBEAT = b": heartbeat\n\n"
_NEWCOMER = frozenset[str]()
"""What a feed hears of beside changes: somebody has come."""


class Said(NamedTuple):
    """A message: the name of the event, and its data in one line of JSON."""

    event: str
    data: bytes


class View(Protocol):
    """What a feed shows. It knows nobody of those who watch: what it says is for each of them."""

    async def whole(self) -> Said:
        """All of it, for those who come."""
        ...

    async def after(self, changed: frozenset[str]) -> Said | None:
        """What is to be said after these cases have changed; nothing if it does not show in the view."""
        ...

    async def later(self) -> Said | None:
        """What time alone has changed since the last message."""
        ...


class Watcher:
    """The messages that wait for one who watches; the bytes are those of all."""

    def __init__(self, cut_off: Callable[[], None]) -> None:
        """`cut_off` ends the connection, whatever waits there to be read."""
        self._cut_off = cut_off
        self._waiting: deque[bytes | None] = deque()
        self._some = asyncio.Event()
        self.dropped = False
        """Whether they were too slow."""

    def give(self, message: bytes) -> None:
        """Adds a message. Drops the watcher for whom too many wait."""
        if len(self._waiting) < BEHIND:
            self._add(message)
        elif not self.dropped:
            self.dropped = True
            self._cut_off()
            self.end()

    def end(self, *last: bytes) -> None:
        """Lets the watcher go after these messages, whatever waits."""
        self._waiting.clear()
        for message in (*last, None):
            self._add(message)

    def _add(self, message: bytes | None) -> None:
        self._waiting.append(message)
        self._some.set()

    async def next(self) -> bytes | None:
        """The next message; None when there will be no other."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()


class Share:
    """Turns at work, with rests between them in which the process does what else there is to do."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One after the other, in the order in which they were asked for."""
        async with self._lock:
            began = time.monotonic()
            yield
            await asyncio.sleep(min((time.monotonic() - began) * _REST, _MOST_REST_SECONDS))


class Feed:
    """What is sent to all who watch one view."""

    def __init__(self, view: View, changes: Changes, share: Share, heartbeat_seconds: float) -> None:
        self._view = view
        self._changes = changes
        self._share = share
        self._heartbeat_seconds = heartbeat_seconds
        self._watchers: set[Watcher] = set()
        self._newcomers: dict[Watcher, None] = {}
        """In the order in which they came."""
        self._news: asyncio.Queue[frozenset[str]] | None = None
        self._number = 0
        self._whole: bytes | None = None
        """What newcomers get, as long as it was the last that was said."""
        self.ended = False
        """Whether it has failed; whoever comes then needs another one."""

    def join(self, watcher: Watcher) -> None:
        """From the next message on, which is the whole."""
        self._newcomers[watcher] = None
        self._wake()

    def leave(self, watcher: Watcher) -> bool:
        """Whether nobody is left."""
        self._watchers.discard(watcher)
        self._newcomers.pop(watcher, None)
        return not self._watchers and not self._newcomers

    async def run(self) -> None:
        """Until cancelled, or until the view fails: then all streams end, and the clients connect again."""
        try:
            await self._run()
        except TRANSIENT_ERRORS as fault:
            log.warning("live views end: %s", in_words(fault))
            self._end(b": the database cannot be reached\n\n")
        except Exception:
            log.exception("a live view failed")
            self._end(b": the view failed\n\n")

    def _end(self, because: bytes) -> None:
        self.ended = True
        for watcher in (*self._watchers, *self._newcomers):
            watcher.end(because)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        silent_until = now() + self._heartbeat_seconds
        async with self._changes.listen() as self._news:
            while True:
                if self._newcomers:
                    await self._welcome()
                    await asyncio.sleep(PAUSE_SECONDS)
                    if self._newcomers:
                        self._wake()
                try:
                    changed = await asyncio.wait_for(self._news.get(), max(0.0, silent_until - now()))
                except TimeoutError:
                    message = await self._said(self._view.later()) or _HEARTBEAT
                else:
                    while not self._news.empty():
                        changed |= self._news.get_nowait()
                    message = await self._said(self._view.after(changed)) if changed else None
                if message is not None:
                    self._whole = None
                    await self._tell(self._watchers, message)
                    silent_until = now() + self._heartbeat_seconds
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _welcome(self) -> None:
        if self._whole is None:
            self._whole = await self._said(self._view.whole())
        assert self._whole is not None
        newcomers = list(islice(self._newcomers, _WELCOMED))
        for watcher in newcomers:
            del self._newcomers[watcher]
        self._watchers |= {*newcomers}
        await self._tell(newcomers, self._whole)

    def _wake(self) -> None:
        if self._news is not None and not self._news.full():
            self._news.put_nowait(_NEWCOMER)

    async def _said(self, asked: Awaitable[Said | None]) -> bytes | None:
        async with self._share.turn():
            said = await asked
        if said is None:
            return None
        self._number += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._number, said.event.encode(), said.data)

    async def _tell(self, watchers: Iterable[Watcher], message: bytes) -> None:
        every = list(watchers)
        some = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // len(message)))
        for first in range(0, len(every), some):
            async with self._share.turn():
                for watcher in every[first : first + some]:
                    watcher.give(message)
                await asyncio.sleep(0)  # in which their tasks send it
