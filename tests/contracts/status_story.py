"""Facts of one case, as the folds of contracts/ take them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.fields import Fact, Place
from contracts.triage import Assignment, Check, Dispatched, Explanation
from contracts.wire import Circumstances, build
from tests.support.facts import home_of

CASE = "019e0a4a-ae58-7000-8000-000000000001"
NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
WHY = Explanation(rules=("x",), catalogue="2026.1", policy="2026.1")


def event_of(data: Fact, sequence: int) -> Event[Any]:
    """An event of the one source that says such things; its id is made from source and number."""
    source = home_of(data)
    event, _ = build(
        data,
        Circumstances(
            event_id=str(uuid5(NAMESPACE_URL, f"{source} {sequence}")),
            source=source,
            subject=CASE,
            time=NOON,
            recorded=NOON,
            sequence=sequence,
            actor="person:test",
        ),
    )
    return event


def assignment(number: str) -> str:
    """The id of assignment `<round>.<number>`."""
    return f"{CASE}.{number}"


def dispatched(*numbers: str, lead: str | None = None, instead: Mapping[str, str] = MappingProxyType({})) -> Dispatched:
    """A round that gives out these assignments; the first leads, or `lead`, or nobody where that is empty. `instead`:
    assignment -> the one whose work it takes over.
    """
    plan = tuple(
        Assignment(
            id=assignment(number),
            unit="dept:water",
            lead=number == (numbers[0] if lead is None else lead),
            task="mend it",
            acknowledge_by=NOON,
            resolve_by=NOON,
            replaces=assignment(instead[number]) if number in instead else None,
        )
        for number in numbers
    )
    return Dispatched(
        round=int(numbers[0].partition(".")[0]),
        because="first",
        category="event.emergency.water-main",
        condition="a",
        closing="dry",
        priority=1,
        title="water",
        place=Place(),
        area="CH",
        filed_at=NOON,
        plan=plan,
        check=Check(method="photo", by="grid"),
        explanation=WHY,
    )


def resolved(number: str, outcome: Outcome) -> Resolved:
    """The end of an assignment."""
    return Resolved(
        assignment_id=assignment(number),
        unit="dept:water",
        outcome=outcome,
        reason=None if outcome == "fixed" else "not ours",
        resolve_by=NOON,
        late_by_seconds=0,
    )
