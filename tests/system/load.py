"""Reports by HTTP and by a partner's topic, and a partner that answers every assignment; all of them survive what happens."""

import asyncio
import contextlib
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis.ids import uuid7
from contracts.dispatch import Resolved
from contracts.fields import Place
from contracts.intake import NewReport
from contracts.reference import Areas
from deploy.bench.chain import CATEGORY, HEADERS, envelope, places
from tests.support.fleet import Fleet
from tests.support.services import token

_CALLERS = 8


class Load:
    """`acknowledged` are the cases the system has taken responsibility for: answered with 201, or acknowledged by the broker."""

    def __init__(self, fleet: Fleet, kafka: str, prefix: str, district: Path) -> None:
        self._fleet = fleet
        self._kafka = kafka
        self._prefix = prefix
        self._areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
        self.acknowledged: set[str] = set()
        self._answered: set[str] = set()

    async def file(self, count: int, *, pause: float) -> None:
        """Files `count` reports, half by each way, `pause` seconds between two of one caller."""
        spots = places(self._areas, count)
        by_http, by_topic = spots[: count // 2], spots[count // 2 :]
        shares = [by_http[n::_CALLERS] for n in range(_CALLERS)]
        await asyncio.gather(
            *(self._call(f"{n}", share, pause) for n, share in enumerate(shares)),
            self._publish(by_topic, pause / _CALLERS),
        )

    async def _call(self, caller: str, spots: list[Place], pause: float) -> None:
        headers = token(f"member:test-{caller}", "grid_member")
        async with httpx.AsyncClient(base_url=self._fleet.url("intake"), headers=headers, timeout=10) as client:
            for n, spot in enumerate(spots):
                assert spot.point is not None
                body = {
                    "title": f"cover {caller}-{n} tilted",
                    "category": CATEGORY,
                    "place": {"point": spot.point.model_dump(), "area": spot.area},
                }
                key = hashlib.sha256(f"{self._prefix}{caller}-{n}".encode()).hexdigest()
                self.acknowledged.add(await _insist(client, body, key))
                await _pause(pause)

    async def _publish(self, spots: list[Place], pause: float) -> None:
        producer = await self._producer()
        try:
            for n, spot in enumerate(spots):
                case = uuid7(datetime.now(UTC))
                report = NewReport(channel="sensor", title=f"cover {n} tilted", category=CATEGORY, place=spot)
                raw = envelope(case, report, 1)
                await self._send(producer, "ReportFiled", case, raw)
                self.acknowledged.add(case)
                await _pause(pause)
        finally:
            await producer.stop()

    async def answer(self) -> None:
        """Answers every assignment, once each, until cancelled."""
        while True:
            with contextlib.suppress(KafkaError, OSError):  # the broker is away: begin again from the start
                await self._answer()
            await _pause(0.2)

    async def _answer(self) -> None:
        consumer = AIOKafkaConsumer(
            self._prefix + "Assigned", bootstrap_servers=self._kafka, group_id=None, auto_offset_reset="earliest"
        )
        producer = await self._producer()
        try:
            await consumer.start()
            async for record in consumer:
                event = orjson.loads(record.value or b"")
                for n, assignment in enumerate(event["data"].get("plan", ())):
                    if assignment["id"] not in self._answered:
                        end = Resolved(
                            assignment_id=assignment["id"],
                            unit=assignment["unit"],
                            outcome="fixed",
                            handled_by=("partner:bench",),
                        )
                        raw = envelope(event["subject"], end, 2 + n, cause=event["id"])
                        await self._send(producer, "Resolved", event["subject"], raw)
                        self._answered.add(assignment["id"])
        finally:
            await consumer.stop()
            await producer.stop()

    async def _producer(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._kafka, enable_idempotence=True, acks="all", linger_ms=1, request_timeout_ms=5000
            )
            try:
                await producer.start()
                return producer
            except (KafkaError, OSError):
                await producer.stop()
                await _pause(0.2)

    async def _send(self, producer: AIOKafkaProducer, topic: str, case: str, raw: bytes) -> None:
        """The same event until the broker has acknowledged it: what is sent twice has one id."""
        await producer.send_and_wait(self._prefix + topic, value=raw, key=case.encode(), headers=HEADERS)


async def _insist(client: httpx.AsyncClient, body: dict[str, object], key: str) -> str:
    """The same request with the same key until it is acknowledged."""
    while True:
        try:
            answer = await client.post("/reports", json=body, headers={"idempotency-key": key})
        except httpx.TransportError:
            await _pause(0.1)
            continue
        if answer.status_code == 201:
            return answer.json()["case_id"]
        assert answer.status_code == 503, answer.text
        await _pause(0.1)


async def _pause(seconds: float) -> None:
    """Lets others work; no condition is waited for."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
