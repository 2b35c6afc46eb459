"""Reports by HTTP and by a partner's topic, and a partner that works off every assignment, whatever dies meanwhile."""

import asyncio
import contextlib
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis.ids import uuid7
from contracts.fields import FROM, TO, Place
from contracts.reference import Areas
from contracts.request import Acknowledge, Resolve
from deploy.bench.chain import CATEGORY, PARTNER, places, report
from deploy.simulation.partner import HEADERS, request
from tests.support.fleet import Fleet
from tests.support.services import token

_CALLERS = 8


class Load:
    """`acknowledged` are the cases that were answered with 201 by intake, or acknowledged by the broker."""

    def __init__(self, fleet: Fleet, kafka: str, prefix: str, district: Path) -> None:
        self._fleet = fleet
        self._kafka = kafka
        self._prefix = prefix
        self._areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
        self.acknowledged: set[str] = set()
        self.refused: list[str] = []
        self._answered: set[str] = set()

    async def file(self, count: int, *, pause: float, begin: int = 0) -> None:
        """Files `count` reports, half by each way, `pause` seconds between two of one caller. `begin` is how many were
        filed before.
        """
        spots = places(self._areas, begin + count)[begin:]
        by_http, by_topic = spots[: count // 2], spots[count // 2 :]
        shares = [by_http[n::_CALLERS] for n in range(_CALLERS)]
        await asyncio.gather(
            *(self._call(f"{begin + n}", share, pause) for n, share in enumerate(shares)),
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
                await pause_for(pause)

    async def _publish(self, spots: list[Place], pause: float) -> None:
        async with Sender(self._kafka, self._prefix) as sender:
            for n, spot in enumerate(spots):
                case = uuid7(datetime.now(UTC))
                await sender.send(case, request(PARTNER, case, report(spot, n))[1])
                self.acknowledged.add(case)
                await pause_for(pause)

    async def answer(self) -> None:
        """Takes on and resolves every assignment, once each, until cancelled."""
        while True:
            with contextlib.suppress(KafkaError, OSError):  # the broker is away: begin again from the start
                await self._answer()
            await pause_for(0.2)

    async def _answer(self) -> None:
        consumer = AIOKafkaConsumer(
            f"{self._prefix}{TO}{PARTNER}",
            bootstrap_servers=self._kafka,
            group_id=None,
            auto_offset_reset="earliest",
        )
        async with Sender(self._kafka, self._prefix) as sender:
            try:
                await consumer.start()
                async for record in consumer:
                    await self._hear(sender, orjson.loads(record.value or b""))
            finally:
                await consumer.stop()

    async def _hear(self, sender: "Sender", notice: dict[str, Any]) -> None:
        data = notice["data"]
        if data["kind"] == "refused":
            self.refused.append(f"{data['rule']}: {data['reason']}")
        if data["kind"] != "assigned" or data["assignment_id"] in self._answered:
            return
        for said in (Acknowledge(assignment_id=data["assignment_id"]), Resolve(assignment_id=data["assignment_id"])):
            _, raw = request(PARTNER, notice["subject"], said, cause=notice["id"])
            await sender.send(notice["subject"], raw)
        self._answered.add(data["assignment_id"])


class Sender:
    """A producer that sends the same bytes until the broker has acknowledged them: what is sent twice has one id."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop()

    async def send(self, case: str, raw: bytes) -> None:
        """Returns when the broker has it."""
        while True:
            try:
                if self._producer is None:
                    self._producer = AIOKafkaProducer(
                        bootstrap_servers=self._kafka, enable_idempotence=True, acks="all", linger_ms=1
                    )
                    await self._producer.start()
                sending = self._producer.send_and_wait(
                    f"{self._prefix}{FROM}{PARTNER}", value=raw, key=case.encode(), headers=HEADERS
                )
                await asyncio.wait_for(sending, 20)
                return
            except (KafkaError, OSError, TimeoutError):
                await self._drop()
                await pause_for(0.2)

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):  # it is thrown away because it is broken
                await asyncio.wait_for(producer.stop(), 5)


async def _insist(client: httpx.AsyncClient, body: dict[str, object], key: str) -> str:
    """The same request with the same key until it is acknowledged."""
    while True:
        try:
            answer = await client.post("/reports", json=body, headers={"idempotency-key": key})
        except httpx.TransportError:
            await pause_for(0.1)
            continue
        if answer.status_code == 201:
            return answer.json()["case_id"]
        assert answer.status_code == 503, answer.text
        await pause_for(0.1)


async def pause_for(seconds: float) -> None:
    """Lets others work; no condition is waited for."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
