"""Triage running in a test: its fixtures, the facts of others it is given, and calls of its API."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.inbox import Inbox
from chassis.migrate import migrate
from chassis.records import Record
from chassis.service import Service
from chassis.settings import Settings
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport
from contracts.reference import Areas
from deploy.district import __main__ as district
from services.triage.service import build
from tests.support.facts import case_id, fact_record
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Hands, Running, running, token

MAIN = "event.emergency.water-main"
POTHOLE = "component.road-traffic.surface"
NOW = datetime(2026, 5, 9, 1, 12, tzinfo=UTC)
MEMBER = token("li", "grid_member")
ACCEPTOR = token("wang", "acceptor")
LEADER = token("zhao", "shift_leader")
REPORTER = token("chen", "reporter")
CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")


@pytest.fixture(name="district_folder", scope="session")
def triage_district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    district.main(["--scale", "tiny", "--out", str(folder)])
    return folder


@pytest.fixture(name="grids", scope="session")
def middles_of_grids(district_folder: Path) -> dict[str, tuple[float, float]]:
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


@pytest.fixture(name="grid", scope="session")
def first_grid(grids: dict[str, tuple[float, float]]) -> str:
    return min(grids)


@pytest.fixture(name="service", scope="session")
def triage_service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture(name="url")
async def triage_database(empty_database: Database, service: Service) -> str:
    await migrate(empty_database.admin_url, "triage", PASSWORD, service.schema.read_text())
    return empty_database.url("triage")


@pytest.fixture(name="clock")
def clock_by_hand() -> Hands:
    return Hands(NOW)


@pytest.fixture(name="triage")
async def triage_running(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, role="api", clock=clock) as found:
        yield found


def report(category: str | None = MAIN, **more: Any) -> NewReport:
    made: dict[str, Any] = {"channel": "handset", "title": "water gushes out of the road", **more}
    return NewReport(category=category, **made)


async def hear(triage: Running, case: str, *facts: Fact, time: datetime = NOW, inbox: Inbox | None = None) -> None:
    """Lets triage take in what the others published, in one batch."""
    taking = inbox or triage.runtime.inbox
    assert taking is not None
    await taking.process([said(case, fact, time=time) for fact in facts])


def said(case: str, fact: Fact, **more: Any) -> Record:
    """A fact as its home service puts it on its topic."""
    return fact_record(case, fact, **{"time": NOW, **more})


def ended(case: str, number: str = "1.1", outcome: str = "returned", unit: str = "dept:water") -> Resolved:
    """How an assignment ended."""
    made = {"assignment_id": f"{case}.{number}", "unit": unit, "outcome": outcome, "reason": "not our pipe"}
    return Resolved.model_validate({**made, "resolve_by": NOW, "late_by_seconds": 0})


async def filed(triage: Running, *facts: Fact) -> str:
    case = case_id()
    await hear(triage, case, *facts)
    return case


async def get(triage: Running, path: str, who: dict[str, str] = ACCEPTOR, **query: Any) -> Any:
    answer = await triage.client.get(path, headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def status(triage: Running, case: str) -> str:
    return (await get(triage, f"/cases/{case}"))["status"]


async def rule(triage: Running, case: str, body: dict[str, Any], who: dict[str, str] = ACCEPTOR) -> httpx.Response:
    """A ruling by somebody who has just looked at the case."""
    seen = await triage.client.get(f"/cases/{case}", headers=who)
    match = {"if-match": seen.headers.get("etag", '"1"')}
    return await triage.client.post(f"/cases/{case}/ruling", headers={**who, **match}, json=body)


async def published(triage: Running, case: str) -> list[dict[str, Any]]:
    rows = await triage.runtime.database.fetch(
        "SELECT body FROM events WHERE stream_id = $1 AND own ORDER BY version", case
    )
    return [json.loads(row["body"]) for row in rows]


async def parked(triage: Running) -> list[tuple[str, str, str]]:
    rows = await triage.runtime.database.fetch("SELECT kind, stream_id, reason FROM parked WHERE status = 'waiting'")
    return [tuple(row) for row in rows]
