"""Feedback running in a test: its fixtures, the facts of others it is given, and calls of its API."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from chassis.kafka.records import Record
from contracts.dispatch import Outcome, Resolved
from contracts.fields import Fact
from contracts.intake import Rating, Reopening
from contracts.progress import Extended
from contracts.triage import Assignment, Dispatched
from contracts.wire import parse
from tests.support import rulings
from tests.support.facts import case_id, fact_record, home_of
from tests.support.services import Hands, Running, token

NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEAR_COMMUNITY, FAR_COMMUNITY = "CH/shuangqiaozi/shuangqiaolubei", "CH/shuangqiaozi/shuanglin"
NEAR, FAR = f"{NEAR_COMMUNITY}/g001", f"{FAR_COMMUNITY}/g001"
CHECKERS_GRID = f"grid:{NEAR_COMMUNITY}/g002"
WATER, FIRE, STREET = "dept:water", "dept:fire", "street:CH/shuangqiaozi"
CHECKER = token("member:g009-1", "grid_member", unit=CHECKERS_GRID)
PLUMBER = token("worker:1", "grid_member", unit=CHECKERS_GRID)
EVALUATOR = token("evaluator:1", "evaluator")
LEADER = token("leader:1", "shift_leader")
REPORTER = token("citizen:1", "reporter")
AUDITOR = token("auditor:1", "auditor")
CLOSING = "019e0a9c-1f78-7c3e-8b1a-200000000002"
"""A verdict, for what is said of it."""


def assignment(case: str, number: int, unit: str, at: datetime = NOW, round_: int = 1, **more: Any) -> Assignment:
    return rulings.assignment(f"{case}.{round_}.{number}", unit, at, **more)


def plan(*assignments: Assignment, round_: int = 1, at: datetime = NOW, area: str = NEAR, **more: Any) -> Dispatched:
    return rulings.dispatched(*assignments, **{"area": area, "filed_at": at, "round": round_, **more})


def ended(one: Assignment, outcome: Outcome = "fixed", **more: Any) -> Resolved:
    return Resolved(
        assignment_id=one.id,
        unit=more.pop("unit", one.unit),
        outcome=outcome,
        reason=None if outcome == "fixed" else "not ours",
        resolve_by=more.pop("resolve_by", one.resolve_by),
        late_by_seconds=more.pop("late_by_seconds", 0),
        **more,
    )


def extended(one: Assignment, count: int, due_at: datetime) -> Extended:
    return Extended(assignment_id=one.id, unit=one.unit, count=count, due_at=due_at)


_said: Counter[tuple[str, str]] = Counter()


def record(case: str, fact: Fact, at: datetime = NOW, **more: Any) -> Record:
    """The fact as the next of its source's stream of the case."""
    source = more.pop("source", home_of(fact))
    _said[case, source] += 1
    return fact_record(case, fact, time=at, source=source, sequence=_said[case, source], **more)


async def take(feedback: Running, *records: Record) -> None:
    """The records as they come, one after the other: each when it happened, or now if that was before."""
    clock = feedback.runtime.clock
    if not isinstance(clock, Hands):
        await feedback.runtime.inbox.process(records)
        return
    now = clock.at
    try:
        for one in records:
            said = orjson.loads(one.value or b"{}").get("time")
            clock.at = max(now, datetime.fromisoformat(said)) if said else now
            await feedback.runtime.inbox.process([one])
    finally:
        clock.at = now


async def rate(feedback: Running, case: str, at: datetime, rating: int, by: str = "reporter:1", **more: Any) -> None:
    """Intake says that somebody rated the case."""
    given = Rating(verdict_id=CLOSING, rating=rating, **more)
    await take(feedback, record(case, given, at, actor=by))


async def ask_to_reopen(feedback: Running, case: str, at: datetime, reason: str = "wet again") -> None:
    """Intake says that its reporter asks to reopen the case."""
    last = "SELECT event_id FROM events WHERE stream_id = $1 AND own AND topic = 'Evaluated' ORDER BY version DESC"
    row = await feedback.runtime.database.fetchrow(last, case)
    assert row is not None
    wish = Reopening(verdict_id=row["event_id"], reason=reason)
    await take(feedback, record(case, wish, at, actor="reporter:1"))


async def waiting(feedback: Running, at: datetime = NOW, **more: Any) -> str:
    """A case that waits for its check."""
    case = case_id()
    one = assignment(case, 1, WATER, at)
    await take(
        feedback,
        record(case, plan(one, at=at, **more), at),
        record(case, ended(one, handled_by=("worker:1",)), at + HOUR),
    )
    return case


async def get(feedback: Running, path: str, headers: dict[str, str] = AUDITOR, **query: Any) -> Any:
    response = await feedback.client.get(path, params=query or None, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def post(feedback: Running, path: str, headers: dict[str, str], status: int = 200, **body: Any) -> Any:
    response = await feedback.client.post(path, json=body, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


async def said(feedback: Running, case: str, topic: str) -> list[Any]:
    """What feedback has published about a case on a topic."""
    rows = await feedback.runtime.database.fetch(
        "SELECT body FROM events WHERE own AND stream_id = $1 AND topic = $2 ORDER BY version", case, topic
    )
    return [parse(topic, row["body"]) for row in rows]
