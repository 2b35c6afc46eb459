"""The calendar, the policy and the manifest of a district."""

import math
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, field_validator, model_validator

from contracts.reference.base import AreaPath, Percent, Positive, Reference, Scale, Text, UnitKind, Weekday, unique


class Hours(Reference):
    starts: time
    ends: time


class Day(Reference):
    date: date
    name: Text
    name_en: Text


class Calendar(Reference):
    """Working time; in years not listed in `years`, holidays are unknown and only weekdays count."""

    version: Text
    time_zone: Text
    years: tuple[int, ...]
    weekdays: tuple[Weekday, ...] = Field(min_length=1)
    working_hours: tuple[Hours, ...] = Field(min_length=1)
    holidays: tuple[Day, ...]
    make_up_workdays: tuple[Day, ...]

    def __hash__(self) -> int:
        """By version alone: what is worked out for a calendar is kept per calendar, and looked up at every deadline."""
        return hash(self.version)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"time_zone {self.time_zone} is not a known zone") from error
        unique("weekdays", map(str, self.weekdays))
        unique("years", map(str, self.years))
        edges = [edge for hours in self.working_hours for edge in (hours.starts, hours.ends)]
        if edges != sorted(set(edges)):
            raise ValueError("working_hours must be spans in order that neither overlap nor touch")
        for field in ("holidays", "make_up_workdays"):
            days = [day.date for day in getattr(self, field)]
            unique(field, map(str, days))
            strangers = [str(day) for day in days if day.year not in self.years]
            if strangers:
                raise ValueError(f"{field} must lie in one of the years {self.years}, not so: {', '.join(strangers)}")
        unique(
            "a day in holidays and make_up_workdays", (str(d.date) for d in (*self.holidays, *self.make_up_workdays))
        )
        return self


class ScoreWeights(Reference):
    """Shares of a unit's score: volume, closing rate, on-time closing rate, one minus rework rate."""

    volume: float = Field(ge=0, le=1)
    closing: float = Field(ge=0, le=1)
    on_time: float = Field(ge=0, le=1)
    rework: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = math.fsum((self.volume, self.closing, self.on_time, self.rework))
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"weights must sum to one, sum is {total}")
        return self


class Grade(Reference):
    grade: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
    at_least: float = Field(ge=0, le=100)


class UnitScore(Reference):
    """`formula` names and versions the definition that uses the weights; grades run from best to worst."""

    formula: Text
    weights: ScoreWeights
    grades: tuple[Grade, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _grades_descend_to_zero(self) -> Self:
        bounds = [grade.at_least for grade in self.grades]
        if bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError(f"grades must descend to 0 without repeats, bounds are {bounds}")
        unique("grades.grade", (grade.grade for grade in self.grades))
        return self


class Policy(Reference):
    """Limits and weights of the whole district; a decision names the `version` it used."""

    version: Text
    verify_minutes: Positive
    file_minutes: Positive
    dispatch_minutes: Positive
    check_hours: Positive
    rating_days: Positive
    reopen_days: Positive
    appeal_days: Positive
    appeal_max: Positive
    urge_cooldown_minutes: Positive
    urge_daily_cap: Positive
    extend_max: int = Field(ge=0)
    suspend_max: int = Field(ge=0)
    suspend_max_days: Positive
    returns_before_shift_leader: Positive = Field(description="the n-th return of a case goes to the shift leader")
    yellow_percent: Percent
    red_percent: Percent
    escalation_ladder: tuple[UnitKind, ...] = Field(min_length=1)
    unit_score: UnitScore
    classify_minimum: float = Field(gt=0, description="a best score below this goes to a person")
    classify_margin: float = Field(ge=0, description="a lead over the second best below this goes to a person")
    retrospective_after_hours: Positive = Field(
        description="a report about a time further back is a late entry: deadlines are measured, but raise no alarm"
    )
    max_future_skew_seconds: Positive = Field(description="a claimed time further ahead than this is doubtful")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.yellow_percent >= self.red_percent:
            raise ValueError(f"yellow_percent {self.yellow_percent} must be below red_percent {self.red_percent}")
        unique("escalation_ladder", self.escalation_ladder)
        return self


class District(Reference):
    """What the generator wrote: the same scale, seed and `fingerprint` give the same bytes.

    `fingerprint` is the SHA-256 of the generator's own sources and data; `files` maps each file name to its SHA-256;
    `base_records` counts the records of each kind that the district keeps elsewhere, which no file lists.
    """

    version: Text
    scale: Scale
    seed: int
    root: AreaPath
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    counts: Mapping[str, int]
    base_records: Mapping[str, int]
    files: Mapping[str, Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]]

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for name in files:
            if not re.fullmatch(r"[a-z]+\.json", name):
                raise ValueError(f"files must be plain names in the manifest's folder, not {name}")
        return files
