"""A forgery with somebody's credentials on the broker: denied, or named within a minute, with the cases it touched.

The five services run as processes, each as its own user, on a broker with access rules.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from chassis.kafka.connection import Connection
from chassis.kafka.records import Record
from contracts.homes import SENDS
from contracts.reference import Areas, Partner
from deploy.bench.chain import places
from deploy.district.__main__ import main
from deploy.stack import accounts, topics
from deploy.stack.access import access, partner_user, service_user
from deploy.stack.kafka import Kafka
from tests.services.test_forgeries import forged
from tests.support.facts import case_id
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import (
    PASSWORD,
    Database,
    execute,
    migrate_services,
    passwords,
    service_connections,
)
from tests.support.services import eventually, token
from tests.system.bus import register

PREFIX = "forged-"
WATER = Partner(id="water", name="Water", says=("reports", "steps"), units=("dept:water",))
URGENT = "event.emergency.water-main"
AUDITOR = token("li", "auditor")
MINUTE = 60
PLACES = [(name, topic) for name, sent in SENDS.items() if name in SERVICES for topic in sent]
"""(service, topic that it writes)."""


@dataclass(frozen=True)
class City:
    """The five services, and who may say something to their broker."""

    fleet: Fleet
    users: dict[str, Connection]
    spots: list[Any]

    async def forge(self, user: str, *records: Record) -> list[tuple[str, int, int]]:
        """Writes these records with that user's credentials; where they lie."""
        producer = AIOKafkaProducer(**self.users[user].options(), acks="all")
        await self.users[user].reach(producer.start())
        try:
            sent = [
                await producer.send_and_wait(PREFIX + one.topic, one.value, one.key, headers=list(one.headers))
                for one in records
            ]
        finally:
            await producer.stop()
        return [(one.topic.removeprefix(PREFIX), one.partition, one.offset) for one in sent]

    async def denied(self, user: str, *records: Record) -> bool:
        """Whether the broker denies each of these records."""
        for one in records:
            with pytest.raises(TopicAuthorizationFailedError):
                await self.forge(user, one)
        return True

    async def named(self, case: str, count: int) -> list[dict[str, Any]]:
        """What audit says was forged in a case, as soon as it is so much; a minute is the limit."""

        async def found() -> list[dict[str, Any]]:
            told = await self.get("audit", "/completeness", case_id=case)
            items = [] if told is None else told["forged"]["items"]
            return items if len(items) >= count and all(item["index"] is not None for item in items) else []

        return await eventually(found, seconds=MINUTE, every=0.5, what=f"{count} named forgeries")

    async def get(self, service: str, path: str, **query: str) -> Any:
        """An answer to an auditor; None where there is no such case."""
        async with httpx.AsyncClient(base_url=self.fleet.url(service), headers=AUDITOR, timeout=10) as client:
            answer = await client.get(path, params=query)
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None


