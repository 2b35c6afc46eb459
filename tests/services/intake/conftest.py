"""The fixtures of intake's tests: the service over HTTP, and its worker with partners that make requests."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.engine.model import Model
from chassis.registry import Registry
from chassis.service import Service
from chassis.settings import Settings
from services.intake.service import MIGRATIONS, build
from tests.services.intake.desk import PARTNERS, Home
from tests.support.services import Mortal, Running, running


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture(scope="session")
def partners_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("partners") / "partners.json"
    file.write_text(PARTNERS.model_dump_json())
    return file


@pytest.fixture
async def intake(url: str, service: Service, partners_file: Path) -> AsyncIterator[Running]:
    async with running(service, url, CASEGRID_PARTNERS=partners_file) as found:
        yield found


@pytest.fixture
async def home(url: str, service: Service, partners_file: Path) -> AsyncIterator[Home]:
    database = Mortal(url, "intake", size=6, migrations=MIGRATIONS)
    await database.open()
    assert isinstance(service.model, Model)
    yield Home(replace(service.model, registry=Registry(partners_file)), database)
    await database.close()
