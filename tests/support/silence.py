"""A network that drops packets: connections through it stay open, and nothing comes any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

_AROUND: ContextVar[bool] = ContextVar("around", default=False)


class Line:
    """Passes bytes on, until it falls silent. Connections of before stay silent when it is mended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._age = 0
        self.silent = False

    def fall_silent(self) -> None:
        """From now on nothing is passed on, on old connections and on new ones."""
        self._age += 1
        self.silent = True

    def mend(self) -> None:
        """New connections pass on what they are given again."""
        self.silent = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with around():
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        dead = self.silent
        age = self._age
        ways = ((reader, far_writer), (far_reader, writer))
        pumps = [asyncio.create_task(self._pump(*way, age, dead)) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            far_writer.close()
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, age: int, dead: bool) -> None:
        with contextlib.suppress(OSError):
            while raw := await source.read(65536):
                if age == self._age and not dead:
                    sink.write(raw)
                    await sink.drain()


@contextlib.contextmanager
def around() -> Iterator[None]:
    """What connects in here does not go through the line."""
    token = _AROUND.set(True)
    try:
        yield
    finally:
        _AROUND.reset(token)


@contextlib.asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """All connections that this process makes to the port go through the line, whatever address the server gave."""
    line = Line(port)
    loop: Any = asyncio.get_running_loop()
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    [by] = [one.getsockname()[1] for one in server.sockets]
    connect = loop.create_connection

    def redirected(factory: Any, host: Any = None, asked: Any = None, **options: Any) -> Any:
        return connect(factory, host, by if asked == port and not _AROUND.get() else asked, **options)

    loop.create_connection = redirected
    try:
        yield line
    finally:
        del loop.create_connection
        server.close()
