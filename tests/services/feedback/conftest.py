"""The fixtures of feedback's tests: its rules, its database, and the service running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.migrate import migrate
from chassis.service import Service
from chassis.settings import Settings
from deploy.district import __main__ as district
from services.feedback.service import build
from tests.services.feedback.desk import NOW
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Hands, Running, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder: Path = tmp_path_factory.mktemp("feedback-district")
    district.main(["--scale", "tiny", "--out", str(folder)])
    return build(Settings.model_validate({"CASEGRID_DISTRICT": folder}))


@pytest.fixture
async def url(empty_database: Database, service: Service) -> str:
    await migrate(empty_database.admin_url, "feedback", PASSWORD, service.schema.read_text())
    return empty_database.url("feedback")


@pytest.fixture
def clock() -> Hands:
    return Hands(NOW)


@pytest.fixture
async def feedback(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, clock=clock) as found:
        yield found