@pytest.fixture(scope="module")
async def city(
    guarded_kafka: Kafka, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[City]:
    district = tmp_path_factory.mktemp("city") / "district"
    assert main(["--scale", "small", "--out", str(district)]) == 0
    register(district, WATER)
    broker = guarded_kafka.administrator
    await topics.create(broker, topics.of_installation([WATER.id], PREFIX), 3)
    await accounts.settle(broker, PREFIX, [WATER.id], passwords(guarded_kafka.data_dir.parent))
    word = await accounts.renew(broker, PREFIX, WATER.id)
    assert word is not None
    services = service_connections(guarded_kafka, PREFIX)
    partner = Connection(guarded_kafka.bootstrap, "SASL_PLAINTEXT", user=partner_user(WATER.id, PREFIX), password=word)
    await execute(postgres_admin, "CREATE DATABASE forged")
    database = Database("forged", postgres_admin)
    await migrate_services(database.admin_url)
    databases = {name: database.url(name, PASSWORD) for name in SERVICES}
    fleet = Fleet(databases=databases, kafka=services, prefix=PREFIX, district=district, logs=district.parent)
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    async with fleet:
        await fleet.ready()
        yield City(fleet, {**services, "partner": partner, "admin": broker}, places(areas, 3))
    await execute(postgres_admin, "DROP DATABASE forged WITH (FORCE)")


async def emergency(city: City, number: int) -> str:
    """An urgent case that units are at work on."""
    spot = city.spots[number]
    body = {
        "title": f"a water main has burst {number}",
        "category": URGENT,
        "place": {"point": spot.point.model_dump(), "area": spot.area},
    }
    headers = token("member:test", "grid_member")
    async with httpx.AsyncClient(base_url=city.fleet.url("intake"), headers=headers, timeout=10) as client:
        answer = await client.post("/reports", json=body)
    assert answer.status_code == 201, answer.text
    case = answer.json()["case_id"]
    await eventually(lambda: has_status(city, case, "dispatched"), what=f"{case} dispatched")
    return case


async def has_status(city: City, case: str, status: str) -> bool:
    found = await city.get("audit", f"/cases/{case}")
    return found is not None and found["case"]["status"] == status


async def test_the_forgery_that_rejects_three_emergencies_is_denied_or_named_with_the_cases(city: City) -> None:
    cases = [await emergency(city, number) for number in range(3)]
    rejections = [forged("triage", "Assigned", case) for case in cases]
    assert await city.denied("partner", *rejections)
    assert await city.denied("feedback", *rejections)
    for times, user in ((1, "triage"), (2, "admin")):
        begun = time.monotonic()
        places = await city.forge(user, *(forged("triage", "Assigned", case) for case in cases))
        for case, place in zip(cases, places, strict=True):
            items = await city.named(case, times)
            assert place in [(item["topic"], item["partition"], item["offset"]) for item in items], user
            assert {(item["source"], item["kind"]) for item in items} == {("/services/triage", "rejected")}
            chain = await city.get("audit", f"/cases/{case}")
            steps = [event for event in chain["events"] if event["data"].get("step") == "forged"]
            assert [event["index"] for event in steps] == [item["named_at"] for item in items]
            assert {event["source"] for event in steps} == {"/services/triage"}
        assert time.monotonic() - begun < MINUTE
    whole = await city.get("audit", "/completeness")
    assert {item["case_id"] for item in whole["forged"]["items"]} == set(cases)
    assert "6 records that bear a service's name and are not its own" in whole["reasons"]
    assert (await city.get("triage", "/health"))["tail"]["forged"] == 6


@pytest.mark.parametrize(("name", "topic"), PLACES)
async def test_on_every_topic_of_every_service_a_forgery_is_denied_or_named(city: City, name: str, topic: str) -> None:
    topic = topic.replace("*", WATER.id)
    writers = {rule.user for rule in access([WATER.id], PREFIX) if may_write(rule, PREFIX + topic)}
    allowed = [user for user in SERVICES if service_user(user, PREFIX) in writers]
    assert name in allowed
    for user in ("partner", *SERVICES):
        if user not in allowed and user != "audit":  # audit may not even begin to write
            assert await city.denied(user, forged(name, topic, case_id())), user
    cases = {user: case_id() for user in (*allowed, "admin")}
    placed = {user: await city.forge(user, forged(name, topic, case)) for user, case in cases.items()}
    found = await asyncio.gather(*(city.named(case, 1) for case in cases.values()))
    for user, items in zip(cases, found, strict=True):
        assert [(item["topic"], item["partition"], item["offset"]) for item in items] == placed[user], user
        assert [item["source"] for item in items] == [f"/services/{name}"], user


def may_write(rule: Any, topic: str) -> bool:
    named = topic.startswith(rule.name) if rule.begins else topic == rule.name
    return rule.operation == "WRITE" and rule.kind == "TOPIC" and named
