"""The fixtures of intake's tests: its rules, its database, and the service running."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.migrate import migrate
from chassis.partners import Registry
from chassis.service import Service
from chassis.settings import Settings
from services.intake.service import build
from tests.services.intake.desk import PARTNERS, Home
from tests.support.infrastructure import PASSWORD
from tests.support.infrastructure import Database as Urls
from tests.support.services import Mortal


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
async def urls(empty_database: Urls, service: Service) -> Urls:
    await migrate(empty_database.admin_url, "intake", PASSWORD, service.schema.read_text())
    return empty_database


@pytest.fixture
async def home(urls: Urls, service: Service, tmp_path: Path) -> AsyncIterator[Home]:
    file = tmp_path / "partners.json"
    file.write_text(PARTNERS.model_dump_json())
    database = Mortal(urls.url("intake"), "intake", size=6)
    await database.open()
    yield Home(replace(service, registry=Registry(file)), database)
    await database.close()
