"""What everybody may read of the district: the catalogue, the areas, and the areas as GeoJSON."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import shapely

from chassis.service import Service
from chassis.settings import Settings
from contracts.reference import Area, Areas, Catalogue
from deploy.district import __main__ as district
from services.intake.service import build
from tests.services.intake.desk import GRID
from tests.support.services import Running, running

STREET, COMMUNITY = "CH/shuangqiaozi", "CH/shuangqiaozi/shuangqiaolubei"


@pytest.fixture
def areas(district_folder: Path) -> list[Area]:
    return list(Areas.model_validate_json((district_folder / "areas.json").read_bytes()).areas)


@pytest.fixture
def catalogue(district_folder: Path) -> Catalogue:
    return Catalogue.model_validate_json((district_folder / "catalogue.json").read_bytes())


@pytest.fixture(scope="session")
def full_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("full")
    assert district.main(["--scale", "full", "--out", str(folder)]) == 0
    return build(Settings.model_validate({"CASEGRID_DISTRICT": folder}))


@pytest.fixture
async def full(url: str, full_service: Service) -> AsyncIterator[Running]:
    async with running(full_service, url, role="api") as found:
        yield found


async def public(intake: Running, path: str, **query: Any) -> Any:
    """What somebody without a token gets."""
    answer = await intake.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def whole(intake: Running, path: str, key: str, **query: Any) -> list[str]:
    """The keys of all pages, in order."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await public(intake, path, **query, **cursor)
        found += [item[key] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def refused(intake: Running, path: str, **query: Any) -> list[str]:
    """The fields that a 422 names."""
    answer = await intake.client.get(path, params=query)
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_the_catalogue_says_when_a_case_is_filed_and_closed_and_who_acts(
    intake: Running, catalogue: Catalogue
) -> None:
    [item] = (await public(intake, "/catalogue", q="water main burst"))["items"]
    category = catalogue.by_code["event.emergency.water-main"]
    assert item == category.model_dump(
        mode="json",
        include={
            *("code", "kind", "group", "group_name", "group_name_en", "name", "name_en", "priority", "conditions"),
            *("verify_first", "lead", "supports"),
        },
    )
    assert item["conditions"][0]["resolve"] == {"amount": 12, "unit": "hours", "clock": "continuous"}


async def test_the_catalogue_is_filtered_and_paged(intake: Running, catalogue: Catalogue) -> None:
    codes = sorted(catalogue.by_code)
    assert await whole(intake, "/catalogue", "code", limit=50) == codes
    disputes = await whole(intake, "/catalogue", "code", kind="dispute")
    assert disputes == [code for code in codes if code.startswith("dispute.")] != []
    assert {code.split(".")[0] for code in await whole(intake, "/catalogue", "code", group="housing")} == {
        "dispute",
        "service",
    }
    assert await whole(intake, "/catalogue", "code", group="housing", kind="service") == [
        code for code in codes if code.startswith("service.housing.")
    ]
    assert "event.emergency.water-main" in await whole(intake, "/catalogue", "code", q="供水 爆裂")
    assert "event.emergency.water-main" in await whole(intake, "/catalogue", "code", q="  MAIN water ")
    assert await whole(intake, "/catalogue", "code", q="dragon") == []
    assert await refused(intake, "/catalogue", group="water") == ["group"]
    assert await refused(intake, "/catalogue", kind="water") == ["kind"]
    assert await refused(intake, "/catalogue", q=" ") == ["q"]


async def test_the_areas_are_listed_in_the_order_of_the_tree(intake: Running, areas: list[Area]) -> None:
    paths = sorted(area.path for area in areas)
    assert await whole(intake, "/areas", "path", limit=5) == paths
    assert await whole(intake, "/areas", "path", level="community") == [path for path in paths if path.count("/") == 2]
    assert await whole(intake, "/areas", "path", area=GRID) == [
        GRID,
        *(path for path in paths if path.startswith(GRID + "/")),
    ]
    [item] = (await public(intake, "/areas", area=COMMUNITY, level="community"))["items"]
    [known] = [area for area in areas if area.path == COMMUNITY]
    assert item == known.model_dump(exclude={"polygon"}) | {"parent": STREET}
    assert [one["parent"] for one in (await public(intake, "/areas", level="district"))["items"]] == [None]


@pytest.mark.parametrize("q", ["双桥路北社区", "shuangqiaolubei community", "COMMUNITY Shuangqiaolubei"])
async def test_an_area_is_found_by_its_name_in_either_language(intake: Running, q: str) -> None:
    assert await whole(intake, "/areas", "path", q=q, level="community") == [COMMUNITY]
    assert await whole(intake, "/areas", "path", q=q, level="community", area=f"{STREET}/shuanglin") == []


async def test_an_area_that_does_not_exist_is_refused(intake: Running) -> None:
    for path in ("/areas", "/areas.geojson"):
        assert await refused(intake, path, area="CH/atlantis") == ["area"]
        assert await refused(intake, path, level="planet") == ["level"]


@pytest.mark.parametrize("path", ["/catalogue", "/areas", "/areas.geojson"])
async def test_what_has_not_changed_is_not_sent_again(intake: Running, path: str) -> None:
    first = await intake.client.get(path)
    etag = first.headers["etag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}"):
        again = await intake.client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await intake.client.get(path, headers={"if-none-match": '"x"'})).content == first.content
    if path != "/catalogue":
        assert (await intake.client.get(path, params={"level": "grid"})).headers["etag"] != etag


async def test_the_areas_are_geojson_as_rfc_7946_defines_it(full: Running) -> None:
    answer = await full.client.get("/areas.geojson", params={"area": STREET})
    assert answer.headers["content-type"] == "application/geo+json"
    found = answer.json()
    assert found.keys() == {"type", "features"}
    assert found["type"] == "FeatureCollection"
    listed = {item["path"]: item for item in (await public(full, "/areas", area=STREET, limit=200))["items"]}
    assert {feature["id"] for feature in found["features"]} >= listed.keys()
    for feature in found["features"]:
        assert feature.keys() == {"type", "id", "geometry", "properties"}
        assert (feature["type"], feature["properties"]["path"]) == ("Feature", feature["id"])
        if feature["id"] in listed:
            assert feature["properties"] == listed[feature["id"]]
        assert feature["geometry"].keys() == {"type", "coordinates"}
        assert feature["geometry"]["type"] == "Polygon"
        [ring] = feature["geometry"]["coordinates"]
        _check_ring(ring)


def _check_ring(ring: list[list[float]]) -> None:
    """RFC 7946, sections 3.1.1 and 3.1.6: four positions or more, closed, [longitude, latitude], counter-clockwise."""
    assert len(ring) >= 4
    assert ring[0] == ring[-1]
    for lon, lat in ring:
        assert 104 < lon < 105
        assert 30 < lat < 31
    assert sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring)) > 0
    assert shapely.Polygon(ring).is_valid


async def test_a_map_gets_a_level_or_an_area_and_never_a_great_district_unasked(full: Running, intake: Running) -> None:
    assert await refused(full, "/areas.geojson") == ["area"]
    grids = (await public(full, "/areas.geojson", level="grid"))["features"]
    assert len(grids) == 855
    assert {feature["properties"]["level"] for feature in grids} == {"grid"}
    [grid] = (await public(full, "/areas.geojson", level="grid", area=GRID))["features"]
    assert grid["id"] == GRID
    assert len((await public(intake, "/areas.geojson"))["features"]) == 13
