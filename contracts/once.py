"""What a case can have only one of: the role that a fact has in it, by which a second, different one is told.

A home says each of these once, so a second one with another id contradicts the first, however it came about: a defect,
a restored backup, a forgery. Readers park it, and audit's completeness shows it. Supplements, notes and other facts
without a role may come any number of times.
"""

from collections.abc import Mapping
from typing import Any

ONCE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    # ReportFiled
    "new": ("report", ()),
    "withdrawal": ("withdrawal", ()),
    "rating": ("rating", ("verdict_id",)),
    "reopening": ("reopening", ("verdict_id",)),
    # Assigned: nothing is ruled after an end
    "dispatched": ("round", ("round",)),
    "merged": ("end of the case", ()),
    "rejected": ("end of the case", ()),
    "withdrawn": ("end of the case", ()),
    "upheld": ("answer to the withdrawal", ()),
    # Resolved: an assignment ends in one way
    "fixed": ("end of assignment", ("assignment_id",)),
    "returned": ("end of assignment", ("assignment_id",)),
    "cancelled": ("end of assignment", ("assignment_id",)),
    # Evaluated: between two closings lies a rework, which is counted
    "closed": ("closing after reworks", ("reworks",)),
    "rework": ("rework", ("reworks",)),
    # the one step that another service than audit reads
    "extended": ("extension", ("assignment_id", "count")),
}
"""Label of a fact (contracts.causes) -> the name of its role, and the fields of its data that belong to the role."""


def role(label: str, data: Any) -> str | None:
    """What only one fact of a case can be; None of a fact that may come again. `rework 2`, `end of assignment <id>`."""
    named = ONCE.get(label)
    if named is None:
        return None
    name, fields = named
    return " ".join((name, *(str(getattr(data, field)) for field in fields)))
