"""Complete cases through all five services: filed and worked by a partner over its own topics, closed by the rule."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from shapely import Polygon, contains_xy

from chassis.ids import uuid7
from chassis.kafka.connection import Connection
from contracts.fields import FROM, TO, Place, Point
from contracts.reference import Area
from contracts.request import Acknowledge, FileReport, ReportedPlace, Resolve
from deploy.simulation.partner import HEADERS, partitions_of, request
from deploy.stack.problem import Problem

PARTNER = "bench"
UNIT = "dept:drainage"
"""The unit that the category's lead falls to, everywhere in the district."""
CATEGORY = "component.public-facilities.manhole-sensor"
"""Checked by rule, so that no person is needed; duplicates only within ten metres."""
SPACING_DEGREES = 0.0002
"""Between two reports of one grid: twenty metres, so that none is a duplicate."""


@dataclass
class Timeline:
    """When each case was filed (sent), seen assigned and seen closed, in seconds of the monotonic clock."""

    filed: dict[str, float] = field(default_factory=dict)
    assigned: dict[str, float] = field(default_factory=dict)
    closed: dict[str, float] = field(default_factory=dict)
    messages: list[bytes] = field(default_factory=list)
    """The reports, as they were sent."""
    refused: list[str] = field(default_factory=list)
    """What the services refused; nothing, if all is well."""


def places(areas: Iterable[Area], count: int) -> list[Place]:
    """`count` places, spread over the grids, each inside its grid, no two within the category's radius."""
    spots = [(area.path, _inside(area)) for area in areas if area.level == "grid"]
    found: list[Place] = []
    while len(found) < count:
        before = len(found)
        for path, points in spots:
            if (point := next(points, None)) is not None:
                found.append(Place(point=point, area=path))
        if len(found) == before:
            raise ValueError(f"the district has room for {before} reports of their own, not for {count}")
    return found[:count]


def _inside(area: Area) -> Iterator[Point]:
    """The points of a lattice that lie inside the area, and far enough from its border for a neighbour's."""
    polygon = Polygon(area.polygon).buffer(-SPACING_DEGREES / 2)
    west, south, east, north = polygon.bounds
    for row in range(1, int((north - south) / SPACING_DEGREES)):
        for column in range(1, int((east - west) / SPACING_DEGREES)):
            lon, lat = west + column * SPACING_DEGREES, south + row * SPACING_DEGREES
            if contains_xy(polygon, lon, lat):
                yield Point(lat=lat, lon=lon)


def report(place: Place, n: int) -> FileReport:
    """The `n`-th report, at that place."""
    where = ReportedPlace(point=place.point, area=place.area)
    return FileReport(
        channel="sensor", title=f"cover {n} tilted", text="tilt 21 degrees", category=CATEGORY, place=where
    )


class Partner:
    """Files reports, takes on and resolves every assignment it is told of, and notes when each case is closed."""

    def __init__(
        self, broker: Connection, places: list[Place], tell: Callable[[Timeline], None], *, prefix: str = ""
    ) -> None:
        self._broker = broker
        self._places = places
        self._tell = tell
        self._from, self._to = f"{prefix}{FROM}{PARTNER}", f"{prefix}{TO}{PARTNER}"
        self.timeline = Timeline()
        self._done = asyncio.Event()

    async def run(self, *, rate: float | None, timeout_seconds: float) -> Timeline:
        """All cases, as fast as the broker takes them or at `rate` a second, until all are closed.

        Raises `TimeoutError` where they are not within the time, and `Problem` where a request is refused.
        """
        producer = AIOKafkaProducer(
            **self._broker.options(), enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=256 * 1024
        )
        observer = AIOKafkaConsumer(**self._broker.options(), group_id=None, enable_auto_commit=False)
        await producer.start()
        await observer.start()
        watching: asyncio.Task[None] | None = None
        try:
            written = [TopicPartition(self._from, n) for n in await partitions_of(observer, self._from)]
            await observer.end_offsets(written)  # answered once each has a leader that leads
            observer.assign([TopicPartition(self._to, n) for n in await partitions_of(observer, self._to)])
            await observer.seek_to_end()
            for partition in observer.assignment():
                await observer.position(partition)
            watching = asyncio.create_task(self._watch(observer, producer))
            await self._file(producer, rate)
            async with asyncio.timeout(timeout_seconds):
                await self._done.wait()
            if watching.done():
                watching.result()  # raises what ended it
        except TimeoutError:
            missing = sorted(self.timeline.filed.keys() - self.timeline.closed.keys())
            raise TimeoutError(
                f"{len(missing)} of {len(self._places)} cases were not closed within {timeout_seconds:.0f} s of the"
                f" last report, the first {missing[0] if missing else 'none'}"
            ) from None
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await producer.stop()
            await observer.stop()
        if refused := self.timeline.refused:
            raise Problem(f"{len(refused)} requests were refused; the first: {refused[0]}")
        return self.timeline

    async def _file(self, producer: AIOKafkaProducer, rate: float | None) -> None:
        sent = []
        began = time.monotonic()
        for n, place in enumerate(self._places):
            case = uuid7(datetime.now(UTC))
            _, raw = request(PARTNER, case, report(place, n))
            self.timeline.messages.append(raw)
            self.timeline.filed[case] = time.monotonic()
            sent.append(await producer.send(self._from, value=raw, key=case.encode(), headers=HEADERS))
            if rate is not None and (ahead := n / rate - (time.monotonic() - began)) > 0:
                await asyncio.sleep(ahead)
        await asyncio.gather(*sent)

    async def _watch(self, observer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        try:
            await self._hear(observer, producer)
        finally:
            self._done.set()

    async def _hear(self, observer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        line = self.timeline
        while True:
            for records in (await observer.getmany(timeout_ms=100, max_records=2000)).values():
                now = time.monotonic()
                for record in records:
                    case = (record.key or b"").decode()
                    notice = orjson.loads(record.value or b"{}")
                    kind = notice["data"]["kind"]
                    if kind == "refused":
                        line.refused.append(f"{notice['data']['rule']}: {notice['data']['reason']}")
                    if case not in line.filed:
                        continue  # of another run
                    if kind == "ruled" and notice["data"]["ruling"] != "dispatched":
                        line.refused.append(f"case {case} was {notice['data']['ruling']}")
                    if kind == "assigned":
                        line.assigned.setdefault(case, now)
                        await self._answer(producer, case, notice)
                    elif kind == "closed":
                        line.closed.setdefault(case, now)
            self._tell(line)
            if line.refused or len(line.closed) >= len(self._places):
                self._done.set()

    async def _answer(self, producer: AIOKafkaProducer, case: str, notice: dict[str, Any]) -> None:
        """Both at once: what one system says of a case stays in order."""
        assignment = notice["data"]["assignment_id"]
        for said in (Acknowledge(assignment_id=assignment), Resolve(assignment_id=assignment)):
            _, raw = request(PARTNER, case, said, cause=notice["id"])
            await producer.send(self._from, value=raw, key=case.encode(), headers=HEADERS)
