"""Whoever says half of something, or too much of it, is told so and let go; everybody else is served meanwhile."""

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import uvicorn
import uvloop

from chassis.web import server as server_module
from chassis.web.connections import (
    CROWDED,
    FULL,
    IDLE,
    MALFORMED,
    RESERVE,
    Connections,
    Limits,
    limits_of,
    network_of,
    proxies,
)
from chassis.web.protocol import HttpProtocol, counted_by
from chassis.web.server import Server
from tests.support.services import eventually
from tests.system.load import pause_for

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSE = b"connection: close\r\n\r\n"
SHORT = Limits(head_seconds=0.3, body_seconds=0.3, unread_seconds=0.3)


@dataclass
class Application:
    """Answers with the size of the body; `/waits` when it is told, `/large` with more than the system takes at once."""

    told: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        if scope["path"] == "/waits":
            await self.told.wait()
        size, more = 0, scope["path"] != "/early"
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        body = b"x" * 50_000_000 if scope["path"] == "/large" else b"%d" % size
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Serving:
    server: Server
    counted: Connections
    application: Application

    @property
    def port(self) -> int:
        found: int = self.server.port
        return found

    def refused(self) -> Any:
        return self.counted.health()["refused"]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)

    async def say(self, *parts: bytes) -> list[tuple[int, dict[str, str], bytes]]:
        """All answers to what is said on one connection until the other side ends it."""
        reader, writer = await self.open()
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            async with asyncio.timeout(20):
                return answers(await reader.read())
        finally:
            await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Closes a connection, which the other side may have reset."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def answers(raw: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """(status, headers, body) of each, in order."""
    found: list[tuple[int, dict[str, str], bytes]] = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = dict(one.split(": ", 1) for one in lines)
        size = int(headers["content-length"])
        found.append((int(line.split()[1]), headers, raw[:size]))
        raw = raw[size:]
    return found


@asynccontextmanager
async def serving(limits: Limits | None = None) -> AsyncIterator[Serving]:
    application, counted = Application(), Connections(limits or Limits())
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_config=None, ws="none", http=counted_by(counted), timeout_keep_alive=20
    )
    server = Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: _started(server), what="the server")
        yield Serving(server, counted, application)
    finally:
        application.told.set()
        server.force_exit = True
        server.exit()
        await task


async def _started(server: Server) -> bool:
    return server.started


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_TICK_SECONDS", 0.05)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], None]]:
    """Both loops: what a transport does at its end differs."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


