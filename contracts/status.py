"""The public status of a case: which there are, how they follow from facts, and which of them each service can tell.

One fold serves every reader: it takes whatever facts of a case that reader sees, in whatever order the topics bring
them. Within one source's stream of a case `sequence` orders what it said; where sources meet, the later stage wins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport
from contracts.progress import (
    Acknowledged,
    AwaitingRuling,
    Checking,
    EnRoute,
    HandedOn,
    OnScene,
    Verified,
    VerifiedBeforeFiling,
    Verifying,
)
from contracts.progress import Failed as CheckFailed
from contracts.states import altered
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn

Status = Literal[
    "reported",
    "verifying",
    "filed",
    "dispatched",
    "acknowledged",
    "en_route",
    "on_scene",
    "suspended",
    "fixed",
    "checking",
    "rework",
    "closed",
    "rejected",
    "merged",
    "withdrawn",
]
"""What is shown to people; `contracts.words.STATUSES` says what each means."""

Stage = Literal["dispatched", "acknowledged", "en_route", "on_scene"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""Of an assignment, in the order in which it passes them."""

SERVICES = ("intake", "triage", "dispatch", "feedback", "audit")
"""In the order of a case's way through them."""

_WORK: Mapping[Status, Status | None] = dict.fromkeys(
    ("acknowledged", "en_route", "on_scene", "suspended"), "dispatched"
)
_UNHEARD: Mapping[Status, Status | None] = dict.fromkeys(("reported", "verifying"))

COARSE: Mapping[str, Mapping[Status, Status | None]] = {
    # The topics it reads tell rulings and verdicts, not what happens to an assignment.
    "intake": {
        **_WORK,
        "verifying": "reported",
        "filed": "dispatched",
        "fixed": "dispatched",
        "checking": "dispatched",
    },
    "triage": {**_WORK, "checking": "fixed"},
    "dispatch": {**_UNHEARD, "checking": "fixed"},
    # It closes what was merged, rejected or withdrawn in the transaction in which it hears of the ruling.
    "feedback": {**_WORK, **_UNHEARD, "merged": "closed", "rejected": "closed", "withdrawn": "closed"},
    "audit": {},
}
"""Service -> the statuses it does not show, and what it shows instead; None: not the case, of which it has not heard.
Dispatch and feedback hear of a case at the first ruling. Before it is filed, a case that intake cannot tell from a
reported one is that."""


def coarse(service: str, status: Status) -> Status | None:
    """What that service shows where the full status is this one; None where it does not show the case."""
    return COARSE[service].get(status, status)


def shown_by(service: str) -> tuple[Status, ...]:
    """The statuses that a case may have in that service."""
    every: tuple[Status, ...] = get_args(Status)
    return tuple(status for status in every if coarse(service, status) == status)


@dataclass(frozen=True)
class Assignment:
    """An assignment: how far its unit has come, and how it ended. `lead` is unknown (False) until its plan is known."""

    lead: bool = False
    stage: int = 0
    stage_sequence: int = 0
    """Of the step that said it."""
    outcome: Outcome | None = None
    taken_over: bool = False
    """A later assignment does its work."""


@dataclass(frozen=True)
class Standing:
    """Where a case stands, as far as it has been heard of."""

    reported: bool = False
    ruling: Status | None = None
    """Where triage stands; `filed` while it awaits a ruling, too: what that means depends on the lead's work."""
    ruling_sequence: int = 0
    filed: bool = False
    assignments: Mapping[str, Assignment] = field(default_factory=dict[str, Assignment])
    verdict: Literal["checking", "rework", "closed"] | None = None
    """Where feedback stands."""
    verdict_sequence: int = 0
    failed: tuple[str, ...] = ()
    """The assignments that failed the check of that verdict."""

    @property
    def status(self) -> Status | None:
        """None where nothing has been heard that says it."""
        if self.verdict == "closed":
            return "closed"
        if self.ruling is None:
            return "reported" if self.reported else None
        if self.ruling not in ("filed", "dispatched"):
            return self.ruling
        if not self.filed:
            return "reported"
        if self.verdict == "rework" and not all(self.assignment(name).taken_over for name in self.failed):
            return "rework"
        return self._of_the_lead()

    def assignment(self, name: str) -> Assignment:
        """What has been heard of that assignment."""
        return self.assignments.get(name, Assignment())

    def _of_the_lead(self) -> Status:
        leads = [(_place(name), one) for name, one in self.assignments.items() if one.lead]
        if not leads:
            return "filed"
        _, lead = max(leads, key=lambda found: found[0])
        if lead.outcome is None:
            return STAGES[lead.stage]
        if lead.outcome != "fixed":
            return "filed"
        done = all(one.outcome is not None for one in self.assignments.values())
        return "checking" if self.verdict == "checking" and done else "fixed"


