"""The fixtures that audit's tests share: the service, and a database that has its tables."""

import pytest

from chassis.service import Service
from chassis.settings import Settings
from chassis.store.migrations import migrate
from services.audit.service import MIGRATIONS, build
from tests.support.infrastructure import PASSWORD, Database


@pytest.fixture(scope="session")
def service() -> Service:
    return build(Settings())


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await migrate(empty_database.admin_url, "audit", PASSWORD, MIGRATIONS)
    return empty_database
