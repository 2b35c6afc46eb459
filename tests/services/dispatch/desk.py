"""Dispatch running in a test: its fixtures, the facts of others it is given, and calls of its API."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from chassis.runtime import application
from contracts.envelope import Event
from contracts.fields import Fact, Place
from contracts.reference import Partner, Partners
from contracts.triage import Assignment, Dispatched, Merged
from tests.support import rulings
from tests.support.facts import case_id, fact_record
from tests.support.services import Running, eventually, token

T0 = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HERE, ELSEWHERE = "CH/shuangqiaozi/shuanglin", "CH/shuangqiaozi/shuangqiaolubei"
"""Two communities of the small district."""
CENTRAL = "district:CH"
WATER = token("li", "handling_unit", unit="dept:water")
FIRE = token("ma", "handling_unit", unit="dept:fire")
DISTRICT = token("gao", "handling_unit", unit=CENTRAL)
CENTRE = token("dispatcher-1", "dispatcher")
LEADER = token("leader-1", "shift_leader")
FIRE_TOO = token("ma", "handling_unit", "grid_member", unit="dept:fire")
"""Of the fire brigade, and of the district's grids, so that they see what other units do."""

BODIES: dict[str, dict[str, Any]] = {
    "acknowledge": {},
    "en-route": {},
    "on-scene": {},
    "resolve": {},
    "return": {"reason": "not ours"},
    "hand-on": {"unit": "dept:fire-station-5", "reason": "near"},
    "note": {"note": "seen"},
    "request-extension": {"reason": "no pipe"},
    "decide-extension": {"granted": True},
    "urge": {},
    "supervise": {"reason": "ordered"},
}
"""What is entered for each action."""

Start = Callable[..., AbstractAsyncContextManager[Running]]


def partner(name: str, *units: str, **more: Any) -> Partner:
    """A partner that answers for these units, with its own name as its client key."""
    key = hashlib.sha256(name.encode()).hexdigest()
    return Partner(id=name, name=name, units=units, client_key_sha256=key, **{"says": ("steps",), **more})


def register(file: Path, *partners: Partner) -> None:
    """Makes these the registered ones."""
    file.write_text(Partners(partners=partners).model_dump_json())


def plan(case: str, number: int, unit: str, start: datetime = T0, **more: Any) -> Assignment:
    extensions = (start + 8 * HOUR, start + 12 * HOUR)
    given = {"extensions": extensions, "escalated_to": (CENTRAL,), **more}
    return rulings.assignment(given.pop("id", f"{case}.1.{number}"), unit, start, **given)


def dispatched(case: str, *assignments: Assignment, area: str = f"{HERE}/g001", **more: Any) -> Dispatched:
    given = {
        "because": "first",
        "category": "component.public-facilities.manhole",
        "condition": "a",
        "place": Place(area=area, address="Shuangqiao Road"),
        "filed_at": T0,
        **more,
    }
    assignments = assignments or (plan(case, 1, "dept:water"), plan(case, 2, "dept:fire"))
    return rulings.dispatched(*assignments, area=area, **given)


def merged(into: str) -> Merged:
    return rulings.merged(into, said="no water")


async def take(dispatch: Running, case: str, data: Fact, **circumstances: Any) -> None:
    """A fact as if it had come from its topic."""
    at = dispatch.runtime.clock()
    await dispatch.runtime.inbox.process([fact_record(case, data, **{"time": at, **circumstances})])


async def given_out(dispatch: Running, *assignments: Assignment, case: str | None = None, **more: Any) -> str:
    """A case that was given out; its id."""
    case = case or case_id()
    await take(dispatch, case, dispatched(case, *assignments, **more))
    return case


async def post(dispatch: Running, path: str, who: dict[str, str], status: int = 200, **body: Any) -> Any:
    response = await dispatch.client.post(path, headers=who, json=body)
    assert response.status_code == status, response.text
    return response.json()


async def get(dispatch: Running, path: str, who: dict[str, str] = CENTRE, status: int = 200) -> Any:
    response = await dispatch.client.get(path, headers=who)
    assert response.status_code == status, response.text
    return response.json()


async def items(dispatch: Running, path: str, who: dict[str, str] = CENTRE) -> list[Any]:
    return (await get(dispatch, path, who))["items"]


async def has_status(dispatch: Running, assignment_id: str, status: str) -> bool:
    response = await dispatch.client.get(f"/assignments/{assignment_id}", headers=CENTRE)
    return response.status_code == 200 and response.json()["status"] == status


async def case_has_status(dispatch: Running, case: str, status: str) -> bool:
    return (await get(dispatch, f"/cases/{case}"))["status"] == status


def distinct(events: list[Event[Any]]) -> list[Event[Any]]:
    """Each event once: a relay that is stopped between sending and noting it sends again."""
    return list({event.id: event for event in events}.values())


@asynccontextmanager
async def listening(dispatch: Running) -> AsyncIterator[str]:
    """The service on a port of its own, for what a client in the same process cannot do: read while it is written."""
    server = uvicorn.Server(
        uvicorn.Config(application(dispatch.runtime), port=0, lifespan="off", log_config=None, ws="none")
    )
    task = asyncio.create_task(server.serve())
    await eventually(lambda: _value(server.started), what="the server")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def _value(value: Any) -> Any:
    return value
