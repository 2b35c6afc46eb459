"""A process works on so many requests at once, and lets the others come back as fast as it can keep up with."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import asyncpg
import pytest

from chassis.web.concurrency import ConcurrencyLimit, Slot
from chassis.web.errors import Overloaded
from tests.support.facts import case_id, fact_record, report
from tests.support.services import eventually, running, token
from tests.support.tally import TALLY


class Busy:
    """A limit whose slots are all taken, on a clock of its own; each answer makes room for the next request at once."""

    def __init__(self, most: int) -> None:
        self.now = 100.0
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.limit = ConcurrencyLimit(most, lambda: self.now, lambda seconds, work: self._call(seconds, work))
        self.inside = [self._enter() for _ in range(most)]

    def _call(self, seconds: float, work: Callable[[], None]) -> None:
        self._later.append((self.now + seconds, work))

    def passes(self, seconds: float) -> None:
        """Time, with what was to be done in it."""
        until = self.now + seconds
        while due := [one for one in self._later if one[0] <= until]:
            first = min(due, key=lambda one: one[0])
            self._later.remove(first)
            self.now = first[0]
            first[1]()
        self.now = until

    def _enter(self) -> tuple[ExitStack, Slot]:
        stack = ExitStack()
        return stack, stack.enter_context(self.limit.slot())

    def answer(self, times: int, seconds: float) -> None:
        """So many answers, one after so many seconds each."""
        for _ in range(times):
            self.now += seconds
            self.inside.pop(0)[0].close()
            self.inside.append(self._enter())

    def refused(self, times: int) -> Sequence[float]:
        """For how many seconds each of so many requests is sent away."""
        found: list[float] = []
        for _ in range(times):
            with pytest.raises(Overloaded) as fault, self.limit.slot():
                pass
            found.append(fault.value.wait_seconds)
        return found


def test_who_is_refused_comes_back_as_fast_as_others_are_answered() -> None:
    busy = Busy(8)
    busy.now += 3600  # idle time says nothing
    busy.answer(400, 0.1)
    waits = busy.refused(21)
    assert waits[0] == 1.0
    assert waits[20] - waits[10] == pytest.approx(1.0, abs=0.01), "ten a second are answered"
    busy.answer(10, 0.1)
    assert busy.refused(1)[0] == pytest.approx(waits[20] - 0.9, abs=0.05), "behind those who are to come"
    busy.now += 100
    assert busy.refused(1)[0] == pytest.approx(1.0), "they have come, or do not come any more"


def test_a_surge_that_lasts_is_spread_over_seconds_and_forgotten_when_it_is_over() -> None:
    """Two hundred a second are answered, and as many again refused, for a minute."""
    busy, waits = Busy(128), list[float]()
    for _ in range(60 * 200):
        busy.answer(1, 0.005)
        waits += busy.refused(1)
    assert max(waits) <= 2.0, "as many can come back as are refused"
    waits = list(busy.refused(30_000))
    assert max(waits) <= 120.0
    assert len({round(wait, 1) for wait in waits}) > 100, "they do not all come at once"
    busy.answer(200 * 120, 0.005)
    assert busy.refused(1)[0] <= 1.1


def test_strangers_do_not_make_those_wait_longer_who_are_known() -> None:
    busy = Busy(8)
    busy.answer(400, 0.1)
    for _ in range(1_000):
        with pytest.raises(Overloaded) as fault:
            busy.limit.refuse_if_full(lambda: False)
        assert 1.0 <= fault.value.wait_seconds <= 120.0
    assert busy.refused(1) == [1.0], "the first of those who are to come back"
    assert busy.limit.health()["refused"] == 1_001


async def test_a_slot_is_free_again_when_the_work_has_ended_failed_or_given_it_up() -> None:
    busy = Busy(1)
    busy.answer(1, 0.1)
    limit = ConcurrencyLimit(1)
    with pytest.raises(ZeroDivisionError), limit.slot():
        raise ZeroDivisionError
    with limit.slot() as first:
        first.give_up()
        with limit.slot(), pytest.raises(Overloaded), limit.slot():
            pass
    with limit.slot(), pytest.raises(Overloaded), limit.slot():
        pass


def test_the_log_says_when_requests_begin_to_be_refused_and_in_the_end_how_many_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    busy = Busy(2)
    assert busy.limit.health() == {"at_once": 2, "most": 2, "refused": 0}
    busy.refused(1)
    assert [record.getMessage() for record in caplog.records] == [
        "2 requests are being worked on, the most at once; refused so far: 1"
    ]
    for _ in range(3):
        busy.passes(10)
        busy.refused(4)
    caplog.clear()
    busy.passes(19)
    assert caplog.records
    assert all("most at once; refused so far: 13" in record.getMessage() for record in caplog.records), (
        "some may come again"
    )
    busy.passes(11)
    last = caplog.records[-1]
    assert (last.levelname, last.getMessage()) == (
        "INFO",
        "requests are no longer refused; there were 13 within 30 seconds",
    )
    caplog.clear()
    busy.passes(3600)
    assert not caplog.records
    busy.refused(1)
    assert "refused so far: 1" in caplog.records[-1].getMessage(), "another surge counts from its own beginning"
    assert busy.limit.health()["refused"] == 14, "and the process counts all"


async def test_one_request_more_is_answered_with_503_at_once_and_health_as_ever(tally_database: str) -> None:
    case, headers = case_id(), token("li", "acceptor")
    async with running(TALLY, tally_database, CASEGRID_REQUESTS_AT_ONCE=2) as tally:
        await tally.runtime.inbox.process([fact_record(case, report())])
        other = await asyncpg.connect(tally_database)
        try:
            async with other.transaction():
                await other.execute("LOCK TABLE tally.streams IN EXCLUSIVE MODE")
                path = f"/cases/{case}/notes"
                noting = [
                    asyncio.create_task(tally.client.post(path, json={"text": f"{n}"}, headers=headers))
                    for n in range(2)
                ]
                waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
                await eventually(lambda: other.fetchval(waiting), what="a command that waits for the table")
                answer = await tally.client.post(path, json={"text": "more"}, headers=headers)
                assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
                assert answer.json() == {
                    "type": "urn:casegrid:rule:requests.at_once",
                    "title": "Busy",
                    "status": 503,
                    "detail": "this process works on as many requests as it may at once; ask again later",
                    "rule": "requests.at_once",
                }
                assert int(answer.headers["retry-after"]) >= 1
                stranger = await tally.client.post(path, content="[", headers={"authorization": "Bearer no token"})
                assert stranger.status_code == 503, "before credentials and body are looked at"
                health = await tally.client.get("/health", headers=token("chen", "administrator"))
                assert health.json()["requests"] == {"at_once": 2, "most": 2, "refused": 2}
        finally:
            await other.close()
        assert [one.status_code for one in await asyncio.gather(*noting)] == [201, 201]
        assert (await tally.client.post(path, json={"text": "more"}, headers=headers)).status_code == 201


async def test_who_does_not_read_an_answer_keeps_no_slot(tally_database: str) -> None:
    """However long the answer waits: the work on it is done. Strangers may ask for this one."""
    async with running(TALLY, tally_database, CASEGRID_REQUESTS_AT_ONCE=1) as tally:
        application = tally.client._transport.app  # pyright: ignore[reportAttributeAccessIssue]
        unread = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                unread.set()
                await asyncio.Event().wait()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/openapi.json",
            "raw_path": b"/openapi.json",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"x")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        asking = asyncio.create_task(application(scope, receive, send))
        await unread.wait()
        assert (await tally.client.get("/openapi.json")).status_code == 200
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
