"""What feedback's routes on indicators and formulas take and give, with examples of the reference district."""

from typing import Annotated, Literal

from pydantic import Field

from chassis.web.bodies import Answer
from chassis.web.filters import AreaPrefix, CategoryPrefix, Until
from chassis.web.paging import Next, PageQuery
from contracts.fields import ClaimedInstant, Instant, Name
from contracts.reference import Level
from services.feedback import examples
from services.feedback.bodies import UnitFilter
from services.feedback.domain.formulas import About, Measure

Grouping = Literal["all", "unit", "area", "category"]
Population = Literal[
    "due",
    "closed",
    "on_time",
    "open_overdue",
    "reworked",
    "ended",
    "kept",
    "returned",
    "acknowledged",
    "arrived",
    "urged",
    "supervised",
    "rated",
]
ByOut = Annotated[
    Grouping,
    Field(
        description="Groups by the `unit`, `area` or `category` of each case; `all`: one group.",
        examples=["unit"],
    ),
]
LevelOut = Annotated[
    Level,
    Field(
        description="The level of the areas that `by=area` groups by; else without effect. What lies in a wider area"
        " is in no group.",
        examples=["street"],
    ),
]
FormulaOut = Annotated[
    str, Field(description="`<name>.v<version>`, as `GET /formulas` lists it.", examples=["closing-rate.v1"])
]


class IndicatorFilters(PageQuery):
    """Which figures: of which period, as known at which instant, by what."""

    unit: UnitFilter = None
    area: AreaPrefix = None
    category: CategoryPrefix = None
    by: ByOut = "unit"
    level: LevelOut = "street"
    since: Annotated[
        ClaimedInstant | None,
        Field(description="The beginning of the period; by default 1970.", examples=[examples.BEGIN]),
    ] = None
    until: Annotated[
        Until,
        Field(description="The end of the period, exclusive; by default now.", examples=[examples.END]),
    ] = None
    as_of: Annotated[
        ClaimedInstant | None,
        Field(
            description="What had happened by this instant counts, which is not in the future; by default the end of"
            " the period, or now, if that is earlier.",
            examples=["2026-05-09T00:00:00+08:00"],
        ),
    ] = None


class BehindFilters(IndicatorFilters):
    """Which number of the figures, to list the cases behind it."""

    population: Annotated[
        Population,
        Field(
            description="Whose cases are listed. Of cases: `due`, and of these `closed`, `on_time` (closed as fixed in"
            " time), `open_overdue` and `reworked`. Of assignments: `ended`, and of these `kept` (not returned),"
            " `returned`, `acknowledged`, `arrived`, `urged` and `supervised`. Of ratings: `rated`.",
            examples=["due"],
        ),
    ]
    key: Annotated[
        Name, Field(description="The group: a unit, an area, a category, or `all`.", examples=[examples.WATER])
    ]


class Indicator(Answer):
    """One number, the formula behind it, and the lists of cases behind it. A share is `part` / `of`."""

    formula: FormulaOut
    value: Annotated[
        float | None,
        Field(description="The number, in the formula's measure; null where `of` is 0.", examples=[0.75]),
    ]
    of: Annotated[
        int,
        Field(
            description="How many cases, assignments or ratings the number is about, as its formula says.",
            examples=[4],
            ge=0,
        ),
    ]
    cases: Annotated[str, Field(description="Where the cases behind `of` are listed.", examples=[examples.LINK])]
    part: Annotated[
        int | None,
        Field(description="How many of them count for the number; null where all do.", examples=[3], ge=0),
    ]
    part_cases: Annotated[
        str | None,
        Field(
            description="Where the cases behind `part` are listed; null where all count.",
            examples=[examples.CLOSED_LINK],
        ),
    ]


class IndicatorGroup(Answer):
    """The figures of one unit, area or category, or of all cases."""

    key: Annotated[str, Field(description="A unit, an area, a category, or `all`.", examples=[examples.WATER])]
    indicators: Annotated[
        dict[str, Indicator],
        Field(
            description="The name of each figure, as that of its formula, and the figure.",
            examples=[{"closing_rate": examples.CLOSING_RATE}],
        ),
    ]


class IndicatorPage(Answer):
    """A page of the figures of a period. With the same `as_of` they are the same on any day, late entries apart."""

    by: ByOut
    level: LevelOut
    since: Annotated[Instant, Field(description="The beginning of the period.", examples=[examples.BEGUN])]
    until: Annotated[Instant, Field(description="The end of the period, exclusive.", examples=[examples.ENDED])]
    as_of: Annotated[Instant, Field(description="What had happened by then counts.", examples=[examples.ENDED])]
    items: Annotated[list[IndicatorGroup], Field(description="The groups, in order of `key`.")]
    next: Next


class FormulaItem(Answer):
    """How a score or a figure is computed. What a version means never changes."""

    formula: FormulaOut
    name: Annotated[str, Field(description="Its name.", examples=["closing-rate"])]
    version: Annotated[int, Field(description="Its version.", examples=[1], ge=1)]
    about: Annotated[
        About,
        Field(
            description="What it is computed for: one `case`, the work of one `unit` on a case, or the `group` of cases"
            " that a figure is about.",
            examples=["group"],
        ),
    ]
    measure: Annotated[
        Measure,
        Field(
            description="In what it is measured: `hours`, `seconds`, a `share` between 0 and 1, a `count`, `stars` from"
            " 1 to 5, or a `verdict`.",
            examples=["share"],
        ),
    ]
    definition: Annotated[
        str, Field(description="How it is computed, in words.", examples=["Closed / due. Due = the cases closed ..."])
    ]


class FormulaPage(Answer):
    """Every formula."""

    items: Annotated[list[FormulaItem], Field(description="The formulas, those of one case first.")]
    next: Next
