"""What everybody may read of the district's reference files here, without a token: the units."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.web.bodies import Answer
from chassis.web.filters import AreaPrefix, SearchText, require_area, require_category
from chassis.web.paging import UNCHANGING, IfNoneMatch, Next, PageQuery, unchanging_page
from chassis.web.requests import reference_of
from chassis.web.roles import ANYONE, Access, Bound, Route
from contracts.fields import Name, lies_in
from contracts.reference import Unit, UnitKind
from contracts.reference.addresses import holds_words, plain
from services.triage.domain.rulebook import Rulebook
from services.triage.examples import GRID, WATER_MAIN

ROLES: dict[Route, Access] = {("GET", "/units"): Access(ANYONE, Bound.NOTHING)}
TAGS = {"reference": "The district's units, for everybody. They change only when the service restarts."}

Rules = Annotated[Rulebook, Depends(reference_of)]

router = APIRouter(tags=["reference"])


class UnitFilters(PageQuery):
    """Which units a list holds."""

    kind: Annotated[UnitKind | None, Field(description="Of this kind.", examples=["grid"])] = None
    area: AreaPrefix = None
    category: Annotated[
        Name | None, Field(description="Competent for this category of the catalogue.", examples=[WATER_MAIN])
    ] = None
    q: SearchText = None


class UnitItem(Answer):
    """Whoever can be assigned."""

    id: Annotated[str, Field(description="The id that assignments name.", examples=[f"grid:{GRID}"])]
    name: Annotated[str, Field(description="The name in Chinese.", examples=["双桥路北社区第1网格"])]
    name_en: Annotated[str, Field(description="The name in English.", examples=["Shuangqiaolubei Community grid 1"])]
    kind: Annotated[UnitKind, Field(description="The kind of unit.", examples=["grid"])]
    area: Annotated[str, Field(description="The area that it is responsible for.", examples=[GRID])]
    competences: Annotated[
        tuple[str, ...],
        Field(
            description="Categories that it is competent for, or the first parts of their codes.",
            examples=[["event.advertising.poster", "dispute"]],
        ),
    ]
    superior: Annotated[
        str | None,
        Field(
            description="The unit above it, which is offered what it does not acknowledge; null at the top.",
            examples=["community:CH/shuangqiaozi/shuangqiaolubei"],
        ),
    ]


class UnitPage(Answer):
    """A page of units."""

    items: Annotated[list[UnitItem], Field(description="The units, in the order of their ids.")]
    next: Next


@router.get("/units", response_model=UnitPage, responses=UNCHANGING)
async def list_units(
    filters: Annotated[UnitFilters, Query()], rules: Rules, if_none_match: IfNoneMatch = None
) -> Response:
    """Lists the units that can be assigned, in the order of their ids.

    These are grids, community stations, street centres, the district centre, departments, partner organisations and
    mediators. A unit is competent for a category if one of its competences is the code, or the first parts of it.
    """
    require_area(filters.area, rules.areas)
    require_category(filters.category, rules.catalogue)
    found = [unit for unit in rules.units_in_order if _fits(unit, filters)]
    return unchanging_page(found, filters, lambda unit: unit.id, if_none_match, UnitItem)


def _fits(unit: Unit, filters: UnitFilters) -> bool:
    return (
        filters.kind in (None, unit.kind)
        and (filters.area is None or lies_in(unit.area, filters.area))
        and (filters.category is None or unit.competent(filters.category))
        and (filters.q is None or holds_words(plain(f"{unit.name} {unit.name_en}"), filters.q))
    )
