"""An assignment as feedback knows it, and which of a case's assignments count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from contracts import triage
from contracts.dispatch import Resolved
from contracts.fields import LATEST
from contracts.triage import Because


@dataclass(frozen=True, slots=True)
class End:
    """How and when an assignment ended. `resolved.unit` had it in the end, whoever it was given to."""

    resolved: Resolved
    at: datetime


@dataclass(frozen=True, slots=True)
class Extension:
    """A granted extension: its number from 1, when it was granted, and the deadline from then on."""

    count: int
    granted_at: datetime
    due_at: datetime


@dataclass(frozen=True)
class Assignment:
    """An assignment, as far as it is known: its plan may come after its extensions and its end."""

    assignment_id: str
    plan: triage.Assignment | None = None
    round: int = 0
    because: Because = "first"
    dispatched_at: datetime | None = None
    """When the ruling was made that gave it; `round` and `because` are those of that ruling."""
    end: End | None = None
    extensions: tuple[Extension, ...] = ()
    """In the order in which they were granted."""
    failed_at: datetime | None = None
    """When a check found its work wanting."""

    @property
    def lead(self) -> bool:
        """Whether it answers for the case while no other takes it over."""
        return self.plan is not None and self.plan.lead

    @property
    def unit(self) -> str:
        """The unit that had it in the end, else the unit of the plan, which must be known then."""
        return self.unit_at(LATEST)

    def unit_at(self, at: datetime) -> str:
        """The same as of an instant: the unit of the plan until the assignment ended."""
        if self.end is not None and self.end.at <= at:
            return self.end.resolved.unit
        assert self.plan is not None
        return self.plan.unit

    @property
    def resolve_by(self) -> datetime:
        """The deadline in force: as the end says, else as the latest extension says, else as planned."""
        if self.end is not None:
            return self.end.resolved.resolve_by
        if self.extensions:
            return self.extensions[-1].due_at
        assert self.plan is not None
        return self.plan.resolve_by

    @property
    def late_by_seconds(self) -> int | None:
        """How late the work was, as dispatch measured it; None while it has not ended."""
        return self.end.resolved.late_by_seconds if self.end is not None else None


class Assignments(dict[str, Assignment]):
    """Of a case, by id. It is never changed, so what follows from the assignments is derived once, when asked for."""

    def having(self, *some: Assignment) -> "Assignments":
        """These, with those in the place of what they were before."""
        return Assignments({**self, **{one.assignment_id: one for one in some}})

    @cached_property
    def replaced(self) -> frozenset[str]:
        """Those whose work another took over."""
        plans = (one.plan for one in self.values())
        return frozenset(plan.replaces for plan in plans if plan is not None and plan.replaces is not None)

    @cached_property
    def current(self) -> Sequence[Assignment]:
        """The planned ones that no other took over, leads first, newest round first."""
        found = [one for name, one in self.items() if one.plan is not None and name not in self.replaced]
        return sorted(found, key=lambda one: (not one.lead, -one.round, one.assignment_id))

    @cached_property
    def done(self) -> Sequence[tuple[Assignment, End]]:
        """Those of the current that are fixed, with how they ended."""
        return [(one, one.end) for one in self.current if one.end is not None and one.end.resolved.outcome == "fixed"]
