"""Reports that people close over HTTP: each is filed, acknowledged and resolved, by so many callers at once.

The assignment is heard of on the unit's topic, as a unit's own system would; the category is checked by rule.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.kafka.connection import Connection
from contracts.fields import TO, Place
from deploy.bench.chain import CATEGORY, PARTNER, UNIT, places
from deploy.bench.client import Client
from deploy.bench.meter import between
from deploy.bench.phases import Course, Ground, audited, measured, settled, spread
from deploy.simulation.partner import partitions_of

ACCEPTOR = "bench-acceptor"
"""Who files the reports."""


def body(place: Place, n: int) -> dict[str, Any]:
    """The `n`-th report, as an acceptor enters it."""
    point = place.point.model_dump() if place.point else None
    return {
        "title": f"cover {n} tilted",
        "text": "tilt 21 degrees",
        "category": CATEGORY,
        "place": {"point": point, "area": place.area},
    }


class Notices:
    """Which assignment each case has, and when its unit heard of it."""

    def __init__(self) -> None:
        self.assignments: dict[str, asyncio.Future[str]] = {}
        self.assigned: dict[str, float] = {}

    def of(self, case: str) -> asyncio.Future[str]:
        """The id of the case's assignment, once it is told."""
        return self.assignments.setdefault(case, asyncio.get_running_loop().create_future())

    async def read(self, observer: AIOKafkaConsumer) -> None:
        """For ever; until cancelled."""
        while True:
            for records in (await observer.getmany(timeout_ms=100, max_records=2000)).values():
                now = time.monotonic()
                for record in records:
                    case, data = (record.key or b"").decode(), orjson.loads(record.value or b"{}")["data"]
                    if data["kind"] == "assigned":
                        self.assigned.setdefault(case, now)
                        if not (told := self.of(case)).done():
                            told.set_result(data["assignment_id"])


class Load:
    """Callers that file, acknowledge and resolve; what they filed, and how long each answer took."""

    def __init__(self, ground: Ground, reports: int) -> None:
        self._ground = ground
        self.tell = ground.tell
        self._places = places(ground.areas, reports)
        self.notices = Notices()
        self.filed: dict[str, float] = {}
        self.answered: dict[str, list[float]] = {"file": [], "acknowledge": [], "resolve": []}
        self.retried = 0
        city = ground.city
        self._acceptor = city.person(ACCEPTOR, "acceptor").headers
        self._unit = city.person("bench-unit", "handling_unit", unit=UNIT).headers

    async def file(self, callers: int) -> None:
        """All reports, and nothing more."""
        work = iter(enumerate(self._places))

        async def one(client: Client) -> None:
            for n, place in work:
                await self._file(client, place, n)

        await self._at_once(callers, "intake", one)

    async def close(self, callers: int) -> None:
        """What was filed is acknowledged and resolved."""
        work = iter(list(self.filed))

        async def one(client: Client) -> None:
            for case in work:
                await self._work(client, case)

        await self._at_once(callers, "dispatch", one)

    async def both(self, callers: int) -> None:
        """Each caller closes the report that it filed before it files the next one."""
        work = iter(enumerate(self._places))

        async def one(intake: Client) -> None:
            async with Client(self._ground.city.urls["dispatch"]) as dispatch:
                for n, place in work:
                    await self._whole(intake, dispatch, place, n)
                self.retried += dispatch.retried

        await self._at_once(callers, "intake", one)

    def at_once(self, callers: int) -> int:
        """As many of these callers as there are reports for."""
        return min(callers, len(self._places))

    async def _whole(self, intake: Client, dispatch: Client, place: Place, n: int) -> None:
        await self._work(dispatch, await self._file(intake, place, n))

    async def _at_once(self, callers: int, service: str, one: Callable[[Client], Awaitable[None]]) -> None:
        async def call() -> None:
            async with Client(self._ground.city.urls[service]) as client:
                await one(client)
                self.retried += client.retried

        calls = [asyncio.create_task(call()) for _ in range(self.at_once(callers))]
        try:
            async with asyncio.timeout(self._ground.timeout):
                await asyncio.gather(*calls)
        except TimeoutError:
            done = len(self.answered["resolve"])
            raise TimeoutError(f"{done} of {len(self._places)} reports were resolved in time over HTTP") from None
        finally:
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _file(self, client: Client, place: Place, n: int) -> str:
        sent = time.monotonic()
        case = (await self._timed("file", client, "/reports", body(place, n), self._acceptor))["case_id"]
        self.filed[case] = sent
        if len(self.filed) % 100 == 0:
            self.tell(f"http: filed {len(self.filed)} / {len(self._places)}")
        return case

    async def _work(self, client: Client, case: str) -> None:
        assignment = await self.notices.of(case)
        for step in ("acknowledge", "resolve"):
            await self._timed(step, client, f"/assignments/{assignment}/{step}", {}, self._unit)

    async def _timed(self, step: str, client: Client, path: str, said: Any, headers: Mapping[str, str]) -> Any:
        began = time.monotonic()
        given = await client.post(path, said, {**headers, "Idempotency-Key": str(uuid.uuid4())})
        self.answered[step].append(time.monotonic() - began)
        return given


async def closed_by(ground: Ground, callers: int, load: Load) -> dict[str, Any]:
    """The figures of that load's reports by that many callers at once. Raises `Problem` and `TimeoutError`."""
    answered_after = 0.0

    async def work() -> Course:
        nonlocal answered_after
        began = time.monotonic()
        await load.both(callers)
        answered_after = time.monotonic() - began
        return Course(load.filed, {"assigned": load.notices.assigned})

    async with listening(ground.broker, load.notices):
        figures = await measured(ground, work)
    return {
        "callers": load.at_once(callers),
        "retried": load.retried,
        "requests_per_second": sum(map(len, load.answered.values())) / answered_after,
        **{f"{step}_ms": spread([seconds * 1000 for seconds in took]) for step, took in load.answered.items()},
        **figures,
    }


async def filing(ground: Ground, callers: int, reports: int) -> dict[str, float]:
    """What one POST /reports takes, in microseconds of processor time; the reports are closed afterwards."""
    await settled(ground)
    load = Load(ground, reports)
    async with listening(ground.broker, load.notices):
        before = await ground.meter.begin()
        began = time.monotonic()
        await load.file(callers)
        took = time.monotonic() - began
        cost = between(before, await ground.meter.read())
        await load.close(callers)
        await audited(ground, set(load.filed), began)
    return {
        "requests_per_second": reports / took,
        "service_us": cost.cpu.get("intake", 0.0) / reports * 1e6,
        "database_us": cost.backends.get("intake", 0.0) / reports * 1e6,
    }


@asynccontextmanager
async def listening(broker: Connection, notices: Notices) -> AsyncIterator[None]:
    topic = f"{TO}{PARTNER}"
    observer = AIOKafkaConsumer(**broker.options(), group_id=None, enable_auto_commit=False)
    await observer.start()
    try:
        observer.assign([TopicPartition(topic, n) for n in await partitions_of(observer, topic)])
        await observer.seek_to_end()
        for partition in observer.assignment():
            await observer.position(partition)
        reading = asyncio.create_task(notices.read(observer))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    finally:
        await observer.stop()
