"""No answer of the five services tells a stranger where something lies, what stands in it, or how it is asked."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from chassis.engine.model import Model
from chassis.runtime import Runtime, application
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.migrations import migrate
from tests.services.every import ask, operations
from tests.support.facts import case_id
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import NOWHERE, Running, eventually, running, token

SECRETS = re.compile(
    r"/tmp|/work|\.json|postgres|127\.0\.0\.1|localhost|hunter2|:1\b|Errno|hidden|Connect call|SELECT|relation|column",
    re.IGNORECASE,
)
"""A word of each thing that only operators may know."""
KEY = {"x-client-key": "guess"}
OPERATOR = token("li", "administrator")


def assert_silent(answer: httpx.Response, status: int = 503) -> None:
    assert answer.status_code == status, answer.text
    assert SECRETS.search(answer.text) is None, answer.text


def hidden(folder: Path, **more: str) -> dict[str, Any]:
    """Settings of which nothing is there, or can be read."""
    partners = folder / "partners.json"
    partners.write_text('{"partners": [{"id": "hidden name"}]}')
    url = "postgresql://hidden:hunter2@127.0.0.1:1/hidden"
    return {"database_url": url, "kafka_bootstrap_servers": NOWHERE, "CASEGRID_PARTNERS": partners, **more}


@asynccontextmanager
async def lost(service: Service, settings: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    app = application(Runtime(service, Settings.model_validate(settings)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lost") as client,
    ):
        yield client


async def test_a_service_to_which_nothing_answers_says_no_address_and_no_file(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with lost(service, hidden(tmp_path)) as client:
        known, ready = await client.get("/me", headers=KEY), await client.get("/ready", headers=OPERATOR)
        for answer in (ready, known, await client.get("/ready"), await client.get("/parked", headers=OPERATOR)):
            if answer.status_code != 404:  # audit parks nothing
                assert_silent(answer)
        assert_silent(await client.get("/health", headers=OPERATOR), 200)
    assert "the partners' registry cannot be read" in ready.json()["parts"]["partners"]
    assert "the partners' registry cannot be read" in known.json()["cause"]
    assert str(tmp_path) in caplog.text


@pytest.mark.parametrize("where", ["{folder}/keys.json", "http://127.0.0.1:1/hidden"])
async def test_a_key_set_that_cannot_be_had_is_not_located(
    service: Service, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    where = where.format(folder=tmp_path)
    async with lost(service, hidden(tmp_path, CASEGRID_JWKS=where)) as client:
        answer = await client.get("/me", headers=token("li", "dispatcher"))
        for who in (OPERATOR, {}):
            ready = await client.get("/ready", headers=who)
            assert_silent(ready)
            assert ready.json()["parts"].keys() == {"keys"}, "nobody can show that they may know more"
            assert ready.json()["parts"]["keys"].startswith("the key set cannot be used")
            alive = await client.get("/health", headers=who)
            assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert_silent(answer)
    assert answer.json()["cause"].startswith("the key set cannot be used")
    assert where in caplog.text


async def test_a_broker_that_cannot_be_reached_is_not_located(empty_database: Database, service: Service) -> None:
    await migrate(empty_database.admin_url, service.name, PASSWORD, service.migrations)
    async with running(service, empty_database.url(service.name)) as found:

        async def told() -> bool:
            answer = await found.client.get("/ready", headers=OPERATOR)
            assert_silent(answer)
            return "KafkaConnectionError" in answer.json()["parts"]["broker"]

        await eventually(told, what="the fault of the broker")
        assert_silent(await found.client.get("/health", headers=OPERATOR), 200)


async def test_a_database_without_its_tables_is_not_quoted(api: Running, empty_database: Database) -> None:
    connection = await asyncpg.connect(empty_database.admin_url)
    await connection.execute(f'DROP SCHEMA "{api.runtime.service.name}" CASCADE')
    await connection.close()
    found = set[int]()
    for operation in await operations(api, "get"):
        if "/stream" not in operation.path:
            answer = await ask(api, operation)
            found.add(answer.status_code)
            assert_silent(answer, answer.status_code) if answer.status_code == 503 else None
    assert 503 in found


STORED = """
INSERT INTO events (stream_id, version, own, topic, event_id, body, recorded_at)
VALUES ($1, 1, true, 'Progressed', $2, $3, now())
"""
LOGGED = """
INSERT INTO log (index, topic, partition, "offset", headers, body, valid, case_id, event_id)
VALUES (0, 'Progressed', 0, 0, '[]', $3, true, $1, $2)
"""


async def test_a_stored_record_that_cannot_be_read_is_no_fault_of_whoever_asks_and_is_named_in_the_log(
    api: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an upgrade that does not know what was stored before it."""
    case, event = case_id(), case_id()
    body = orjson.dumps({"source": "/services/x", "id": event, "subject": case, "data": {"step": "hidden"}})
    decides = isinstance(api.runtime.service.model, Model)
    await api.runtime.database.fetch(STORED if decides else LOGGED, case, event, body)
    if decides:
        answer = await api.client.post("/access", headers=OPERATOR, json={"case_id": case, "reason": "x"})
    else:
        answer = await api.client.get("/log/0", headers=OPERATOR)
    assert_silent(answer, 500)
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"id {event}, subject {case}" in caplog.text
