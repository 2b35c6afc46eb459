"""The published formulas: the scores of one case, computed here, and the definitions of the figures over many cases.

A formula is known by name and version, and from the first release on what it means never changes: a changed definition
is a new version.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.feedback import Score
from services.feedback.domain.assignment import End
from services.feedback.domain.case import Case, cancelled, done, given_at, lead_done

About = Literal["case", "unit", "group"]
"""One case; one unit's work on one case; or the cases of a unit, an area or a category in a period."""
Measure = Literal["hours", "seconds", "share", "count", "stars", "verdict"]
_MOST_UNITS = 90
"""Scores by unit in one verdict, which has room for a hundred."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A figure's name, what it is about, in what it is measured, and how it is worked out, in words."""

    name: str
    version: int
    about: About
    measure: Measure
    definition: str

    @property
    def id(self) -> str:
        """`<name>.v<version>`, as verdicts and indicators cite it."""
        return f"{self.name}.v{self.version}"


ON_TIME = Formula(
    "on-time", 1, "case", "share", "1 where the lead's work ended by the lead's deadline, extensions included, else 0."
)
HOURS_TO_ACKNOWLEDGE = Formula(
    "hours-to-acknowledge", 1, "case", "hours", "From the lead assignment being given out to its acknowledgement."
)
HOURS_TO_ARRIVE = Formula(
    "hours-to-arrive", 1, "case", "hours", "From the lead assignment being given out to the arrival on the scene."
)
HOURS_TO_RESOLVE = Formula(
    "hours-to-resolve", 1, "case", "hours", "From the case being filed to the end of the lead's work."
)
REWORKS = Formula("reworks", 1, "case", "count", "How often a check sent the case back.")
UNIT_ON_TIME = Formula(
    "unit-on-time",
    1,
    "unit",
    "share",
    "The share of the assignments in the case that the unit fixed, whoever they were given to first, that ended by"
    " their deadline; one that failed at a check and was taken over by another does not count.",
)
CHECK_RULE = Formula(
    "done-in-order",
    1,
    "case",
    "verdict",
    "The check of categories that are checked by rule: passed where every assignment is fixed or was taken over, none"
    " was cancelled, none ended at a doubtful time, and the times of each follow one another: acknowledged, arrived,"
    " ended. Else a person checks.",
)

_IN_FORCE = (
    "In force at an instant is triage's latest ruling made by then; before the first ruling, the first. Later rulings"
    " change nothing."
)
_DUE = (
    "Due = the cases closed in the period as fixed or forced, and the cases filed before its end that are open at"
    " `as_of` with the deadline passed that was then in force for their lead of that instant: as planned, or as moved"
    " by the extensions granted by then. Merged, rejected and withdrawn cases are not due, nor is an open case inside"
    " its limit. A case counts under the category and the area in force, and under the unit that answered for it, when"
    f" it was closed, or, if it is open, at `as_of`. {_IN_FORCE}"
)
_ENDED = "assignments that ended in the period, cancelled ones aside"
_UNDER = (
    " An assignment counts under the unit that had it in the end, and under the category and the area in force when it"
    f" ended. {_IN_FORCE}"
)
CLOSING_RATE = Formula("closing-rate", 1, "group", "share", f"Closed / due. {_DUE}")
ON_TIME_CLOSING_RATE = Formula(
    "on-time-closing-rate",
    1,
    "group",
    "share",
    f"Closed as fixed with the lead's work ended by its deadline, extensions included / due. {_DUE}",
)
REWORK_RATE = Formula(
    "rework-rate", 1, "group", "share", f"Due cases that a check sent back at least once / due. {_DUE}"
)
ACKNOWLEDGEMENT_P50 = Formula(
    "acknowledgement-p50",
    1,
    "group",
    "seconds",
    f"Median, interpolated, of the time from being given out to acknowledgement, over the {_ENDED}, that have one."
    f"{_UNDER}",
)
ACKNOWLEDGEMENT_P90 = Formula(
    "acknowledgement-p90", 1, "group", "seconds", "As acknowledgement-p50.v1, but the ninetieth percentile."
)
ARRIVAL_P50 = Formula(
    "arrival-p50",
    1,
    "group",
    "seconds",
    f"Median, interpolated, of the time from being given out to arrival, over the {_ENDED}, that have one.{_UNDER}",
)
ARRIVAL_P90 = Formula("arrival-p90", 1, "group", "seconds", "As arrival-p50.v1, but the ninetieth percentile.")
DISPATCH_ACCURACY = Formula(
    "dispatch-accuracy", 1, "group", "share", f"(Dispatched - returned) / dispatched, over the {_ENDED}.{_UNDER}"
)
URGES = Formula("urges", 1, "group", "count", f"How often the {_ENDED}, were urged.{_UNDER}")
SUPERVISIONS = Formula(
    "supervisions", 1, "group", "count", f"How many of the {_ENDED}, were under supervision.{_UNDER}"
)
SATISFACTION = Formula(
    "satisfaction",
    1,
    "group",
    "stars",
    "Mean of the ratings, 1 to 5, given in the period, without those of whoever handled the case. A rating counts under"
    " the unit that answered for the case when the case was closed, and under the category and the area in force when"
    f" the rating was given. {_IN_FORCE}",
)

