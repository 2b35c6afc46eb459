"""The fixtures that the tests of all services share: one small district, and a database of the service's own."""

from pathlib import Path

import pytest

from chassis.service import Service
from chassis.store.migrations import migrate
from deploy.district import __main__ as district
from tests.support.infrastructure import PASSWORD, Database


@pytest.fixture(scope="session")
def district_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference files of a district of four grids."""
    folder = tmp_path_factory.mktemp("district")
    assert district.main(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
async def url(empty_database: Database, service: Service) -> str:
    """Where the service's own tables are, empty."""
    await migrate(empty_database.admin_url, service.name, PASSWORD, service.migrations)
    return empty_database.url(service.name)
