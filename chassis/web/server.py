"""The HTTP server: uvicorn's, which rests until it has something to do."""

import asyncio
import contextlib
from types import FrameType

import uvicorn

_TICK_SECONDS = 1.0
"""How often the header Date is written anew."""


class Server(uvicorn.Server):
    """Is told to stop. uvicorn's own looks ten times a second, in a process that has nothing to do, too."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

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
