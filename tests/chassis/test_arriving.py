"""Bodies that come slowly have a bound in all and for each caller, and one that does not come has no effect."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from chassis.web.arriving import CALLER_BYTES, LEAST_BYTES, MOST_BYTES, Arriving
from chassis.web.errors import Overloaded
from tests.support.facts import case_id, fact_record, report
from tests.support.services import Running, eventually, running, token
from tests.support.tally import TALLY

PART = 512 * 1024
MANY = CALLER_BYTES // PART - 1
"""Of one caller, so that each may still grow a little."""
HELD = MANY * PART


class Slow:
    """A body that stops in the middle until it is told to go on."""

    def __init__(self, size: int = PART) -> None:
        self._size = size
        self.goes_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{".ljust(self._size)
        await self.goes_on.wait()
        yield b'"text": "a"}'


async def note(tally: Running, case: str, body: Any, who: str = "li") -> httpx.Response:
    headers = {**token(who, "acceptor"), "content-type": "application/json"}
    return await tally.client.post(f"/cases/{case}/notes", content=body, headers=headers)


async def counted(tally: Running, size: int) -> bool:
    return tally.runtime.arriving.health()["bytes"] == size


async def test_one_caller_s_slow_bodies_are_bounded_and_keep_nobody_else_out(tally_database: str) -> None:
    case = case_id()
    async with running(TALLY, tally_database, role="api") as tally:
        await tally.runtime.inbox.process([fact_record(case, report())])
        slow = Slow()
        coming = [asyncio.create_task(note(tally, case, slow)) for _ in range(MANY)]
        await eventually(lambda: counted(tally, HELD), what="all that one caller may send at once")
        answer = await note(tally, case, Slow(PART + 1))
        assert (answer.status_code, answer.json()["rule"]) == (503, "bodies.at_once")
        assert int(answer.headers["retry-after"]) >= 1
        other = asyncio.create_task(note(tally, case, other_slow := Slow(), "wu"))
        await eventually(lambda: counted(tally, HELD + PART), what="another caller's")
        other_slow.goes_on.set()
        assert (await other).status_code == 201
        health = await tally.client.get("/health", headers=token("chen", "administrator"))
        assert health.json()["bodies"] == {"bytes": HELD, "most": MOST_BYTES, "refused": 1}
        slow.goes_on.set()
        assert {one.status_code for one in await asyncio.gather(*coming)} <= {201, 409}
        assert await counted(tally, 0)


def test_all_callers_together_are_bounded_and_a_byte_counts_as_much_as_it_holds() -> None:
    arriving = Arriving()
    for n in range(MOST_BYTES // CALLER_BYTES):
        arriving.take(f"caller {n}", CALLER_BYTES)
    with pytest.raises(Overloaded):
        arriving.take("another", LEAST_BYTES)
    arriving.give_back("caller 0", CALLER_BYTES)
    arriving.take("another", LEAST_BYTES)
    assert arriving.health() == {"bytes": MOST_BYTES - CALLER_BYTES + LEAST_BYTES, "most": MOST_BYTES, "refused": 1}


async def test_a_body_that_breaks_off_has_no_effect_though_what_came_is_json(
    tally_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And no error is logged: whoever goes away in the middle must not fill the log."""
    case = case_id()
    headers = {**token("li", "acceptor"), "content-type": "application/json", "content-length": "500"}
    async with running(TALLY, tally_database, role="api") as tally:
        await tally.runtime.inbox.process([fact_record(case, report())])
        application = tally.client._transport.app  # pyright: ignore[reportAttributeAccessIssue]
        coming = [
            {"type": "http.request", "body": b'{"text": "a"}', "more_body": True},
            {"type": "http.disconnect"},
        ]
        said = list[Any]()

        async def receive() -> Any:
            return coming.pop(0)

        async def send(message: Any) -> None:
            said.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"/cases/{case}/notes",
            "raw_path": f"/cases/{case}/notes".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        caplog.set_level(logging.WARNING)
        await application(scope, receive, send)
        assert (said, [record for record in caplog.records if record.name.startswith("chassis.web")]) == ([], [])
        assert await counted(tally, 0)
        assert (await note(tally, case, b'{"text": "b"}')).json()["notes"] == 2, "the report, and this one"
