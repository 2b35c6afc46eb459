"""The HTTP server rests while nobody asks, has the right date, and stops when it is told."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import uvicorn

from chassis.web import server as server_module
from chassis.web.server import Server
from tests.support.services import eventually


class Counting(Server):
    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def obeyed_signal() -> Iterator[None]:
    """uvicorn raises a signal again when it has stopped."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Counting, asyncio.Task[None]]]:
    server = Counting(uvicorn.Config(nothing, port=0, lifespan="off", log_config=None, ws="none"))
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: started(server), what="the server")
        yield server, task
    finally:
        server.exit()
        await task


async def started(server: Server) -> bool:
    return server.started


async def date(server: Server) -> datetime:
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient() as client:
        return parsedate_to_datetime((await client.get(f"http://127.0.0.1:{port}")).headers["date"])


async def test_the_date_is_right_though_it_looks_once_a_second() -> None:
    async with serving() as (server, _):
        first, looked = await date(server), server.ticks

        async def moved() -> datetime | None:
            found = await date(server)
            return found if (found - first).total_seconds() > 2 else None

        last = await eventually(moved, what="a later date", seconds=30)
        assert last is not None
        assert abs((datetime.now(UTC) - last).total_seconds()) < 3
        assert server.ticks - looked <= 5  # uvicorn's own looks thirty times meanwhile


@pytest.mark.parametrize(
    "stop", [lambda server: os.kill(os.getpid(), signal.SIGTERM), Server.exit], ids=["a signal", "a call"]
)
async def test_it_stops_at_once_and_not_at_its_next_look(
    monkeypatch: pytest.MonkeyPatch, stop: Callable[[Server], None]
) -> None:
    monkeypatch.setattr(server_module, "_TICK_SECONDS", 3600)
    async with serving() as (server, task):
        await date(server)
        stop(server)
        async with asyncio.timeout(10):
            await asyncio.shield(task)
