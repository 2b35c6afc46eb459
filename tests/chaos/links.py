"""A TCP proxy on loopback whose connections can be cut, fall silent, or become slow."""

import asyncio
import contextlib
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal

from deploy.stack.ports import LOOPBACK
from tests.system.load import pause_for

Mode = Literal["open", "cut", "silent", "slow"]
_CHUNK = 16 * 1024
_SLOW_SECONDS = 0.1
"""Each chunk waits so long: 160 KB a second, and every question and answer 0.2 s longer."""


class Link:
    """Use as an async context manager; `port` is where it listens, `to` the server's.

    Cut: what is open is reset, and new connections are as well. Silent: connections stay and are taken, and no byte
    arrives; afterwards what was held back arrives, as after a network's failure that TCP survives.
    """

    def __init__(self, to: int, port: int) -> None:
        self.port = port
        self._to = to
        self._mode: Mode = "open"
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._reset()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def turn(self, mode: Mode) -> None:
        """How it behaves from now on."""
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode == "cut":
            self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            _abort(writer)
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cut":
            _abort(writer)
            return
        try:
            there, back = await asyncio.open_connection(LOOPBACK, self._to)
        except OSError:  # the server is away, as the client would see it without us
            _abort(writer)
            return
        if self._mode == "cut":  # meanwhile
            _abort(writer, back)
            return
        self._writers |= {writer, back}
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, target))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK):
                while self._mode == "silent":
                    await self._changed.wait()
                if self._mode == "slow":
                    await pause_for(_SLOW_SECONDS)
                target.write(chunk)
                await target.drain()
        self._writers.discard(target)
        target.close()


def _abort(*writers: asyncio.StreamWriter) -> None:
    """With a reset, not with an end in order, which is what a lingering of no seconds means to TCP."""
    for writer in writers:
        if not writer.is_closing():
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
