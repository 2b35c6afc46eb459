"""What each fact's cause is: one table, and the fold that finds it in a stream.

A fact that follows from another's fact names that. One that a person or the clock began names what it answers: an
acknowledgement the `Assigned`, a grant the request, a check the `checking`, a deadline's passage the event that set the
deadline. Of two facts of one decision the second names the first. A case's first report has no cause,
nor has what is said of a record that cannot be read, or that is forged.

An event is known here by its label: its topic's kind, ruling, outcome, verdict or step, and of a plan or a step also by
the assignment it is about. Among the causes that the table allows the latest of the case counts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from contracts.envelope import AnyEvent
from contracts.fields import Fact
from contracts.once import role
from contracts.triage import Dispatched

_CASE = "*"
"""In the place of an assignment's id: what is about none."""
Marks = Mapping[str, tuple[int, str]]
"""Label, or role of `contracts.once` -> (place in the stream, event id) of the latest such event of a case.

`said <type> <source>` -> (sequence, event id) of the last that the source has said on the topic of that type.
"""

_ACTS = ("acknowledged", "en_route", "on_scene")
_GIVEN = ("dispatched", "handed_on")
_DEADLINE = ("dispatched", "extended")
_RULINGS = ("dispatched", "merged", "rejected", "withdrawn", "upheld")
_WAITING = ("verifying", "awaiting_ruling")
_REPORTS = ("new", "supplement", "withdrawal", "rating", "reopening")

CAUSES: Mapping[str, tuple[str, ...]] = {
    # ReportFiled
    "new": ("request",),
    "supplement": ("new", "request"),
    "withdrawal": ("new", "request"),
    "rating": ("closed", "request"),
    "reopening": ("closed", "request"),
    # intake's step
    "disclosed": ("new",),
    # Assigned: what it rules on, or what waited for a person
    "dispatched": ("new", "returned", "fixed", "rework", "verified_before_filing", *_WAITING),
    "merged": ("new", *_WAITING),
    "rejected": ("new", *_WAITING),
    "withdrawn": ("withdrawal",),
    "upheld": ("withdrawal",),
    # triage's steps
    "verifying": ("new",),
    "verified_before_filing": ("verifying",),
    "awaiting_ruling": ("new", "returned"),
    "ruling_overdue": _WAITING,
    # dispatch's steps
    "acknowledged": (*_GIVEN, "offered", "request"),
    "en_route": ("acknowledged", "request"),
    "on_scene": ("acknowledged", "en_route", "request"),
    "note": (*_GIVEN, *_ACTS, "request"),
    "extension_requested": ("acknowledged", "request"),
    "extended": ("extension_requested",),
    "extension_refused": ("extension_requested",),
    "urged": (*_GIVEN, *_ACTS),
    "supervised": (*_GIVEN, *_ACTS),
    "handed_on": ("acknowledged", "offered", "escalation_failed", *_GIVEN, "request"),
    "nearly_due": _DEADLINE,
    "overdue": _DEADLINE,
    "escalated": ("overdue", "escalated"),
    "offered": (*_GIVEN, "offered"),
    "escalation_failed": (*_GIVEN, "offered", "overdue", "escalated"),
    "joined": ("merged",),
    "supplemented": ("supplement", "supplemented"),
    # Resolved
    "fixed": (*_ACTS, "request"),
    "returned": (*_GIVEN, "acknowledged", "en_route", "request"),
    "cancelled": (*_RULINGS, "closed"),
    # feedback's steps and verdicts
    "checking": (*_RULINGS, "fixed", "returned", "cancelled"),
    "check_overdue": ("checking",),
    "verified": ("checking", *_RULINGS, "fixed", "returned", "cancelled"),
    "failed": ("checking",),
    "closed": ("verified", *_RULINGS),
    "rework": ("failed",),
    # what is answered
    "refused": ("request",),
    # operators name the parked event where it can be read, else its coordinates in the fact itself
    "retried": ("any",),
    "discarded": ("any",),
    # it is said of a record, and follows from no event
    "forged": (),
    # by what the service that is asked knows of the case
    "accessed": ("new", *_RULINGS),
    # Notice: the fact it tells of, or the request it answers
    "notice assigned": ("dispatched", "offered", "handed_on"),
    "notice changed": ("joined", "dispatched"),
    "notice cancelled": ("cancelled", "returned", "acknowledged", "handed_on"),
    "notice case_closed": ("closed", "dispatched"),
    "notice urged": ("urged",),
    "notice supervised": ("supervised",),
    "notice extended": ("extended",),
    "notice extension_refused": ("extension_refused",),
    "notice supplement": ("supplement", "supplemented", *_GIVEN, "offered"),
    "notice ruled": _RULINGS,
    "notice closed": ("closed",),
    "notice accepted": (*_REPORTS, *_ACTS, "note", "extension_requested", "handed_on", "fixed", "returned", "request"),
    "notice refused": ("refused", "request"),
}
"""Label of a fact -> labels of what may be its cause. `request`: a partner's, on `from.<partner>`."""

