"""A database that hangs: every service says so, and answers in the time that its runbook promises."""

import asyncio
import time
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path

import httpx

from chassis.settings import Settings
from deploy.stack.postgres import Postgres
from tests.support.fleet import SERVICES
from tests.support.infrastructure import Database, frozen, migrate_services
from tests.support.services import Running, eventually, running, token

EVERYBODY = token("everybody", "administrator", "auditor", "shift_leader", "dispatcher", "evaluator")
READS = {"intake": "/reports", "dispatch": "/assignments"} | dict.fromkeys(("triage", "feedback", "audit"), "/cases")


async def asked(service: Running, path: str) -> tuple[float, httpx.Response]:
    began = time.monotonic()
    answer = await service.client.get(path, headers=EVERYBODY)
    return time.monotonic() - began, answer


async def test_every_service_says_that_the_database_hangs_and_keeps_nobody_waiting(
    own_postgres: Postgres, district_folder: Path
) -> None:
    await migrate_services(own_postgres.url)
    server = Database("postgres", own_postgres.url)
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(
                running(import_module(f"services.{name}.service").build(settings), server.url(name), role="api")
            )
            for name in SERVICES
        }
        for name, service in services.items():  # each has an open connection in its pool now
            assert (await asked(service, READS[name]))[1].status_code == 200, name
            assert (await asked(service, "/ready"))[1].status_code == 200, name
        with frozen(own_postgres):
            ready = await asyncio.gather(*(asked(service, "/ready") for service in services.values()))
            again = await asyncio.gather(*(asked(service, "/ready") for service in services.values()))
            read = await asyncio.gather(*(asked(service, READS[name]) for name, service in services.items()))
        for seconds, answer in (*ready, *again):
            assert answer.status_code == 503
            assert answer.json()["parts"] == {"database": "no answer in 2 seconds"}
            assert seconds < 3
        for seconds, answer in read:
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.json()["cause"] == "the database does not answer"
            assert seconds < 6

        async def all_ready() -> bool:
            answers = [await asked(service, "/ready") for service in services.values()]
            return all(answer.status_code == 200 for _, answer in answers)

        await eventually(all_ready, seconds=10, what="the services are ready again")