FORMULAS: Sequence[Formula] = (
    ON_TIME,
    HOURS_TO_ACKNOWLEDGE,
    HOURS_TO_ARRIVE,
    HOURS_TO_RESOLVE,
    REWORKS,
    UNIT_ON_TIME,
    CHECK_RULE,
    CLOSING_RATE,
    ON_TIME_CLOSING_RATE,
    REWORK_RATE,
    ACKNOWLEDGEMENT_P50,
    ACKNOWLEDGEMENT_P90,
    ARRIVAL_P50,
    ARRIVAL_P90,
    DISPATCH_ACCURACY,
    URGES,
    SUPERVISIONS,
    SATISFACTION,
)


def scores(case: Case) -> tuple[Score, ...]:
    """The scores of the case as it stands: its own, then its units' in order of name; what is not known is left out."""
    found = [Score(formula=formula.id, value=value) for formula, value in _of_case(case) if value is not None]
    found.append(Score(formula=REWORKS.id, value=case.reworks))
    found += [
        Score(formula=UNIT_ON_TIME.id, value=value, unit=name)
        for name, value in sorted(_punctuality(case).items())[:_MOST_UNITS]
    ]
    return tuple(found)


def _of_case(case: Case) -> Iterator[tuple[Formula, float | None]]:
    finished = lead_done(case)
    if case.ruling is None or finished is None:
        return
    assignment, end = finished
    given = given_at(case, assignment)
    yield ON_TIME, float(assignment.late_by_seconds == 0)
    yield HOURS_TO_ACKNOWLEDGE, _hours(given, end.resolved.acknowledged_at)
    yield HOURS_TO_ARRIVE, _hours(given, end.resolved.arrived_at)
    yield HOURS_TO_RESOLVE, _hours(case.ruling.filed_at, end.at)


def _punctuality(case: Case) -> dict[str, float]:
    punctual: dict[str, list[bool]] = {}
    for assignment, _ in done(case):
        punctual.setdefault(assignment.unit, []).append(assignment.late_by_seconds == 0)
    return {name: sum(each) / len(each) for name, each in punctual.items()}


def _hours(since: datetime, until: datetime | None) -> float | None:
    """Rounded to four decimals; an instant before `since`, from a clock that runs behind, counts as no time at all."""
    return None if until is None else round(max(0.0, (until - since).total_seconds()) / 3600, 4)


def doubt(case: Case) -> str | None:
    """What speaks against a check by rule; None where nothing does."""
    for assignment in cancelled(case):  # a ruling that ends the case may be on its way
        return f"assignment {assignment.assignment_id} was cancelled"
    for assignment, end in done(case):
        if end.resolved.time_doubtful:
            return f"the time at which assignment {assignment.assignment_id} ended is doubtful"
        if not _in_order(end):
            return f"the times of assignment {assignment.assignment_id} contradict one another"
    return None


def _in_order(end: End) -> bool:
    stated = (end.resolved.acknowledged_at, end.resolved.arrived_at, end.at)
    known = [at for at in stated if at is not None]
    return known == sorted(known)
