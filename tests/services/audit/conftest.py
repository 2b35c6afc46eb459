"""The fixtures that audit's tests share: the service, a database that has its tables, its store, and audit at work."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.service import Service
from chassis.settings import Settings
from chassis.store import database as stores
from chassis.store.migrations import migrate
from services.audit.service import MIGRATIONS, build
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Running, running


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await migrate(empty_database.admin_url, "audit", PASSWORD, MIGRATIONS)
    return empty_database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[stores.Database]:
    """The open store, with audit's own rights."""
    found = stores.Database(database.url("audit"), "audit", size=6, migrations=MIGRATIONS)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def audit(service: Service, database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """Audit with a database, no broker and no partners: what it is to store is given to its log directly."""
    async with running(service, database.url("audit"), CASEGRID_PARTNERS=tmp_path / "none.json") as found:
        yield found
