"""Triage's rulings on a burst water main, as the tests of dispatch, feedback and audit are given them."""

from datetime import datetime, timedelta
from typing import Any

from contracts.fields import Place
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged

WHY = Explanation(rules=("by hand",), catalogue="1", policy="1")


def assignment(name: str, unit: str, start: datetime, **more: Any) -> Assignment:
    """The assignment `<case>.<round>.<number>`; the first of a round leads."""
    lead = name.endswith(".1")
    given = {
        "id": name,
        "unit": unit,
        "lead": lead,
        "task": "repair the main" if lead else "bring water",
        "acknowledge_by": start + timedelta(minutes=10),
        "resolve_by": start + timedelta(hours=4),
        **more,
    }
    return Assignment.model_validate(given)


def dispatched(*plan: Assignment, area: str, filed_at: datetime, **more: Any) -> Dispatched:
    """These assignments are given out; in the first round unless it is said otherwise."""
    ruling = {
        "round": 1,
        "because": "first" if more.get("round", 1) == 1 else "returned",
        "category": "event.emergency.water-main",
        "condition": "standard",
        "closing": "dry",
        "priority": 1,
        "title": "a water main has burst",
        "place": Place(area=area),
        "area": area,
        "filed_at": filed_at,
        "plan": plan,
        "check": Check(method="photo", by="grid"),
        "explanation": WHY,
        **more,
    }
    return Dispatched.model_validate(ruling)


def merged(into: str, **more: Any) -> Merged:
    """The case is merged into that one."""
    return Merged(into=into, explanation=WHY, **more)
