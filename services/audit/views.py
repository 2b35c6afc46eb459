"""The table of cases, one row each, as a function of the folded case."""

from operator import attrgetter
from typing import Any

import orjson

from chassis.store.views import View
from services.audit.domain.case import Case

_FIELDS = {
    "first_index": "bigint",
    "last_index": "bigint",
    "events": "bigint",
    "status": "text",
    "outcome": "text",
    "category": "text",
    "area": "text",
    "priority": "integer",
    "channel": "text",
    "title": "text",
    "external_ref": "text",
    "reported_at": "timestamptz",
    "ruled_at": "timestamptz",
    "filed_at": "timestamptz",
    "closed_at": "timestamptz",
    "last_at": "timestamptz",
    "ruling": "text",
    "merged_into": "text",
    "late_by_seconds": "bigint",
    "late": "boolean",
    "reworks": "bigint",
}
"""Attribute of `Case` -> SQL type of its column."""

_values = attrgetter(*_FIELDS)

ITEM_COLUMNS = ("case_id", *_FIELDS)
"""What lists show: all columns but the state."""

CASES: View[Case] = View(
    "cases",
    ("case_id",),
    {"case_id": "text", **_FIELDS, "state": "bytea"},
    lambda case_id, case: [(case_id, *_values(case), orjson.dumps(case))],
)
"""`state` is the folded case as JSON; the next fact is folded into it."""


def case_item(case_id: str, case: Case) -> dict[str, Any]:
    """A case's row as lists show it."""
    return dict(zip(ITEM_COLUMNS, (case_id, *_values(case)), strict=True))
