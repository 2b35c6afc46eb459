"""The category catalogue: what is filed, when it may be closed, who acts, who checks, how it is recognised."""

from collections.abc import Container, Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from contracts.reference.base import LADDER, CategoryCode, Clock, Reference, Role, Text, unique

Kind = Literal["component", "event", "dispute", "service"]


def unit_for(role: str, area: str) -> str:
    """The unit id that fills a catalogue role in an area: "street" in CH/shengdeng/hualin is street:CH/shengdeng.

    A role that is a unit id already ("dept:water") stands for itself. Raises ValueError where the area is too high
    in the tree to name one unit (the "grid" of a street).
    """
    if ":" in role:
        return role
    depth = {"district": 1, "street": 2, "community": 3, "mediator": 3, "grid": 4}[role]
    parts = area.split("/")
    if len(parts) < depth:
        raise ValueError(f"area {area} lies above any {role}, so no {role} unit is responsible for it alone")
    return f"{role}:{'/'.join(parts[:depth])}"


def filled_by(role: str, area: str, units: Container[str]) -> str | None:
    """The one of these units that fills a role in an area; where there is none, or the area is too wide to name one,
    the next up the ladder that covers all of it. None where there is no such unit either.
    """
    if role in LADDER:
        rungs = LADDER[LADDER.index(role) :]
    else:
        rungs = (role, *((f"mediator:{area}",) if role == "mediator" else ()), *LADDER[2:])
    for rung in rungs:
        try:
            unit = unit_for(rung, area)
        except ValueError:  # the area is too wide
            continue
        if unit in units:
            return unit
    return None


class Limit(Reference):
    """A span of time on one of the four clocks; contracts.clocks turns it into an instant."""

    amount: int = Field(gt=0)
    """How many of the unit."""
    unit: Literal["minutes", "hours", "days"]
    """What is counted."""
    clock: Clock
    """When the clock runs: always, in working hours, on working days, or on calendar days."""

    @model_validator(mode="after")
    def _unit_fits_clock(self) -> Self:
        in_days = self.clock in ("working_days", "calendar_days")
        if in_days != (self.unit == "days") and self.clock != "continuous":
            allowed = "days" if in_days else "minutes or hours"
            raise ValueError(f"unit of a {self.clock} limit must be {allowed}, is {self.unit}")
        return self


class Condition(Reference):
    """When a report of the category is filed, when it may be closed, and how long each step may take."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]
    """What rulings name it by, within its category."""
    filing: Text
    """When a report is filed under it, in Chinese."""
    filing_en: Text
    """The same in English."""
    closing: Text
    """When the case may be closed, in Chinese."""
    closing_en: Text
    """The same in English."""
    acknowledge: Limit
    """The time a unit has to acknowledge its assignment."""
    resolve: Limit
    """The time a unit has to resolve it."""


class Task(Reference):
    """What one unit does in a plan; `unit` is a role that `unit_for` resolves in the report's area."""

    unit: Role
    """Who acts: a unit, or a role such as `grid` or `street` that a unit fills where the report is."""
    task: Text
    """What it does, in Chinese."""
    task_en: Text
    """The same in English."""


class Check(Reference):
    method: Literal["photo", "location", "call_back", "rule"]
    by: Literal["grid", "call_centre", "rule"]

    @model_validator(mode="after")
    def _rule_checks_by_rule(self) -> Self:
        if (self.method == "rule") != (self.by == "rule"):
            raise ValueError(f"by must be rule exactly where method is rule, is {self.by} for {self.method}")
        return self


class Duplicates(Reference):
    """Two open reports of a category within both bounds are one case; if it is `personal`, only from one reporter."""

    radius_m: int = Field(gt=0)
    window_hours: int = Field(gt=0)


class Category(Reference):
    """A sub-category.

    `keywords` (word -> weight) are lower case. A word of ASCII letters matches whole words, any other matches as a
    substring, each counts once; the text's score for the category is the sum of the weights.
    """

    code: CategoryCode
    kind: Kind
    group: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]
    group_name: Text
    group_name_en: Text
    name: Text
    name_en: Text
    conditions: tuple[Condition, ...] = Field(min_length=1)
    priority: int = Field(ge=1, le=4, description="1 is the most urgent")
    verify_first: bool
    lead: Task
    supports: tuple[Task, ...] = ()
    check: Check
    duplicates: Duplicates
    keywords: Mapping[Text, float]
    claimable: bool = False
    personal: bool
    """Whether its reports are about persons, or about anything at all, rather than about one thing at a place. Two of
    them are one matter only if the same reporter made both.
    """
    sensitive: bool = False
    """Whether only those who work on its cases may know of them, beside the district-wide roles."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if not self.code.startswith(f"{self.kind}.{self.group}."):
            raise ValueError(f"code of {self.code} must start with its kind and group, {self.kind}.{self.group}")
        unique(f"conditions.code of {self.code}", (condition.code for condition in self.conditions))
        unique(f"lead and supports of {self.code}", (task.unit for task in (self.lead, *self.supports)))
        if self.check.by == self.lead.unit:
            raise ValueError(f"check.by of {self.code} must not be the lead: whoever handles a case never checks it")
        if self.claimable and self.priority < 3:
            raise ValueError(f"claimable of {self.code} needs priority 3 or 4: urgent cases are not claimed")
        if self.kind == "dispute" and not self.personal:
            raise ValueError(f"personal of {self.code} must be true: a dispute is about persons")
        if self.sensitive and not self.personal:
            raise ValueError(f"personal of {self.code} must be true: a sensitive matter is about persons")
        if self.sensitive and (self.verify_first or self.check.by == "grid"):
            raise ValueError(
                f"verify_first of {self.code} must be false, and check.by not grid: a sensitive matter is not told in"
                " its neighbourhood"
            )
        if self.sensitive and self.claimable:
            raise ValueError(f"claimable of {self.code} must be false: nobody is offered a sensitive matter to claim")
        if any(word != word.lower() for word in self.keywords):
            raise ValueError(f"keywords of {self.code} must be lower case")
        return self


class Catalogue(Reference):
    version: Text
    categories: tuple[Category, ...]

    @field_validator("categories")
    @classmethod
    def _distinct(cls, categories: tuple[Category, ...]) -> tuple[Category, ...]:
        unique("categories.code", (category.code for category in categories))
        return categories

    @cached_property
    def by_code(self) -> Mapping[str, Category]:
        return {category.code: category for category in self.categories}

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """The codes of the sensitive categories."""
        return frozenset(category.code for category in self.categories if category.sensitive)
