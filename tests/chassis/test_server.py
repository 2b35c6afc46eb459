"""The HTTP server rests while nobody asks, has the right date, takes in all who come, and stops when it is told."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop

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


def other_work() -> None:
    """That the loop is busy with."""
    sum(range(20_000))


async def date(server: Server) -> datetime:
    port = server.port
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


def test_a_busy_process_takes_in_all_who_have_come() -> None:
    """Otherwise the system's queue of connections gets full, and who is answered with 503 elsewhere is reset here."""

    async def rounds() -> int:
        async with serving() as (server, _):
            callers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
            try:
                for done in range(200):
                    if len(server.server_state.connections) == len(callers):
                        return done
                    other_work()
                    await asyncio.sleep(0)
            finally:
                for caller in callers:
                    caller.close()
        raise AssertionError("after 200 rounds of the loop some still wait")

    assert uvloop.run(rounds()) <= 20


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
def test_without_file_descriptors_callers_wait_and_are_served_afterwards(
    run: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def starved() -> None:
        async with serving() as (server, _):
            await date(server)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.socket() as caller:
                caller.setblocking(False)
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (caller.fileno() + 1, hard))
                    with pytest.raises(BlockingIOError):
                        caller.connect(("127.0.0.1", server.port))

                    async def told() -> bool:
                        return "no connection can be taken in" in caplog.text

                    await eventually(told, what="a line of the log")
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(caller, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                async with asyncio.timeout(20):
                    assert (await loop.sock_recv(caller, 100)).startswith(b"HTTP/1.1 204")

    run(starved())


def test_a_stop_ends_connections_that_are_just_coming_in() -> None:
    async def stopped() -> None:
        async with serving() as (server, task):
            callers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
            try:
                await asyncio.sleep(0)
                server.exit()
                async with asyncio.timeout(5):  # one that is not told would be waited for
                    await asyncio.shield(task)
            finally:
                for caller in callers:
                    caller.close()

    uvloop.run(stopped())
