"""What everybody may read of the district: its units."""

from pathlib import Path
from typing import Any

import pytest

from contracts.fields import lies_in
from contracts.reference import Unit, Units
from tests.services.triage.desk import MAIN
from tests.support.services import Running

STREET, COMMUNITY = "CH/shuangqiaozi", "CH/shuangqiaozi/shuangqiaolubei"


@pytest.fixture
def units(district_folder: Path) -> list[Unit]:
    """The units of the district, in the order of their ids."""
    found = Units.model_validate_json((district_folder / "units.json").read_bytes()).units
    return sorted(found, key=lambda unit: unit.id)


async def listed(triage: Running, **query: Any) -> list[str]:
    """The ids of all pages, in order, as somebody without a token gets them."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await triage.client.get("/units", params={"limit": 7, **query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [item["id"] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_everybody_may_read_the_units_page_by_page(triage: Running, units: list[Unit]) -> None:
    assert await listed(triage) == [unit.id for unit in units]
    page = (await triage.client.get("/units", params={"limit": 200})).json()
    assert page["items"] == [unit.model_dump(mode="json") for unit in units]


async def test_units_are_filtered_by_kind_area_and_competence(triage: Running, units: list[Unit]) -> None:
    def expected(choose: Any) -> list[str]:
        return [unit.id for unit in units if choose(unit)]

    assert await listed(triage, kind="department") == expected(lambda unit: unit.id.startswith("dept:")) != []
    in_street = await listed(triage, area=STREET)
    assert in_street == expected(lambda unit: lies_in(unit.area, STREET))
    assert {f"street:{STREET}", f"community:{COMMUNITY}"} <= {*in_street}
    assert "dept:water" not in in_street
    competent = await listed(triage, category=MAIN)
    assert competent == expected(lambda unit: unit.competent(MAIN))
    assert "dept:water" in competent
    assert "dept:parks" not in competent
    assert await listed(triage, kind="grid", area=COMMUNITY) == [f"grid:{COMMUNITY}/g00{n}" for n in (1, 2)]


@pytest.mark.parametrize("q", ["water company", "COMPANY  water", "自来水公司", "自来水"])
async def test_units_are_found_by_words_of_their_names_in_either_language(triage: Running, q: str) -> None:
    assert await listed(triage, q=q) == ["dept:water"]
    assert await listed(triage, q=f"{q} zzz") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("area", "CH/gone"),
        ("category", "event.emergency"),
        ("category", "event.emergency.gone"),
        ("kind", "ministry"),
        ("q", " "),
        ("limit", "0"),
        ("unit", "dept:water"),
    ],
)
async def test_a_filter_that_names_nothing_of_the_district_is_refused(triage: Running, field: str, value: str) -> None:
    answer = await triage.client.get("/units", params={field: value})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_a_page_that_the_caller_has_already_is_not_sent_again(triage: Running) -> None:
    first = await triage.client.get("/units", params={"limit": 5})
    same = await triage.client.get("/units", params={"limit": 5}, headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await triage.client.get("/units", params={"limit": 6}, headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.headers["etag"] != first.headers["etag"]
