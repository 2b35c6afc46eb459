"""The lean HTTP client: what it sends is HTTP, connections are kept, and what breaks fails as with httpx."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import httpx
import pytest

from deploy.replay import client
from deploy.replay.client import Client

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\ntrue"
Act = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    """Notes every request, and answers the n-th as told; `connections` counts those that were made."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError):  # the client has gone
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append((head, await reader.readexactly(length)))
                await self._act(writer, len(self.requests))

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)


@asynccontextmanager
async def serving(act: Act) -> AsyncIterator[tuple[Server, str]]:
    server = Server(act)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await server.close()


async def answer(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(OK)


async def test_a_request_is_http_and_its_connection_is_used_again() -> None:
    async with serving(answer) as (server, url), aclosing(Client()) as caller:
        for _ in range(3):
            got = await caller.request("POST", f"{url}/a/b", json={"x": "水"}, params={"q": "1 2"}, headers={"k": "v"})
            assert (got.status_code, got.json(), got.headers["content-type"]) == (200, True, "application/json")
        assert server.connections == 1
        head, body = server.requests[0]
        assert head.startswith((b"POST /a/b?q=1%202 HTTP/1.1\r\n", b"POST /a/b?q=1+2 HTTP/1.1\r\n"))
        assert b"\r\nk: v\r\n" in head
        assert json.loads(body) == {"x": "水"}


async def test_requests_at_one_time_have_a_connection_each() -> None:
    all_there = asyncio.Barrier(5)

    async def together(writer: asyncio.StreamWriter, _: int) -> None:
        await all_there.wait()
        writer.write(OK)

    async with serving(together) as (server, url), aclosing(Client()) as caller:
        await asyncio.gather(*(caller.request("GET", url) for _ in range(5)))
        assert server.connections == 5


async def test_an_answer_in_pieces_and_in_chunks_is_put_together() -> None:
    async def in_pieces(writer: asyncio.StreamWriter, _: int) -> None:
        for piece in (
            b"HTTP/1.1 201 Created\r\ntransfer-",
            b"encoding: chunked\r\n\r\n2\r\n[1\r",
            b"\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n",
        ):
            writer.write(piece)
            await writer.drain()

    async with serving(in_pieces) as (_, url), aclosing(Client()) as caller:
        got = await caller.request("GET", url)
        assert (got.status_code, got.json()) == (201, [1, 2])


async def test_a_connection_that_the_server_gave_up_while_it_was_idle_costs_nothing() -> None:
    async def give_up_after_the_first(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 2:
            writer.close()
        else:
            writer.write(OK)

    async with serving(give_up_after_the_first) as (server, url), aclosing(Client()) as caller:
        await caller.request("GET", url)
        assert (await caller.request("GET", url)).status_code == 200
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("begun", [b"", OK[:-2]])
async def test_an_answer_that_never_comes_whole_is_a_transport_error(begun: bytes) -> None:
    async def break_off(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(begun)
        writer.close()

    async with serving(break_off) as (_, url), aclosing(Client()) as caller:
        with pytest.raises(httpx.TransportError):
            await caller.request("GET", url)


async def test_what_is_not_http_is_a_transport_error() -> None:
    async def babble(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"hello\r\n\r\n")

    async with serving(babble) as (_, url), aclosing(Client()) as caller:
        with pytest.raises(httpx.TransportError):
            await caller.request("GET", url)


async def test_silence_and_a_closed_port_are_transport_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SECONDS", 0.05)

    async def say_nothing(writer: asyncio.StreamWriter, _: int) -> None:
        await writer.drain()

    async with serving(say_nothing) as (_, url), aclosing(Client()) as caller:
        with pytest.raises(httpx.ReadTimeout):
            await caller.request("GET", url)
    async with aclosing(Client()) as caller:
        with pytest.raises(httpx.ConnectError):
            await caller.request("GET", url)
