"""The HTTP server: uvicorn's, which rests until it has something to do, and takes in all who have come at once."""

import asyncio
import contextlib
import logging
import os
import socket
import weakref
from types import FrameType
from typing import Any

import uvicorn

from chassis.retry import LACKING, in_words
from chassis.web.protocol import HttpProtocol

log = logging.getLogger(__name__)

CONNECTION = "connection"
"""Under this name a request's state has a weak reference to the protocol of its connection."""
_TICK_SECONDS = 1.0
"""How often the header Date is written anew, and each connection is looked at."""
_CONNECTIONS = 64
"""That are taken in before the loop goes on with what it has."""
_PAUSE_SECONDS = 1.0
"""Until the next look where a connection could not be taken in, as for lack of file descriptors."""


class Server(uvicorn.Server):
    """Is told to stop: uvicorn's own looks ten times a second, in a process that has nothing to do, too.

    And takes in connections as they come. uvloop takes in one each time that it has done all that was to be done, so a
    process with much to do lets its callers wait until the system's queue is full, and new ones are reset.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        assert not config.is_ssl, "TLS ends before this server"
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and exits where the address is taken."""
        await super().startup(sockets)
        for server in self.servers:
            self._listening += [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
            server.close()  # without descriptors uvloop's own would take all who wait, and close them
        for listener in self._listening:
            self._look(listener)

    @property
    def port(self) -> int:
        """Where it listens."""
        found: int = self._listening[0].getsockname()[1]
        return found

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes in nobody any more, and ends what there is."""
        listening, self._listening = self._listening, []
        for listener in listening:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        await asyncio.gather(*self._arriving, return_exceptions=True)  # so that they are told to end, too
        await super().shutdown(sockets)

    def _look(self, listener: socket.socket) -> None:
        if listener in self._listening:
            asyncio.get_running_loop().add_reader(listener, self._take_in, listener)

    def _take_in(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            try:
                connection, _address = listener.accept()
            except BlockingIOError:
                return
            except OSError as fault:
                if fault.errno not in LACKING:
                    continue  # of one who is gone already
                log.warning("no connection can be taken in: %s", in_words(fault))
                loop.remove_reader(listener)
                loop.call_later(_PAUSE_SECONDS, self._look, listener)
                return
            arriving = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
            self._arriving.add(arriving)
            arriving.add_done_callback(self._arrived)

    def _arrived(self, arriving: asyncio.Task[object]) -> None:
        self._arriving.discard(arriving)
        if not arriving.cancelled() and (fault := arriving.exception()) is not None:
            log.info("a connection ended before it began: %s", in_words(fault))

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        state = dict(self.lifespan.state)
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=state)
        state[CONNECTION] = weakref.ref(made)
        return made

    async def on_tick(self, counter: int) -> bool:
        """Once a second: looks at each connection, and says whether to stop."""
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.look(now)
        return await super().on_tick(counter)

    def exit(self) -> None:
        """Stops at once: no new connections, and those that there are end."""
        self.should_exit = True
        self._asked.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Notes a signal, which may come in the middle of anything."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)

    async def main_loop(self) -> None:
        """Serves until it is asked to stop."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._asked.wait()