NO_HTTP = {
    "no request": (400, b"what is this\r\n\r\n"),
    "a method that there is not": (400, b"FETCH / HTTP/1.1\r\nhost: x\r\n\r\n"),
    "TLS": (400, bytes.fromhex("16030100c5010000c10303") + b"\0" * 100),
    "a path that is not ASCII": (400, b"GET /\xe6\xb0\xb4 HTTP/1.1\r\nhost: x\r\n\r\n"),
    "a path that is none": (400, b"GET ?x HTTP/1.1\r\nhost: x\r\n\r\n"),
    "a header that is none": (400, b"GET / HTTP/1.1\r\nhost x\r\n\r\n"),
    "a control character": (400, b"GET / HTTP/1.1\r\nhost: a\x7f\r\n\r\n"),
    "a length that is none": (400, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
    "two lengths": (400, b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
    "length and chunks": (400, b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a chunk that is none": (400, b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    "a URL of 70 kB": (414, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"),
    "a query of 20 kB": (414, b"GET /?q=" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"),
    "a header of 40 kB": (431, b"GET / HTTP/1.1\r\nhost: " + b"x" * 40_000 + b"\r\n\r\n"),
    "headers of 40 kB": (
        431,
        b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: %s\r\n" % (n, b"x" * 500) for n in range(80)) + b"\r\n",
    ),
    "a header without end": (431, b"GET / HTTP/1.1\r\nhost: " + b"x" * 400_000),
    "101 headers": (431, b"GET / HTTP/1.1\r\n" + b"h: x\r\n" * 101 + b"\r\n"),
}


@pytest.mark.parametrize(("status", "said"), NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_request_is_told_so_as_every_error_is(run: Any, status: int, said: bytes) -> None:
    async def told() -> None:
        async with serving() as serves:
            for before in (b"", GET):
                *earlier, (found, headers, body) = await serves.say(before + said)
                assert [one[0] for one in earlier] == ([200] if before else [])
                assert (found, headers["content-type"]) == (status, "application/problem+json")
                assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
                assert orjson.loads(body)["status"] == status
            assert sum(serves.refused().values()) == 2

    run(told())


def test_what_is_within_the_limits_is_served(run: Any) -> None:
    async def served() -> None:
        async with serving() as serves:
            many = b"".join(b"h%d: %s\r\n" % (n, b"x" * 300) for n in range(99))
            for said in (
                b"GET /?q=" + b"x" * 16_000 + b" HTTP/1.1\r\nconnection: close\r\n\r\n",
                b"GET / HTTP/1.1\r\nconnection: close\r\n" + many + b"\r\n",
                b"GET /%E6%B0%B4 HTTP/1.1\r\nconnection: close\r\n\r\n",
                b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
                b"POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000,
                GET * 10 + b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
            ):
                assert {status for status, _, _ in await serves.say(said)} == {200}, said[:60]
            assert serves.refused() == {}
            assert "/水" in serves.application.asked

    run(served())


def test_half_a_request_is_ended_in_time_whatever_else_is_said(run: Any) -> None:
    """A byte now and then does not give it more time."""

    async def ended() -> None:
        async with serving(SHORT) as serves:
            for beginning, drop in ((b"GET /a", b"x"), (b"GET / HTTP/1.1\r\nhost: x\r\n", b"h: x\r\n")):
                reader, writer = await serves.open()
                writer.write(beginning)
                dripping = asyncio.create_task(_drip(writer, drop))
                async with asyncio.timeout(10):
                    [(status, headers, _)] = answers(await reader.read())
                assert (status, headers["content-type"]) == (408, "application/problem+json")
                dripping.cancel()
                await close(writer)
            body = b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nab"
            assert [status for status, _, _ in await serves.say(GET, body)] == [200, 408]
            assert serves.refused() == {"slow_head": 2, "slow_body": 1}

    run(ended())


async def _drip(writer: asyncio.StreamWriter, drop: bytes) -> None:
    while True:
        writer.write(drop)
        await pause_for(0.02)


def test_a_connection_that_says_nothing_is_closed(run: Any) -> None:
    """Empty lines before a request are nothing, too."""

    async def closed() -> None:
        async with serving(SHORT) as serves:
            assert await serves.say(b"") == []
            reader, writer = await serves.open()
            dripping = asyncio.create_task(_drip(writer, b"\r\n"))
            async with asyncio.timeout(10):
                assert [status for status, _, _ in answers(await reader.read())] in ([], [408])
            dripping.cancel()
            await close(writer)
            assert serves.refused()["idle"] >= 1
            assert [status for status, _, _ in await serves.say(GET)] == [200], "the next one does not come"

    run(closed())


def test_who_does_not_read_is_let_go_and_who_reads_slowly_is_not(run: Any) -> None:
    async def let_go() -> None:
        async with serving(Limits(unread_seconds=2)) as serves:
            _, deaf = await serves.open()
            deaf.write(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
            reader, slow = await serves.open()
            slow.write(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
            size = 0

            async def gone() -> bool:
                nonlocal size
                size += len(await reader.read(500_000))
                return serves.refused().get("unread", 0) == 1 and size >= 50_000_000

            await eventually(gone, seconds=60, what="the end of who does not read, and the answer of who does")
            await eventually(lambda: _left(serves, 0), what="their connections' end")
            await close(deaf)
            await close(slow)

    run(let_go())


async def _left(serves: Serving, connections: int) -> bool:
    return serves.counted.health()["open"] == connections


def test_a_body_that_nobody_reads_has_an_end(run: Any) -> None:
    async def ends() -> None:
        async with serving() as serves:
            _, writer = await serves.open()
            writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n")
            sent = 0
            with contextlib.suppress(OSError):
                while sent < 900:
                    writer.write(b"x" * 1_000_000)
                    await writer.drain()
                    sent += 1
            assert sent < 100
            await close(writer)
            assert serves.refused() == {"large_body": 1}

    run(ends())


def test_requests_that_come_before_their_turn_are_bounded(run: Any) -> None:
    """Those within the bound are answered, each in its turn, and none behind them is begun."""

    async def bounded() -> None:
        async with serving() as serves:
            waits = b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n"
            reader, writer = await serves.open()
            writer.write(waits + GET * 5_000)

            async def over() -> bool:
                return "pipelined" in serves.refused()

            await eventually(over, what="the bound")
            [connection] = serves.server.server_state.connections
            assert isinstance(connection, HttpProtocol)
            assert len(connection.pipeline) == serves.counted.limits.pipelined
            serves.application.told.set()
            async with asyncio.timeout(10):
                found = answers(await reader.read())
            assert [status for status, _, _ in found] == [200] * (1 + serves.counted.limits.pipelined)
            assert len(serves.application.asked) == len(found)
            await close(writer)

    run(bounded())


def test_what_comes_behind_a_request_is_never_put_into_its_answer(run: Any) -> None:
    async def apart() -> None:
        async with serving() as serves:
            reader, writer = await serves.open()
            writer.write(b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n")

            async def asked() -> bool:
                return serves.application.asked == ["/waits"]

            await eventually(asked, what="the request")
            writer.write(b"what is this\r\n\r\n")

            async def counted() -> bool:
                return serves.refused() == {"malformed": 1}

            await eventually(counted, what="the rest")
            serves.application.told.set()
            async with asyncio.timeout(10):
                assert [status for status, _, _ in answers(await reader.read())] == [200, 400]
            await close(writer)

    run(apart())


def test_more_connections_than_may_be_are_told_when_to_come_again(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def told() -> None:
        async with serving(Limits(most=8)) as serves:
            held = [await serves.open() for _ in range(8)]
            await eventually(lambda: _left(serves, 8), what="eight connections")
            for _ in range(3):
                [(status, headers, body)] = await serves.say(GET)
                assert (status, headers["content-type"]) == (503, "application/problem+json")
                assert 1 <= int(headers["retry-after"]) <= 10
                assert orjson.loads(body)["rule"] == "connections.at_once"
            for probe in (b"/health", b"/ready?"):
                assert [one[0] for one in await serves.say(GET.replace(b"/", probe, 1)[:-2] + CLOSE)] == [200]
            for _, writer in held:
                await close(writer)
            await eventually(lambda: _left(serves, 0), what="the end of all")
            assert [one[0] for one in await serves.say(GET[:-2] + CLOSE)] == [200]
            assert serves.refused() == {"full": 3}

    caplog.set_level(logging.INFO)
    run(told())
    lines = [record.getMessage() for record in caplog.records if "connections are" in record.getMessage()]
    assert lines == ["connections are refused or ended; so far: full 1; the last from 127.0.0.1"]


def test_a_refused_caller_that_stays_is_cut_off(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut_off() -> None:
        async with serving(Limits(most=1)) as serves:
            held = [await serves.open() for _ in range(200)]
            await eventually(lambda: _left(serves, 1), what="all but one are gone", seconds=20)
            for _, writer in held:
                await close(writer)
            await eventually(lambda: _left(serves, 0), what="all are gone")
            assert (serves.counted.lingering, serves.counted.excess) == (0, 0)

    run(cut_off())


def test_one_address_has_its_share_and_a_proxy_does_not() -> None:
    counted = Connections(Limits(most=10, per_address=2), proxies("10.0.0.1, 192.168.0.0/16"))
    assert [counted.opened("1.2.3.4") for _ in range(3)] == [None, None, CROWDED]
    assert [counted.opened(f"2001:db8::{n}") for n in range(3)] == [None, None, CROWDED], "a network is one"
    for host in ("10.0.0.1", "192.168.7.7"):
        assert [counted.opened(host) for _ in range(2)] == [None, None]
    assert counted.opened("10.0.0.1") is FULL
    for host in ("1.2.3.4", "1.2.3.4", "1.2.3.4"):
        counted.closed(host)
    assert counted.opened("1.2.3.4") is None
    assert proxies("*")("9.9.9.9")
    assert not proxies("")("127.0.0.1")
    assert network_of("no address") == "?"


def test_file_descriptors_are_left_for_database_and_broker() -> None:
    """With as many connections as there may be, as many descriptors as the reserve are free."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def full() -> int:
        limits = limits_of(4096)
        held = list[socket.socket]()
        async with serving(limits) as serves:
            try:
                for _ in range(limits.most):
                    one = socket.socket()
                    held.append(one)
            except OSError:
                return -1
            finally:
                for one in held:
                    one.close()
            assert serves.refused() == {}
        return limits.most

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVE + 100, before[1]))
        assert asyncio.run(full()) == 100
        assert limits_of(50).most == 50
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
        assert limits_of(4096).most == 25, "with few descriptors a quarter"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_log_says_once_that_connections_are_refused_and_in_the_end_how_many_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now, later = [100.0], list[Callable[[], None]]()
    counted = Connections(Limits(), clock=lambda: now[0], call_later=lambda _, work: later.append(work))
    counted.refused(IDLE, "1.2.3.4")
    assert not caplog.records, "a browser opens a connection before it needs one"
    for n in range(50):
        now[0] += 0.1
        counted.refused(FULL if n % 2 else MALFORMED, f"1.2.3.{n}")
    assert len(caplog.records) == 1
    now[0] += 10
    later.pop()()
    later.pop()()
    assert [record.getMessage() for record in caplog.records] == [
        "connections are refused or ended; so far: malformed 1; the last from 1.2.3.0",
        "connections are refused or ended; so far: full 25, malformed 25; the last from 1.2.3.49",
        "connections are no longer refused or ended; there were within 5 seconds: full 25, malformed 25",
    ]
    assert not later
    counted.refused(FULL, "1.2.3.4")
    assert caplog.records[-1].getMessage().endswith("so far: full 1; the last from 1.2.3.4")
    assert counted.health()["refused"] == {"full": 26, "idle": 1, "malformed": 25}
