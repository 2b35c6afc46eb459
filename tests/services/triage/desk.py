"""Triage running in a test: its fixtures, the facts of others it is given, and calls of its API."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx

from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.worker import DecidingWorker
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport
from tests.support.facts import case_id, fact_record
from tests.support.services import Running, token

MAIN = "event.emergency.water-main"
POTHOLE = "component.road-traffic.surface"
NOW = datetime(2026, 5, 9, 1, 12, tzinfo=UTC)
MEMBER = token("li", "grid_member")
ACCEPTOR = token("wang", "acceptor")
LEADER = token("zhao", "shift_leader")
REPORTER = token("chen", "reporter")
CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")


def report(category: str | None = MAIN, **more: Any) -> NewReport:
    made: dict[str, Any] = {"channel": "handset", "title": "water gushes out of the road", **more}
    return NewReport(category=category, **made)


async def hear(triage: Running, case: str, *facts: Fact, time: datetime = NOW, inbox: Inbox | None = None) -> None:
    """Lets triage take in what the others published, in one batch."""
    await (inbox or triage.runtime.inbox).process([said(case, fact, time=time) for fact in facts])


def another_inbox(triage: Running) -> Inbox:
    """That of a worker which remembers nothing yet."""
    model = triage.runtime.service.model
    assert isinstance(model, Model)
    return Inbox(model, triage.runtime.database, triage.runtime.clock)


def timers(triage: Running) -> Timers:
    worker = triage.runtime.worker
    assert isinstance(worker, DecidingWorker)
    return worker.timers


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
    rows = await triage.runtime.database.fetch(
        "SELECT kind, stream_id, reason FROM parked WHERE status = 'waiting' ORDER BY parked_id"
    )
    return [tuple(row) for row in rows]
