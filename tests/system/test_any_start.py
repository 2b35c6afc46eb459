"""Services start in any order, without broker and database, become ready when those arrive, and stop when asked to."""

import random
from pathlib import Path

import httpx

from contracts.wire import TOPICS
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.postgres import Postgres
from deploy.stack.provision import with_database
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import PASSWORD, execute, migrate_services
from tests.support.services import eventually, token


async def test_services_wait_for_what_is_not_there_yet_and_recover_when_it_comes_back(
    own_kafka: Kafka, own_postgres: Postgres, district: Path, tmp_path: Path
) -> None:
    await execute(own_postgres.url, "CREATE DATABASE casegrid")
    await migrate_services(with_database(own_postgres.url, "casegrid"))
    await topics.create(own_kafka.administrator, TOPICS, 3)
    databases = {name: with_database(own_postgres.url, "casegrid", (name, PASSWORD)) for name in SERVICES}
    await own_kafka.stop()
    await own_postgres.stop()
    fleet = Fleet(databases=databases, kafka=own_kafka.bootstrap, prefix="", district=district, logs=tmp_path)
    order = list(SERVICES)
    random.Random(9).shuffle(order)
    async with fleet.in_order(order):
        for name in SERVICES:
            await eventually(lambda name=name: alive(fleet, name), seconds=60, what=f"{name} alive")
            refusal = await ready(fleet, name)
            assert refusal.status_code == 503
            assert "database" in refusal.json()["parts"]
        await own_postgres.start()
        for name in SERVICES:
            await eventually(lambda name=name: only_broker_missing(fleet, name), seconds=60, what=f"{name}'s database")
        await own_kafka.start()
        await fleet.ready(seconds=90)
        await own_postgres.restart()
        await own_kafka.restart()
        await fleet.ready(seconds=90)
    assert fleet.exits == dict.fromkeys(SERVICES, 0)


async def alive(fleet: Fleet, name: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(fleet.url(name) + "/health")).status_code == 200
        except httpx.TransportError:
            return False


async def ready(fleet: Fleet, name: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(fleet.url(name) + "/ready", headers=token("ops", "administrator"))


async def only_broker_missing(fleet: Fleet, name: str) -> bool:
    parts = (await ready(fleet, name)).json().get("parts", {})
    return bool(parts) and "database" not in parts
