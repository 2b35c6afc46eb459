"""The fixtures of triage's tests: its rules, its database, and the service running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.service import Service
from chassis.settings import Settings
from contracts.reference import Areas
from services.triage.service import build
from tests.services.triage.desk import NOW
from tests.support.services import Hands, Running, running


@pytest.fixture(scope="session")
def grids(district_folder: Path) -> dict[str, tuple[float, float]]:
    """Grid -> the latitude and longitude of its middle."""
    areas = Areas.model_validate_json((district_folder / "areas.json").read_bytes()).areas
    return {
        area.path: (
            sum(lat for _, lat in area.polygon[:-1]) / (len(area.polygon) - 1),
            sum(lon for lon, _ in area.polygon[:-1]) / (len(area.polygon) - 1),
        )
        for area in areas
        if area.level == "grid"
    }


@pytest.fixture(scope="session")
def grid(grids: dict[str, tuple[float, float]]) -> str:
    return min(grids)


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
def clock() -> Hands:
    return Hands(NOW)


@pytest.fixture
async def triage(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, role="api", clock=clock) as found:
        yield found