def evolve(standing: Standing, event: Event[Any]) -> Standing:
    """Where the case stands after a fact; one that says nothing of it changes nothing."""
    fact: object = event.data
    change = _CHANGES.get(type(fact))
    return change(standing, event) if change is not None else standing


def _reported(standing: Standing, _: Event[Any]) -> Standing:
    return altered(standing, reported=True)


def _ruled(standing: Standing, event: Event[Any]) -> Standing:
    data, sequence = event.data, int(event.sequence)
    if isinstance(data, Dispatched):
        assignments = dict(standing.assignments)
        for given in data.plan:
            assignments[given.id] = altered(assignments.get(given.id, Assignment()), lead=given.lead)
            if given.replaces is not None:
                assignments[given.replaces] = altered(assignments.get(given.replaces, Assignment()), taken_over=True)
        standing = altered(standing, assignments=assignments, filed=True)
    if sequence <= standing.ruling_sequence:
        return standing
    return altered(standing, ruling=data.ruling, ruling_sequence=sequence)


def _awaits(ruling: Status) -> Callable[[Standing, Event[Any]], Standing]:
    def changed(standing: Standing, event: Event[Any]) -> Standing:
        sequence = int(event.sequence)
        if sequence <= standing.ruling_sequence:
            return standing
        return altered(standing, ruling=ruling, ruling_sequence=sequence)

    return changed


def _came_to(stage: Stage) -> Callable[[Standing, Event[Any]], Standing]:
    def changed(standing: Standing, event: Event[Any]) -> Standing:
        name, sequence = event.data.assignment_id, int(event.sequence)
        assignment = standing.assignment(name)
        if sequence <= assignment.stage_sequence:
            return standing
        reached = altered(assignment, stage=STAGES.index(stage), stage_sequence=sequence)
        return altered(standing, assignments={**standing.assignments, name: reached})

    return changed


def _resolved(standing: Standing, event: Event[Any]) -> Standing:
    name = event.data.assignment_id
    assignment = standing.assignment(name)
    if assignment.outcome is not None:
        return standing
    return altered(
        standing, assignments={**standing.assignments, name: altered(assignment, outcome=event.data.outcome)}
    )


def _judged(standing: Standing, event: Event[Any]) -> Standing:
    data, sequence = event.data, int(event.sequence)
    if sequence <= standing.verdict_sequence:
        return standing
    if isinstance(data, Evaluated):
        return altered(standing, verdict=data.verdict, failed=data.failed, verdict_sequence=sequence)
    return altered(standing, verdict="checking", verdict_sequence=sequence)


_CHANGES: Mapping[type, Callable[[Standing, Event[Any]], Standing]] = {
    NewReport: _reported,
    Verifying: _awaits("verifying"),
    AwaitingRuling: _awaits("filed"),
    VerifiedBeforeFiling: _awaits("filed"),
    Dispatched: _ruled,
    Merged: _ruled,
    Rejected: _ruled,
    Withdrawn: _ruled,
    Acknowledged: _came_to("acknowledged"),
    EnRoute: _came_to("en_route"),
    OnScene: _came_to("on_scene"),
    HandedOn: _came_to("dispatched"),  # whoever is to acknowledge it now has not
    Resolved: _resolved,
    Checking: _judged,
    Verified: _judged,
    CheckFailed: _judged,
    Evaluated: _judged,
}
"""Fact -> what it changes. `Upheld` changes nothing: the case goes on as it was."""


def _place(assignment_id: str) -> tuple[int, int]:
    _, round_, number = assignment_id.split(".")
    return int(round_), int(number)
