"""Complete cases through all five services: filed and resolved by a partner on the topics, closed by the check rule."""

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
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE
from contracts.fields import Fact, Place, Point
from contracts.intake import NewReport
from contracts.reference import Area
from contracts.wire import build

SOURCE = "/partners/bench"
CATEGORY = "component.public-facilities.manhole-sensor"
"""Checked by rule, so that no person is needed; duplicates only within ten metres."""
SPACING_DEGREES = 0.0002
"""Between two reports of one grid: twenty metres, so that none is a duplicate."""
HEADERS = [("content-type", CONTENT_TYPE)]


@dataclass
class Timeline:
    """When each case was filed (sent), seen assigned and seen closed, in seconds of the monotonic clock."""

    filed: dict[str, float] = field(default_factory=dict)
    assigned: dict[str, float] = field(default_factory=dict)
    closed: dict[str, float] = field(default_factory=dict)
    messages: dict[str, list[bytes]] = field(default_factory=dict)


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
    """The points of a lattice that lie inside the area."""
    polygon = Polygon(area.polygon)
    west, south, east, north = polygon.bounds
    for row in range(1, int((north - south) / SPACING_DEGREES)):
        for column in range(1, int((east - west) / SPACING_DEGREES)):
            lon, lat = west + column * SPACING_DEGREES, south + row * SPACING_DEGREES
            if contains_xy(polygon, lon, lat):
                yield Point(lat=lat, lon=lon)


def envelope(case: str, fact: Fact, sequence: int, cause: str | None = None) -> bytes:
    """An event of the benchmark's partner, as bytes."""
    now = datetime.now(UTC)
    _, raw = build(
        event_id=uuid7(now),
        source=SOURCE,
        subject=case,
        time=now,
        recorded=now,
        sequence=sequence,
        data=fact,
        cause=cause,
        actor=None if cause else "partner:bench",
    )
    return raw


class Partner:
    """Files reports, answers every assignment of its own cases with `Resolved`, and notes when each case is closed."""

    def __init__(self, servers: str, places: list[Place], tell: Callable[[Timeline], None]) -> None:
        self._servers = servers
        self._places = places
        self._tell = tell
        self.timeline = Timeline()
        self._done = asyncio.Event()

    async def run(self, *, rate: float | None, timeout_seconds: float) -> Timeline:
        """All cases, as fast as the broker takes them or at `rate` a second, until all are closed.

        Raises `TimeoutError` where they are not within the time.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=256 * 1024
        )
        observer = AIOKafkaConsumer(bootstrap_servers=self._servers, group_id=None, enable_auto_commit=False)
        await producer.start()
        await observer.start()
        try:
            partitions = [
                TopicPartition(topic, number)
                for topic in ("Assigned", "Evaluated")
                for number in await observer_partitions(observer, topic)
            ]
            observer.assign(partitions)
            await observer.seek_to_end()
            watching = asyncio.create_task(self._watch(observer, producer))
            await self._file(producer, rate)
            async with asyncio.timeout(timeout_seconds):
                await self._done.wait()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        finally:
            await producer.stop()
            await observer.stop()
        return self.timeline

    async def _file(self, producer: AIOKafkaProducer, rate: float | None) -> None:
        sent = []
        began = time.monotonic()
        sample = self.timeline.messages.setdefault("ReportFiled", [])
        for n, place in enumerate(self._places):
            case = uuid7(datetime.now(UTC))
            report = NewReport(
                channel="sensor", title=f"cover {n} tilted", text="tilt 21 degrees", category=CATEGORY, place=place
            )
            raw = envelope(case, report, 1)
            sample.append(raw)
            self.timeline.filed[case] = time.monotonic()
            sent.append(await producer.send("ReportFiled", value=raw, key=case.encode(), headers=HEADERS))
            if rate is not None and (ahead := n / rate - (time.monotonic() - began)) > 0:
                await asyncio.sleep(ahead)
        await asyncio.gather(*sent)

    async def _watch(self, observer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        line = self.timeline
        while True:
            for tp, records in (await observer.getmany(timeout_ms=100, max_records=2000)).items():
                now = time.monotonic()
                for record in records:
                    case = (record.key or b"").decode()
                    if case not in line.filed:
                        continue
                    event = orjson.loads(record.value or b"{}")
                    if tp.topic == "Assigned":
                        line.assigned.setdefault(case, now)
                        await self._answer(producer, case, event)
                    elif event["data"]["verdict"] == "closed":
                        line.closed.setdefault(case, now)
            self._tell(line)
            if len(line.closed) >= len(self._places):
                self._done.set()

    async def _answer(self, producer: AIOKafkaProducer, case: str, event: dict[str, Any]) -> None:
        for n, assignment in enumerate(event["data"].get("plan", ())):
            now = datetime.now(UTC)
            end = Resolved(
                assignment_id=assignment["id"],
                unit=assignment["unit"],
                outcome="fixed",
                handled_by=("partner:bench",),
                acknowledged_at=now,
                arrived_at=now,
                late_by_seconds=0,
            )
            raw = envelope(case, end, 2 + n, cause=event["id"])
            await producer.send("Resolved", value=raw, key=case.encode(), headers=HEADERS)


async def observer_partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    """The partitions of a topic, asked of the broker."""
    await consumer._client.add_topic(topic)
    return sorted(consumer.partitions_for_topic(topic) or ())
