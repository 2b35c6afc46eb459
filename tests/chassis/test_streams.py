"""Endless answers: shared by who is shown the same, bounded, and ended for who does not read."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Response

from chassis.clock import Clock
from chassis.runtime import application
from chassis.store.database import Database
from chassis.web.application import Routes
from chassis.web.feeds import BEHIND, Said
from chassis.web.requests import CallerDep, ProcessDep
from chassis.web.roles import SIGNED_IN, Access, Bound
from chassis.web.server import Server
from chassis.web.streams import EventStream, Streams
from tests.support.services import Running, eventually, running, token
from tests.support.tally import MODEL, TALLY

OPERATOR = token("chen", "administrator")


@dataclass
class Asked:
    """What the views of a test were asked for, and how large their messages are."""

    whole: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    padding: str = ""
    fault: Exception | None = None


ASKED = Asked()


class Named:
    """A view that says its name and what has changed."""

    def __init__(self, database: Database, clock: Clock, name: str) -> None:
        self._name = name

    async def whole(self) -> Said:
        if ASKED.fault is not None:
            raise ASKED.fault
        ASKED.whole[self._name] += 1
        return self._said("whole", [])

    async def after(self, changed: frozenset[str]) -> Said | None:
        ASKED.after[self._name] += 1
        return None if changed == {"hidden"} else self._said("change", sorted(changed))

    async def later(self) -> Said | None:
        return None

    def _said(self, event: str, changed: list[str]) -> Said:
        return Said(event, json.dumps({"name": self._name, "changed": changed, "padding": ASKED.padding}).encode())


router = APIRouter()


@router.get("/watched", status_code=200, response_class=EventStream)
async def watch(name: str, caller: CallerDep, process: ProcessDep) -> Response:
    """Streams the view of that name."""
    return process.streams.answer(caller.subject, Named, name)


WATCHED = Routes(router, {("GET", "/watched"): Access(SIGNED_IN, Bound.NOTHING)}, {})
SERVICE = replace(TALLY, model=replace(MODEL, announces=True), routes=TALLY.routes | WATCHED)


@pytest.fixture(autouse=True)
def asked() -> Asked:
    ASKED.__init__()
    return ASKED


@dataclass
class Served:
    """The service, and where it listens."""

    tally: Running
    port: int

    async def change(self, case: str) -> None:
        await self.tally.runtime.database.fetch("SELECT pg_notify('tally_changed', $1)", case)

    async def figures(self) -> dict[str, int]:
        return (await self.tally.client.get("/health", headers=OPERATOR)).json()["streams"]

    async def open(self) -> int:
        return (await self.figures())["open"]


@asynccontextmanager
async def served(url: str, *, heartbeat_seconds: float = 15, **settings: Any) -> AsyncIterator[Served]:
    async with running(SERVICE, url, **settings) as tally:
        runtime = tally.runtime
        runtime.streams = Streams(
            runtime.database, runtime.changes, runtime.clock, runtime.settings.streams, heartbeat_seconds
        )
        server = Server(uvicorn.Config(application(runtime), port=0, lifespan="off", log_config=None, ws="none"))
        task = asyncio.create_task(server.serve())

        async def started() -> bool:
            return server.started

        await eventually(started, what="the server")
        try:
            yield Served(tally, server.port)
        finally:
            server.exit()
            await task


class Client:
    """One stream over a connection of its own, of which nothing is read unless it is asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def status(self) -> tuple[int, dict[str, str]]:
        """The status and the headers."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)).decode()
        line, *headers = head.strip().split("\r\n")
        return int(line.split()[1]), dict(one.lower().split(": ", 1) for one in headers)

    async def part(self) -> bytes:
        """The next chunk; nothing once the answer has ended."""
        size = int(await asyncio.wait_for(self._reader.readuntil(b"\r\n"), 20), 16)
        return (await asyncio.wait_for(self._reader.readexactly(size + 2), 20))[:-2]

    async def message(self) -> tuple[str, Any]:
        """The next message, without comments: its event and its data."""
        text = b""
        while not (text.startswith(b"id: ") and text.endswith(b"\n\n")):
            part = await self.part()
            assert part, "the stream ended"
            text = text + part if text.startswith(b"id: ") else part
        fields = dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))
        return fields["event"], json.loads(fields["data"])

    async def rest(self) -> bytes:
        """All that comes until the other side closes, or resets, the connection."""
        found = b""
        try:
            while part := await asyncio.wait_for(self._reader.read(1 << 20), 20):
                found += part
        except ConnectionError:
            pass
        return found

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def watching(served: Served, name: str, headers: dict[str, str], limit: int = 1 << 16) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=limit)
    lines = [f"GET /watched?name={name} HTTP/1.1", "host: tally", f"authorization: {headers['authorization']}", "", ""]
    writer.write("\r\n".join(lines).encode())
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()


async def test_who_is_shown_the_same_shares_one_rendering_and_nobody_else_gets_it(tally_database: str) -> None:
    """Thirty callers of each of three views: after a change each view is asked once, and each hears its own."""
    async with served(tally_database) as tally, AsyncExitStack() as stack:
        clients = {
            (name, n): await stack.enter_async_context(watching(tally, name, token(f"p{n}", "acceptor")))
            for name in ("a", "b", "c")
            for n in range(30)
        }
        for (name, _), client in clients.items():
            assert (await client.status())[0] == 200
            event, data = await client.message()
            assert (event, data["name"]) == ("whole", name)
        assert await tally.figures() == {"open": 90, "most": 2000, "views": 3, "refused": 0, "dropped": 0}
        assert sum(ASKED.whole.values()) < 90 / 2, "who comes at the same time shares the whole"
        ASKED.after.clear()
        for case in ("1", "2"):
            await tally.change(case)
            for (name, _), client in clients.items():
                assert await client.message() == ("change", {"name": name, "changed": [case], "padding": ""})
        assert ASKED.after == {"a": 2, "b": 2, "c": 2}


async def test_what_one_is_not_to_know_of_is_no_message(tally_database: str) -> None:
    async with served(tally_database) as tally, watching(tally, "a", OPERATOR) as client:
        await client.status()
        await client.message()
        await tally.change("hidden")

        async def heard() -> bool:
            return ASKED.after["a"] > 0

        await eventually(heard, what="the view")
        await tally.change("seen")
        assert (await client.message())[1]["changed"] == ["seen"]


async def test_one_stream_more_is_503_and_when_to_ask_again(tally_database: str) -> None:
    async with served(tally_database, CASEGRID_STREAMS=2) as tally, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(watching(tally, "a", OPERATOR)) for _ in range(2)]
        for client in clients:
            assert (await client.status())[0] == 200
        url = f"http://127.0.0.1:{tally.port}"
        async with httpx.AsyncClient(base_url=url, headers=token("li", "acceptor"), timeout=20) as other:
            refused = await other.get("/watched?name=a")
            assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
            assert refused.json() == {
                "type": "urn:casegrid:rule:streams.at_once",
                "title": "Busy",
                "status": 503,
                "detail": "this process has as many streams open as it may at once",
                "rule": "streams.at_once",
            }
            assert 5 <= int(refused.headers["retry-after"]) <= 20
            assert (await other.get("/me")).status_code == 200
        assert (await tally.figures())["refused"] == 1
        clients[0].close()

        async def free() -> bool:
            return await tally.open() == 1

        await eventually(free, what="the place of who has gone")
        async with watching(tally, "a", OPERATOR) as client:
            assert (await client.status())[0] == 200


async def test_who_does_not_read_is_dropped_and_keeps_up_nobody(tally_database: str) -> None:
    ASKED.padding = "x" * 4_000_000  # more than the system keeps for a connection
    async with served(tally_database) as tally, watching(tally, "a", OPERATOR) as slow:
        await slow.status()
        async with watching(tally, "a", OPERATOR, limit=1 << 24) as quick:
            await quick.status()
            await quick.message()
            for n in range(BEHIND + 2):
                await tally.change(f"{n}")
                assert (await quick.message())[1]["changed"] == [f"{n}"]
            assert await tally.figures() == {"open": 1, "most": 2000, "views": 1, "refused": 0, "dropped": 1}
            rest = await slow.rest()
            assert len(rest) < 2 * 4_000_000, "it is cut off"


async def test_nobody_keeps_a_stream_by_reading_nothing_when_their_token_ends(tally_database: str) -> None:
    ASKED.padding = "x" * 8_000_000
    async with served(tally_database) as tally, AsyncExitStack() as stack:
        headers = token("li", "acceptor", expires_in=-30 + 3)
        slow = await stack.enter_async_context(watching(tally, "a", headers))
        assert (await slow.status())[0] == 200

        async def ended() -> bool:
            return await tally.open() == 0

        await eventually(ended, what="the end of the token")
        rest = await slow.rest()
        assert b"the token has expired" not in rest, "not in the middle of a message"
        assert len(rest) < 8_000_000


async def test_a_large_message_is_the_same_in_parts(tally_database: str) -> None:
    ASKED.padding = "".join(map(chr, range(0x4E00, 0x9000))) * 20
    async with served(tally_database) as tally, watching(tally, "a", OPERATOR) as client:
        await client.status()
        assert (await client.message())[1] == {"name": "a", "changed": [], "padding": ASKED.padding}


async def test_a_silent_stream_has_a_heartbeat(tally_database: str) -> None:
    async with served(tally_database, heartbeat_seconds=0.05) as tally, watching(tally, "a", OPERATOR) as client:
        await client.status()
        assert await client.part() == b"retry: 1000\n\n"
        assert (await client.part()).startswith(b"id: 1\nevent: whole")
        for _ in range(2):
            assert await client.part() == b": heartbeat\n\n"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (ConnectionResetError("gone"), b": the database cannot be reached\n\n"),
        (ValueError("a defect"), b": the view failed\n\n"),
    ],
)
async def test_a_view_that_fails_ends_its_streams_and_the_next_begins_anew(
    tally_database: str, fault: Exception, said: bytes
) -> None:
    async with served(tally_database) as tally:
        ASKED.fault = fault
        async with watching(tally, "a", OPERATOR) as client:
            assert (await client.status())[0] == 200
            assert [await client.part() for _ in range(3)] == [b"retry: 1000\n\n", said, b""]
        ASKED.fault = None
        async with watching(tally, "a", OPERATOR) as client:
            await client.status()
            assert (await client.message())[0] == "whole"


async def test_a_view_that_nobody_watches_is_gone(tally_database: str) -> None:
    async with served(tally_database) as tally:
        async with watching(tally, "a", OPERATOR) as client:
            await client.status()
            await client.message()
            assert (await tally.figures())["views"] == 1

        async def gone() -> bool:
            return (await tally.figures())["views"] == 0

        await eventually(gone, what="the end of the view")
        ASKED.after.clear()
        await tally.change("1")
        async with watching(tally, "b", OPERATOR) as other:
            await other.status()
            await other.message()
        assert not ASKED.after["a"]
