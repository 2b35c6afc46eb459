"""Cases of the past that the benchmark loads are as if they had gone through the services."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from chassis.settings import Settings
from chassis.store import database as stores
from chassis.store.derived import rebuild
from chassis.worker import derived_of
from contracts.reference import Areas
from deploy.bench import past
from deploy.bench.chain import CATEGORY, UNIT, places
from deploy.bench.http import body
from deploy.stack.problem import Problem
from services.audit.log import Log
from tests.support.fleet import SERVICES
from tests.support.infrastructure import Database, execute, migrations_of
from tests.support.services import Running, running, token
from tests.system.bus import STARTED, Bus, Node, nodes

CASES = 200
READER = token("reader", "acceptor", "dispatcher", "auditor")
FILER = token("bench-acceptor", "acceptor")
CREW = token("bench-unit", "handling_unit", unit=UNIT)


class Stack:
    """The services over HTTP, with a bus in place of the broker, and their stores."""

    def __init__(self, district: Path, database: Database, served: Mapping[str, Running], bus: Bus) -> None:
        self._areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
        self.admin_url = database.admin_url
        self._served = served
        self._bus = bus
        self._filed = 0

    async def close(self, nodes: Mapping[str, Node], count: int) -> list[str]:
        """Files so many reports and works them off; their cases."""
        log, closed = Log(self._served["audit"].runtime.database), []
        spots = places(self._areas, self._filed + count)[self._filed :]
        for n, place in enumerate(spots):
            case = (await self._post("intake", "/reports", FILER, body(place, n)))["case_id"]
            await self._bus.put(await nodes["intake"].outbox())
            for step in ("acknowledge", "resolve"):
                await self._post("dispatch", f"/assignments/{case}.1.1/{step}", CREW, {})
            await self._bus.put(await nodes["dispatch"].outbox())
            closed.append(case)
        self._filed += count
        await log.process(self._bus.log)
        return closed

    async def get(self, service: str, path: str) -> dict[str, object]:
        answer = await self._served[service].client.get(path, headers=READER)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def case(self, case: str) -> dict[str, object]:
        """As audit shows it."""
        found = (await self.get("audit", f"/cases/{case}"))["case"]
        assert isinstance(found, dict)
        return found

    async def _post(self, service: str, path: str, headers: dict[str, str], said: object) -> dict[str, str]:
        answer = await self._served[service].client.post(path, json=said, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@pytest.fixture
async def city(district: Path, database: Database) -> AsyncIterator[dict[str, Node]]:
    found = await nodes(district, database)
    yield found
    for node in found.values():
        await node.database.close()


@pytest.fixture
async def stack(district: Path, database: Database, city: dict[str, Node]) -> AsyncIterator[Stack]:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district})
    async with AsyncExitStack() as opened:
        served = {
            name: await opened.enter_async_context(
                running(
                    import_module(f"services.{name}.service").build(settings),
                    database.url(name),
                    role="api",
                    clock=lambda: STARTED,
                )
            )
            for name in SERVICES
        }
        yield Stack(district, database, served, Bus(city))


def silent() -> Console:
    return Console(file=io.StringIO())


async def loaded_ids(admin_url: str) -> list[str]:
    connection = await asyncpg.connect(admin_url)
    try:
        rows = await connection.fetch('SELECT DISTINCT case_id FROM audit.log WHERE "offset" < 0 ORDER BY case_id')
    finally:
        await connection.close()
    return [row["case_id"] for row in rows]


@pytest.mark.timeout(240)
async def test_a_loaded_case_is_served_and_audited_as_one_that_went_through(
    stack: Stack, city: dict[str, Node], database: Database, district: Path
) -> None:
    templates = await stack.close(city, 3)
    await past.load(stack.admin_url, CASES - 50, silent())
    await past.load(stack.admin_url, 50, silent())
    loaded = await loaded_ids(stack.admin_url)
    assert len(set(loaded) - set(templates)) == CASES
    assert await past.present(stack.admin_url) == CASES + 3

    for case in (loaded[0], loaded[CASES // 2], loaded[-1]):
        report = await stack.get("intake", f"/reports/{case}")
        assert (report["case_id"], report["status"], report["category"]) == (case, "closed", CATEGORY)
        assert str(report["reported_at"]) < STARTED.isoformat()
        for service in ("triage", "dispatch", "feedback"):
            assert (await stack.get(service, f"/cases/{case}"))["status"] == "closed"
        shown = await stack.case(case)
        assert (shown["status"], shown["outcome"], shown["events"]) == ("closed", "fixed", 6)
        found = await stack.get("audit", f"/completeness?case_id={case}")
        assert (found["verdict"], found["reasons"]) == ("complete", [])

    settings = Settings.model_validate({"CASEGRID_DISTRICT": district})
    for name in SERVICES:
        store = stores.Database(database.url(name), name, size=2, migrations=migrations_of(name))
        await store.open()
        model = import_module(f"services.{name}.service").build(settings).model
        tables, _ = await rebuild(derived_of(model), store, lambda done, total: None)
        await store.close()
        assert [one.table for one in tables if not one.equal] == [], name
        assert {one.after.rows for one in tables} <= {CASES + 3, 0}, name


async def test_the_services_go_on_as_before_and_send_nothing_that_was_loaded(
    stack: Stack, city: dict[str, Node]
) -> None:
    await stack.close(city, 2)
    await past.load(stack.admin_url, 20, silent())
    assert [record for node in city.values() for record in await node.outbox()] == []
    later = await stack.close(city, 1)
    assert (await stack.case(later[0]))["status"] == "closed"
    assert (await stack.get("audit", f"/completeness?case_id={later[0]}"))["verdict"] == "complete"


async def test_a_stack_with_cases_of_others_takes_no_generated_ones(stack: Stack, city: dict[str, Node]) -> None:
    await stack.close(city, 1)
    await execute(stack.admin_url, "UPDATE audit.cases SET category = 'people.quarrel'")
    with pytest.raises(Problem, match="1 cases of this stack are not the benchmark's"):
        await past.load(stack.admin_url, 10, silent())
    assert await past.present(stack.admin_url) == 1


async def test_without_a_closed_case_there_is_nothing_to_copy(stack: Stack) -> None:
    with pytest.raises(Problem, match="no closed case"):
        await past.load(stack.admin_url, 10, silent())
