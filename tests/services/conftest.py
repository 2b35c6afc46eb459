"""The fixtures that the tests of all services share: one small district, and a database of the service's own."""

from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path

import pytest

from chassis.service import Service
from chassis.settings import Settings
from chassis.store.migrations import migrate
from deploy.district import __main__ as district
from tests.services.every import serving
from tests.support.fleet import SERVICES
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Running


@pytest.fixture(scope="session")
def district_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference files of a district of four grids."""
    folder = tmp_path_factory.mktemp("district")
    assert district.main(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, district_folder: Path) -> Service:
    """Each of the five in turn, where a folder does not name its own."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    return import_module(f"services.{request.param}.service").build(settings)


@pytest.fixture
async def api(empty_database: Database, service: Service) -> AsyncIterator[Running]:
    async with serving(service, empty_database) as found:
        yield found


@pytest.fixture
async def url(empty_database: Database, service: Service) -> str:
    """Where the service's own tables are, empty."""
    await migrate(empty_database.admin_url, service.name, PASSWORD, service.migrations)
    return empty_database.url(service.name)
