"""The fixtures of dispatch's tests: its rules, its database, and the service running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chassis.service import Service
from chassis.settings import Settings
from services.dispatch.service import build
from tests.services.dispatch.desk import T0, Start, partner, register
from tests.support.services import Hands, Running, running


@pytest.fixture
def partners_file(tmp_path: Path) -> Path:
    """The file of partners, with the fire brigade in it."""
    file = tmp_path / "partners.json"
    register(file, partner("fire", "dept:fire"))
    return file


@pytest.fixture
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
def start(url: str, service: Service, partners_file: Path) -> Start:
    """Starts the service on this test's database, as often as the test likes; without a broker unless it names one."""

    @asynccontextmanager
    async def started(clock: Hands, **more: Any) -> AsyncIterator[Running]:
        async with running(service, url, clock=clock, CASEGRID_PARTNERS=partners_file, **more) as service_running:
            yield service_running

    return started


@pytest.fixture
def clock() -> Hands:
    return Hands(T0)


@pytest.fixture
async def dispatch(start: Start, clock: Hands) -> AsyncIterator[Running]:
    """The service without a broker: HTTP, timers and database."""
    async with start(clock) as service_running:
        yield service_running
