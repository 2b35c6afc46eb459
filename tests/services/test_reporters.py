"""A private person's login stands in one row of intake only, whatever they say, and nowhere once they are erased."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.settings import Settings
from contracts.wire import TOPICS
from deploy.bench.chain import CATEGORY, UNIT
from tests.services.intake.desk import GRID
from tests.support.fleet import SERVICES
from tests.support.infrastructure import Database
from tests.support.services import Running, eventually, running, token

_numbers = itertools.count(1)
LOGIN = "li.na@example.org"
LI = token(LOGIN, "reporter")
DISPATCHER = token("zhao", "dispatcher")
WORKER = token("worker:1", "handling_unit", unit=UNIT)


@dataclass
class City:
    """The five services on one database and one broker, and what they have answered to the private person."""

    services: Mapping[str, Running]
    database: Database
    kafka: str
    prefix: str
    answered: list[str]

    async def post(self, service: str, path: str, who: dict[str, str], body: Any) -> Any:
        """The answer, as soon as the service knows what the command needs."""
        client, key = self.services[service].client, {"idempotency-key": f"key {next(_numbers)}"}

        async def done() -> Any:
            answer = await client.post(path, headers={**who, **key}, json=body)
            if who is LI:
                self.answered.append(answer.text)
            if answer.status_code == 404 or answer.json().get("rule") == "report.open":
                return None
            assert answer.is_success, answer.text
            return answer.json()

        return await eventually(done, what=f"{service} {path}")

    async def get(self, service: str, path: str, who: dict[str, str], **query: Any) -> Any:
        answer = await self.services[service].client.get(path, headers=who, params=query)
        assert answer.is_success, answer.text
        if who is LI:
            self.answered.append(answer.text)
        return answer.json()

    async def rows(self) -> list[tuple[str, str]]:
        """(where, content) of every value of every table of every service."""
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            tables = await connection.fetch(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1::text[])", list(SERVICES)
            )
            found = list[tuple[str, str]]()
            for schema, table in tables:
                for row in await connection.fetch(f"SELECT * FROM {schema}.{table}"):
                    found += [(f"{schema}.{table}.{column}", str(value)) for column, value in row.items()]
            return found
        finally:
            await connection.close()

    async def records(self) -> list[tuple[str, str]]:
        """(topic, key, value and headers) of every record on every topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=None, auto_offset_reset="earliest")
        await consumer.start()
        try:
            parts = [TopicPartition(self.prefix + topic, number) for topic in TOPICS for number in range(3)]
            consumer.assign(parts)
            ends, found = await consumer.end_offsets(parts), list[tuple[str, str]]()
            while any([await consumer.position(part) < ends[part] for part in parts]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(one.topic, str((one.key, one.value, one.headers))) for one in batch]
            return found
        finally:
            await consumer.stop()


@pytest.fixture
async def city(
    database: Database,
    kafka: str,
    topics: str,
    district_folder: Path,
) -> AsyncIterator[City]:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with AsyncExitStack() as stack:
        services = dict[str, Running]()
        for name in SERVICES:
            service = import_module(f"services.{name}.service").build(settings)
            services[name] = await stack.enter_async_context(
                running(service, database.url(name), kafka=kafka, prefix=topics)
            )
        yield City(services, database, kafka, topics, [])


async def say_everything(city: City) -> dict[str, Any]:
    """A private person files, adds, urges, withdraws; the work is done all the same; they rate it and ask to reopen it.

    Gives the report as they see it in the end.
    """
    where = {"area": GRID, "address": "by the gate"}
    body = {"title": "cover tilted", "category": CATEGORY, "place": where, "reporter": {"name": "Li Na"}}
    case = (await city.post("intake", "/reports", LI, body))["case_id"]
    report, assignment = f"/reports/{case}", f"/assignments/{case}.1.1"
    await city.post("intake", f"{report}/supplements", LI, {"text": "it rings, too"})
    await city.post("dispatch", f"{assignment}/acknowledge", WORKER, {})
    await city.post("dispatch", f"{assignment}/urge", LI, {"reason": "children play there"})
    for step in ("on-scene", "resolve"):
        await city.post("dispatch", f"{assignment}/{step}", WORKER, {})
    await city.post("intake", f"{report}/rating", LI, {"rating": 2, "comment": "too slow"})
    await city.post("intake", f"{report}/reopening", LI, {"reason": "tilted again"})
    withdrawn = (await city.post("intake", "/reports", LI, {**body, "title": "another"}))["case_id"]
    await city.post("intake", f"/reports/{withdrawn}/withdrawal", LI, {"reason": "my mistake"})

    async def told() -> bool:
        shown = await city.services["feedback"].client.get(f"/cases/{case}", headers=DISPATCHER)
        chain = await city.services["audit"].client.get(f"/cases/{withdrawn}", headers=token("bo", "auditor"))
        return shown.is_success and shown.json()["reopening_reason"] is not None and "my mistake" in chain.text

    await eventually(told, what="what was said in feedback and audit")
    await city.get("intake", "/reports", LI)
    return await city.get("intake", report, LI)


async def test_a_login_and_its_hash_stand_nowhere_but_in_one_row_of_intake(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hashed = (await city.services["intake"].client.get("/me", headers=LI)).json()["subject"]
    reference = (await say_everything(city))["reporter_ref"]
    await city.get("intake", f"/reporters/{reference}", LI)

    def standing(found: list[tuple[str, str]], *words: str) -> set[str]:
        return {where for where, content in found if any(word in content for word in words)}

    records, rows = await city.records(), await city.rows()
    assert {"ReportFiled", "Resolved", "Evaluated"} <= {topic.removeprefix(city.prefix) for topic, _ in records}
    assert standing(records, reference), "the tables and topics were read"
    assert standing(rows, hashed, LOGIN) == {"intake.reporters.subject"}
    assert standing(records, hashed, LOGIN) == set()
    assert not [answer for answer in city.answered if hashed in answer or LOGIN in answer]
    assert hashed not in caplog.text
    assert LOGIN not in caplog.text

    erased = await city.services["intake"].client.delete(f"/reporters/{reference}", headers=LI)
    assert erased.status_code == 204
    after = await city.rows()
    assert standing(after, hashed, LOGIN, "Li Na") == set()
    assert "intake.reporters.reporter_ref" not in standing(after, reference)
    assert set(records) <= set(await city.records()), "no record was changed"
    assert hashed not in caplog.text
