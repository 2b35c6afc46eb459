"""The fixtures of feedback's tests: its rules, its database, and the service running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.service import Service
from chassis.settings import Settings
from services.feedback.service import build
from tests.services.feedback.desk import NOW
from tests.support.services import Hands, Running, running


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
def clock() -> Hands:
    return Hands(NOW)


@pytest.fixture
async def feedback(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, clock=clock) as found:
        yield found
