"""A case as the replay sees it: what it filed, and what the topics said of it since."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.replay.rows import Report


@dataclass(slots=True)
class Case:
    """Told by `Assigned` and `Evaluated` alone, so that it can be held against audit's own account."""

    case_id: str
    report: Report
    retrospective: bool
    category: str | None
    """As triage ruled, else as the reporter chose."""
    area: str | None = None
    filed: bool = False
    ruling: str | None = None
    merged_into: str | None = None
    check_by: str | None = None
    units: frozenset[str] = frozenset()
    """Everybody who was given work."""
    resolved_at: datetime | None = None
    """When the last of the work ended."""
    outcome: str | None = None
    late_by_seconds: int | None = None
    reworks: int = 0
    failure: str | None = None
    """What the replay could not do; nothing more happens to the case then."""
    given: set[str] = field(default_factory=set)
    """The assignments that have been taken on."""
    heard: set[str] = field(default_factory=set)
    """The events taken in: one may be published twice."""

    @property
    def closed(self) -> bool:
        return self.outcome is not None

    @property
    def late(self) -> bool | None:
        return None if self.late_by_seconds is None else self.late_by_seconds > 0

    def ruled(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Takes a ruling in; the assignments that are new with it."""
        self.ruling = data["ruling"]
        self.category = data.get("category") or self.category
        self.area = data.get("area") or self.area
        self.merged_into = data.get("into")
        if self.ruling != "dispatched":
            return []
        self.filed = True
        self.check_by = data["check"]["by"]
        fresh = [assignment for assignment in data["plan"] if assignment["id"] not in self.given]
        self.given.update(assignment["id"] for assignment in fresh)
        self.units |= {assignment["unit"] for assignment in fresh}
        return fresh

    def judged(self, data: dict[str, Any]) -> None:
        """Takes a verdict in."""
        self.late_by_seconds = data.get("late_by_seconds", self.late_by_seconds)
        if data["verdict"] == "closed":
            self.outcome = data["outcome"]
        else:
            self.reworks += 1
