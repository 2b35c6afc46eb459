"""Cases from report to verdict: reports over HTTP and by a partner's topic, steps by both; every command is noted.

Nothing here knows of faults. Whoever gets no answer asks again with the same key, or sends the same bytes; some callers
ask once, and never learn what became of it.
"""

import asyncio
import random
import uuid
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from chassis.ids import uuid7
from contracts.fields import Fact, Place
from contracts.request import Acknowledge, Resolve
from deploy.bench.chain import PARTNER, UNIT, report
from deploy.bench.http import body
from deploy.simulation.partner import request
from tests.chaos.history import Command, History, Kind, Record, digest
from tests.support.services import token
from tests.system.load import Sender, pause_for

_SENDERS = 8
_HOURS = 12
_WRONG, _JUNK, _TWICE, _ONCE = 0.02, 0.01, 0.05, 0.05
"""Shares of reports: a wrong step is asked for beside it, an unreadable record is sent, its request is sent twice, or
(over HTTP) nobody asks again."""
_UNAVAILABLE = (429, 503)
_PROMISED = (200, 201, 400, 403, 404, 409, 422, *_UNAVAILABLE)


class Load:
    """`hear` is to be told every record of the topics. Use as an async context manager."""

    def __init__(self, urls: dict[str, str], kafka: str, places: list[Place], seed: int, history: History) -> None:
        self._urls = urls
        self._chance = random.Random(seed)
        self._places = iter(places)
        self._history = history
        self._senders = [Sender(kafka, "") for _ in range(_SENDERS)]
        self._turns = [asyncio.Lock() for _ in self._senders]
        self._working: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self._member = token("member:chaos", "grid_member", expires_in=_HOURS * 3600)
        self._unit = token("unit:chaos", "handling_unit", unit=UNIT, expires_in=_HOURS * 3600)
        self.filed = 0
        self.closed: set[str] = set()

    async def __aenter__(self) -> "Load":
        limits = httpx.Limits(max_connections=64)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(5, pool=60), limits=limits)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        for sender in self._senders:
            await sender.__aexit__()
        await self._client.aclose()

    @property
    def waiting(self) -> int:
        """Commands that are on their way."""
        return len(self._working)

    async def file(self, rate: float, seconds: float) -> None:
        """So many reports a second, whatever becomes of those before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (elapsed := loop.time() - began) < seconds:
            while self.filed < elapsed * rate:
                place, self.filed = next(self._places), self.filed + 1
                way = self._by_http if self.filed % 2 else self._by_topic
                self._begin(way(place, self.filed))
            await pause_for(1 / rate)

    def hear(self, record: Record) -> None:
        """A unit takes on what is assigned to it, once, and has it done."""
        event = record.said
        if (record.topic, event.kind) == ("Evaluated", "closed"):
            self.closed.add(event.case)
        if (record.topic, event.kind) == (f"to.{PARTNER}", "assigned") and event.assignment not in self._told:
            self._told.add(event.assignment)
            way = self._chance.choice((self._work_by_http, self._work_by_topic))
            self._begin(way(event.case, event.assignment, event.id))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._history.odd.append(f"a caller failed: {fault!r}")

    async def _by_http(self, place: Place, number: int) -> None:
        command = self._command("report", "http")
        once = self._chance.random() < _ONCE
        answer = await self._ask("intake", "/reports", body(place, number), self._member, command, once=once)
        if answer is not None and answer.status_code == 201:
            command.case = answer.json()["case_id"]
            if self._chance.random() < _WRONG:
                wrong = self._command("resolve", "http", command.case, f"{command.case}.9.9", wrong=True)
                await self._step(wrong)

    async def _by_topic(self, place: Place, number: int) -> None:
        case = uuid7(datetime.now(UTC))
        if self._chance.random() < _JUNK:
            raw = b'{"specversion": "1.0", "id": "%d", ' % number
            self._history.junk.append(digest(raw))
            await self._send(case, raw)
        times = 2 if self._chance.random() < _TWICE else 1
        await self._request("report", case, report(place, number), times=times)
        if self._chance.random() < _WRONG:
            wrong = Resolve(assignment_id=f"{case}.9.9")
            await self._request("resolve", case, wrong, assignment=wrong.assignment_id, wrong=True)

    async def _work_by_http(self, case: str, assignment: str, _: str) -> None:
        for kind in ("acknowledge", "resolve"):
            await self._step(self._command(kind, "http", case, assignment))

    async def _work_by_topic(self, case: str, assignment: str, cause: str) -> None:
        for data in (Acknowledge(assignment_id=assignment), Resolve(assignment_id=assignment)):
            await self._request(data.kind, case, data, assignment=assignment, cause=cause)

    async def _step(self, command: Command) -> None:
        await self._ask("dispatch", f"/assignments/{command.assignment}/{command.kind}", {}, self._unit, command)

    async def _request(self, kind: Kind, case: str, data: Fact, *, times: int = 1, **more: Any) -> None:
        event_id, raw = request(PARTNER, case, data, cause=more.pop("cause", None))
        command = self._command(kind, "topic", case, id=event_id, **more)
        for _ in range(times):
            await self._send(case, raw)
            command.status = "acknowledged"

    async def _send(self, case: str, raw: bytes) -> None:
        number = hash(case) % _SENDERS
        async with self._turns[number]:
            await self._senders[number].send(case, raw)

    async def _ask(
        self, service: str, path: str, said: Any, who: dict[str, str], command: Command, *, once: bool = False
    ) -> httpx.Response | None:
        """The answer, once there is one that is not `later`; None where nobody asks again."""
        headers = {**who, "idempotency-key": command.id}
        while True:
            try:
                answer = await self._client.post(self._urls[service] + path, json=said, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in _UNAVAILABLE:
                break
            if once:
                return None
            await pause_for(0.3)
        if answer.status_code not in _PROMISED:
            self._history.odd.append(f"{path}: {answer.status_code}: {answer.text[:200]}")
        command.status = "acknowledged" if answer.is_success else "refused"
        command.said = "" if answer.is_success else answer.text[:300]
        return answer

    def _command(
        self,
        kind: Kind,
        way: Literal["http", "topic"],
        case: str = "",
        assignment: str = "",
        *,
        id: str | None = None,
        wrong: bool = False,
    ) -> Command:
        command = Command(id or uuid.uuid4().hex, kind, way, case, assignment, wrong=wrong)
        self._history.commands.append(command)
        return command
