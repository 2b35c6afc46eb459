"""One campaign: load and faults for a time, then quiet, until all is at rest or the time for that is over."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from contracts.reference import Areas
from deploy.bench.chain import places
from tests.chaos import reader
from tests.chaos.faults import Fault
from tests.chaos.ground import Ground
from tests.chaos.history import History
from tests.chaos.load import Load
from tests.chaos.reader import Reader
from tests.support.services import token
from tests.system.load import pause_for

_ROOM_FOR_REPORTS = 1.2
_TELL_SECONDS = 10.0
_OPERATOR = ("chaos", "administrator")

Say = Callable[[str], None]


@dataclass
class Campaign:
    """What is done, and what came of it."""

    seed: int
    seconds: float
    rate: float
    faults: Sequence[Fault]
    say: Say
    rest: float
    """Seconds after the last fault in which every case must be closed, at every service."""
    rested_after: float | None = None
    """Seconds from the last fault until all was at rest; None: it never was."""

    async def run(self, ground: Ground, district: Path) -> History:
        """What was recorded."""
        history = History(self.seed)
        areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
        spots = places(areas, round(self.rate * self.seconds * _ROOM_FOR_REPORTS) + 10)
        urls = {name: ground.fleet.url(name) for name in ground.fleet.ports}
        topics = Reader(ground.kafka.bootstrap, ground.partitions, history)
        async with (
            Load(urls, ground.kafka.bootstrap, spots, self.seed, history) as load,
            asyncio.TaskGroup() as background,
        ):
            self._began = time.monotonic()
            watching = [background.create_task(work) for work in (topics.run(load.hear), self._tell(load))]
            async with asyncio.TaskGroup() as striking:
                striking.create_task(load.file(self.rate, self.seconds))
                for fault in self.faults:
                    striking.create_task(self._strike(ground, fault, history))
            over = time.monotonic()
            if await self._rest(ground, topics, load, history):
                self.rested_after = time.monotonic() - over
            await self._discard(ground, history)
            await self._rest(ground, topics, load, history)
            history.completeness = await _completeness(urls["audit"])
            for task in watching:
                task.cancel()
        history.ended = list(ground.fleet.ended)
        await reader.collect(ground.admin, history)
        return history

    def _note(self, words: str) -> None:
        self.say(f"{time.monotonic() - self._began:7.1f} s  seed {self.seed}  {words}")

    async def _tell(self, load: Load) -> None:
        before = 0
        while True:
            await pause_for(_TELL_SECONDS)
            closed = len(load.closed)
            rate, before = (closed - before) / _TELL_SECONDS, closed
            self._note(f"filed {load.filed}, closed {closed} ({rate:.1f}/s), {load.waiting} commands on their way")

    async def _strike(self, ground: Ground, fault: Fault, history: History) -> None:
        await pause_for(fault.at)
        self._note(f"{fault}")
        outcome = await ground.do(fault)
        self._note(f"  {fault.kind} {fault.target}: {outcome}")
        history.faults.append(f"{fault.at:.1f} s {fault}: {outcome}")

    async def _rest(self, ground: Ground, topics: Reader, load: Load, history: History) -> bool:
        """Whether all came to rest in time: nothing unread, unsent, open, or on its way."""
        deadline, left = time.monotonic() + self.rest, {}
        while time.monotonic() < deadline:
            with suppress(OSError, asyncpg.PostgresError):
                left = await reader.on_its_way(ground.admin, history)
                if not left and not load.waiting and await topics.caught_up():
                    return True
            await pause_for(0.5)
        self._note(f"not at rest after {self.rest:g} s: {load.waiting} commands on their way, {left}")
        return False

    async def _discard(self, ground: Ground, history: History) -> None:
        """An operator gives up the records that were planted."""
        async with httpx.AsyncClient(headers=token(*_OPERATOR), timeout=30) as client:
            for service, number in await reader.planted(ground.admin, history):
                url = f"{ground.fleet.url(service)}/parked/{number}/discard"
                answer = await client.post(url, json={"reason": "planted by the campaign"})
                if answer.status_code != 200:
                    history.odd.append(f"{url}: {answer.status_code}: {answer.text[:200]}")


async def _completeness(audit: str) -> list[str]:
    async with httpx.AsyncClient(headers=token(*_OPERATOR), timeout=60) as client:
        answer = await client.get(f"{audit}/completeness")
        return answer.json()["reasons"] if answer.status_code == 200 else [f"audit does not say: {answer.text[:200]}"]
