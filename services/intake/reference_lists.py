"""What everybody may read of the district's reference files, without a token: the catalogue and the area tree.

The areas are served twice, as a list and as GeoJSON. GeoJSON has a path of its own instead of a media type to be
negotiated. So each operation of the OpenAPI document has one kind of answer and only the parameters that apply to it, a
map can be given the plain URL, and caches need no `Vary`.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from chassis.engine.commands import Unusable
from chassis.web.bodies import Answer
from chassis.web.errors import Json
from chassis.web.filters import AreaPrefix, SearchText, require_area
from chassis.web.paging import UNCHANGING, IfNoneMatch, Next, PageQuery, unchanging, unchanging_page
from chassis.web.requests import reference_of
from chassis.web.roles import ANYONE, Access, Bound, Route
from contracts.fields import Name, lies_in
from contracts.reference import Area, Category, Condition, Level, Task
from contracts.reference.addresses import holds_words
from contracts.reference.catalogue import Kind
from services.intake.reference import District

MAX_UNNAMED = 200
"""The most features of a GeoJSON answer to a request that names neither an area nor a level."""

ROLES: dict[Route, Access] = {
    ("GET", "/catalogue"): Access(ANYONE, Bound.NOTHING),
    ("GET", "/areas"): Access(ANYONE, Bound.NOTHING),
    ("GET", "/areas.geojson"): Access(ANYONE, Bound.NOTHING),
}
TAGS = {"reference": "The district's categories and areas, for everybody. They change only when the service restarts."}

DistrictDep = Annotated[District, Depends(reference_of)]

router = APIRouter(tags=["reference"])

_STREET = "CH/shuangqiaozi"
_RING = [[104.09, 30.64], [104.13, 30.64], [104.13, 30.67], [104.09, 30.67], [104.09, 30.64]]
_CONDITION = {
    "code": "a",
    "filing": "市政供水主管爆裂，大面积停水或道路淹没",
    "filing_en": "A municipal main has burst: many without water or the road flooded",
    "closing": "供水恢复，路面临时恢复，居民告知",
    "closing_en": "Supply restored, road passable, residents told",
    "acknowledge": {"amount": 5, "unit": "minutes", "clock": "continuous"},
    "resolve": {"amount": 12, "unit": "hours", "clock": "continuous"},
}
_LEAD = {
    "unit": "dept:water",
    "task": "关阀止水，抢修管道，恢复供水",
    "task_en": "Shut the valves, repair the main, restore supply",
}
_SUPPORT = {
    "unit": "dept:fire",
    "task": "出动水罐车为停水居民送水",
    "task_en": "Bring water by tank lorry to the households without",
}


class CategoryFilters(PageQuery):
    """Which categories a list holds."""

    kind: Annotated[Kind | None, Field(description="Of this kind.", examples=["event"])] = None
    group: Annotated[
        Name | None, Field(description="Of the groups with this code, of any kind.", examples=["emergency"])
    ] = None
    q: SearchText = None


class AreaChoice(BaseModel):
    """Which areas an answer holds."""

    model_config = ConfigDict(frozen=True)

    level: Annotated[Level | None, Field(description="Of this level only.", examples=["community"])] = None
    area: AreaPrefix = None


class AreaFilters(AreaChoice, PageQuery):
    """Which areas a list holds."""

    q: SearchText = None


class CategoryItem(Answer):
    """A category of the catalogue."""

    code: Annotated[str, Field(description="The code that reports name.", examples=["event.emergency.water-main"])]
    kind: Annotated[Kind, Field(description="The kind of matter.", examples=["event"])]
    group: Annotated[str, Field(description="The code of its group.", examples=["emergency"])]
    group_name: Annotated[str, Field(description="The group's name in Chinese.", examples=["突发事件"])]
    group_name_en: Annotated[str, Field(description="The group's name in English.", examples=["Emergencies"])]
    name: Annotated[str, Field(description="The name in Chinese.", examples=["供水主管爆裂"])]
    name_en: Annotated[str, Field(description="The name in English.", examples=["Water main burst"])]
    priority: Annotated[int, Field(description="From 1, the most urgent, to 4.", examples=[1])]
    verify_first: Annotated[
        bool, Field(description="Whether a grid member looks at the place before it is filed.", examples=[False])
    ]
    conditions: Annotated[
        tuple[Condition, ...],
        Field(description="When it is filed and closed, and how long each step may take.", examples=[[_CONDITION]]),
    ]
    lead: Annotated[Task, Field(description="Who leads, and what they do.", examples=[_LEAD])]
    supports: Annotated[tuple[Task, ...], Field(description="Who helps, and how.", examples=[[_SUPPORT]])]


class CategoryPage(Answer):
    """A page of the catalogue."""

    items: Annotated[list[CategoryItem], Field(description="The categories, in the order of their codes.")]
    next: Next


class AreaItem(Answer):
    """An area of the district."""

    path: Annotated[str, Field(description="From the district down to the area.", examples=[_STREET])]
    level: Annotated[Level, Field(description="The level of the tree.", examples=["street"])]
    name: Annotated[str, Field(description="The name in Chinese.", examples=["双桥子街道"])]
    name_en: Annotated[str, Field(description="The name in English.", examples=["Shuangqiaozi Street"])]
    households: Annotated[int, Field(description="How many households live in it.", examples=[27_513])]
    parent: Annotated[
        str | None, Field(description="The path of the area around it; null for the district.", examples=["CH"])
    ]


class AreaPage(Answer):
    """A page of areas."""

    items: Annotated[list[AreaItem], Field(description="The areas, in the order of their paths.")]
    next: Next


Position = Annotated[tuple[float, ...], Field(min_length=2, max_length=2)]
Ring = Annotated[tuple[Position, ...], Field(min_length=4)]


class Polygon(Answer):
    """A GeoJSON polygon (RFC 7946): one closed ring, counter-clockwise."""

    type: Annotated[Literal["Polygon"], Field(description="The kind of geometry.")]
    coordinates: Annotated[
        tuple[Ring, ...],
        Field(description="The ring, as positions: longitude, then latitude, in degrees.", examples=[[_RING]]),
    ]


class Feature(Answer):
    """An area as a GeoJSON feature."""

    type: Annotated[Literal["Feature"], Field(description="The kind of object.")]
    id: Annotated[str, Field(description="The area's path.", examples=[_STREET])]
    geometry: Annotated[Polygon, Field(description="Where the area is.")]
    properties: Annotated[AreaItem, Field(description="What the list of areas says of it.")]


class FeatureCollection(Answer):
    """Areas as GeoJSON (RFC 7946)."""

    type: Annotated[Literal["FeatureCollection"], Field(description="The kind of object.")]
    features: Annotated[tuple[Feature, ...], Field(description="The areas, in the order of their paths.")]


class GeoJson(Json):
    """An answer in GeoJSON."""

    media_type = "application/geo+json"


@router.get("/catalogue", response_model=CategoryPage, responses=UNCHANGING)
async def list_categories(
    filters: Annotated[CategoryFilters, Query()], district: DistrictDep, if_none_match: IfNoneMatch = None
) -> Response:
    """Lists the categories that a report may have, in the order of their codes.

    Each has its name in both languages, when a case of it is filed and closed and within which limits, and who acts.
    `q` looks into the names of the category and of its group.
    """
    catalogue = district.catalogue
    if filters.group is not None and all(filters.group != category.group for category in catalogue.categories):
        raise Unusable("group", f"{filters.group} is not a group of catalogue {catalogue.version}")

    def fits(category: Category) -> bool:
        return (
            (filters.kind is None or category.kind == filters.kind)
            and (filters.group is None or category.group == filters.group)
            and holds_words(district.names[category.code], filters.q)
        )

    found = [category for category in district.categories_in_order if fits(category)]
    return unchanging_page(found, filters, lambda item: item.code, if_none_match, CategoryItem)


@router.get("/areas", response_model=AreaPage, responses=UNCHANGING)
async def list_areas(
    filters: Annotated[AreaFilters, Query()], district: DistrictDep, if_none_match: IfNoneMatch = None
) -> Response:
    """Lists the areas of the district, in the order of their paths: each area before the areas in it.

    The levels are district, street, community, grid and sub-grid. `GET /areas.geojson` has their polygons.
    """
    found = [area for area in _chosen(filters, district) if holds_words(district.names[area.path], filters.q)]
    return unchanging_page(found, filters, lambda item: item.path, if_none_match, AreaItem)


@router.get("/areas.geojson", response_model=FeatureCollection, response_class=GeoJson, responses=UNCHANGING)
async def get_area_polygons(
    filters: Annotated[AreaChoice, Query()], district: DistrictDep, if_none_match: IfNoneMatch = None
) -> Response:
    """Shows areas with their polygons as GeoJSON (RFC 7946), for maps.

    Name a level or an area. Without both, a district of more than 200 areas is refused. There are no pages.
    """
    if filters.level is None and filters.area is None and len(district.areas_in_order) > MAX_UNNAMED:
        raise Unusable("area", f"name an area or a level: the district has more than {MAX_UNNAMED} areas")
    # Plain dictionaries: building the models of a whole district would hold up the process for a tenth of a second.
    features = [
        {
            "type": "Feature",
            "id": area.path,
            "geometry": {"type": "Polygon", "coordinates": [area.polygon]},
            "properties": {name: getattr(area, name) for name in AreaItem.model_fields},
        }
        for area in _chosen(filters, district)
    ]
    body = orjson.dumps({"type": "FeatureCollection", "features": features})
    return unchanging(body, if_none_match, GeoJson.media_type)


def _chosen(choice: AreaChoice, district: District) -> Iterator[Area]:
    """The areas of that level that are the chosen area or lie in it. Raises `Unusable` if there is no such area."""
    require_area(choice.area, district.areas.by_path)
    for area in district.areas_in_order:
        if choice.level in (None, area.level) and (choice.area is None or lies_in(area.path, choice.area)):
            yield area