_OF_THE_CASE: Mapping[tuple[str, ...], Sequence[str]] = {
    allowed: [f"{one} {_CASE}" for one in allowed] for allowed in CAUSES.values()
}

REQUEST_CAUSES = ("notice",)
"""A partner's request names a notice to that partner on that case; only its report of a new case names none."""


KINDS: Mapping[str, str] = {
    "ReportFiled": "kind",
    "Assigned": "ruling",
    "Resolved": "outcome",
    "Evaluated": "verdict",
    "Progressed": "step",
    "Request": "kind",
    "Notice": "kind",
}
"""Name of a type -> the field that says which of its facts it is."""


def kind(data: Any) -> str:
    """Which fact of its type this is: `new`, `dispatched`, `fixed`, `closed`, `en_route` ..."""
    return getattr(data, KINDS[data.name])


def label(data: Any) -> str:
    """What a fact is called here: its kind, unless it is a partner's request or a notice to one."""
    match data.name:
        case "Request":
            return "request"
        case "Notice":
            return f"notice {kind(data)}"
        case _:
            return kind(data)


def marked(marks: Marks, event: AnyEvent, place: int) -> Marks:
    """The marks after an event, the `place`-th of its stream."""
    found = {**marks, **dict.fromkeys(_labels(event.data), (place, event.id))}
    if event.sequence is not None:
        said, number = _said(event), int(event.sequence)
        if said not in marks or number > marks[said][0]:
            found[said] = number, event.id
    return found


def overtaken(event: AnyEvent, marks: Marks) -> tuple[int, str] | None:
    """(sequence, event id) of what the same source said later on the same topic, and has come before; None mostly.

    A topic keeps the order of a case only within a partition.
    """
    latest = marks.get(_said(event))
    return latest if latest is not None and int(event.sequence or latest[0]) < latest[0] else None


def _said(event: AnyEvent) -> str:
    """The mark of the highest sequence of a source on a topic."""
    return f"said {event.data.name} {event.source}"


@cache
def _names_assignment(kind: type[Fact]) -> bool:
    return "assignment_id" in kind.model_fields


def _assignment(data: Any) -> str | None:
    """The assignment that a fact is about; to ask a model for a field that it lacks costs twenty times as much."""
    return data.assignment_id if _names_assignment(data.__class__) else None


def cause(fact: Fact, marks: Marks, since: int = 0, given: AnyEvent | None = None) -> str | None:
    """The id of a fact's cause, in a decision whose facts are `since` and the following of their stream.

    Where the table allows it: an earlier fact of the decision; else `given`, the event which the decision follows from;
    else the latest of the case. Of a fact about an assignment, first among what is about that assignment. Where none of
    these is there it is `given` all the same, which audit shows as a wrong cause unless the table allows any.
    """
    allowed = CAUSES[label(fact)]
    assignment = _assignment(fact)
    its = () if assignment is None else [f"{one} {assignment}" for one in allowed]
    of_the_case = allowed if assignment is None else _OF_THE_CASE[allowed]
    if found := _latest([*its, *of_the_case], marks, since):
        return found
    if given is not None and label(given.data) in allowed:
        return given.id
    found = _latest(its, marks) or _latest(of_the_case, marks) or _latest(allowed, marks)
    return found or (given.id if given is not None else None)


def _latest(labels: Iterable[str], marks: Marks, since: int = 0) -> str | None:
    place, latest = since, None
    for one in labels:
        mark = marks.get(one)
        if mark is not None and mark[0] >= place:
            place, latest = mark
    return latest


def contradicted(event: AnyEvent, marks: Marks) -> tuple[str, str] | None:
    """(role, event id) of the earlier event of the case which another event stands in for; None where it is new."""
    data = event.data
    name = label(data)
    taken = role(name, data)
    if taken is None:
        return None
    roles = [taken, *(f"{name} {one.id}" for one in data.plan)] if isinstance(data, Dispatched) else [taken]
    return next(((one, marks[one][1]) for one in roles if one in marks), None)


def _labels(data: Any) -> Iterator[str]:
    name = label(data)
    yield name
    if (once := role(name, data)) is not None:
        yield once
    if isinstance(data, Dispatched):
        yield from (f"{name} {one.id}" for one in data.plan)
    else:
        yield f"{name} {_assignment(data) or _CASE}"
