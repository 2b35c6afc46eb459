"""A report that only an address places: filed where it names one grid, else queued with the areas it may mean."""

from pathlib import Path

import pytest

from contracts.fields import Place as Where
from contracts.fields import Point
from contracts.progress import AwaitingRuling
from contracts.reference import Place
from deploy.district.__main__ import main as district_files
from services.triage.reference import load
from tests.domain.triage_story import POTHOLE, Story, area, only, report, rulebook, territory

MILL, HILL = "CH/north/mill", "CH/north/hill"
GRIDS = [f"{MILL}/g{number:03}" for number in range(1, 13)]
AREAS = [
    area("CH", "成华区"),
    area("CH/north", "北街道"),
    area(MILL, "磨坊社区"),
    *(area(path, f"磨坊社区第{number}网格") for number, path in enumerate(GRIDS, 1)),
    area(f"{GRIDS[1]}/s01", "磨坊社区第2网格1号微网格"),
    area(HILL, "山坡社区"),
    area(f"{HILL}/g001", "山坡社区第1网格"),
]
SCHOOL = Place(
    id="place:mill-school",
    name="磨坊小学",
    name_en="Mill school",
    kind="school",
    point=(0, 0),
    area=GRIDS[2],
    radius_m=100,
    priority_raise=1,
)
RULES = rulebook(
    territory=territory(AREAS, SCHOOL),
    places={SCHOOL.id: SCHOOL},
)


def queued(place: Where) -> str:
    """The note of the entry in the queue of what could not be located."""
    [step] = Story(RULES).hear(report(POTHOLE, place=place))
    assert isinstance(step, AwaitingRuling)
    assert (step.queue, step.area) == ("unlocated", None)
    return step.note


@pytest.mark.parametrize(
    ("address", "note"),
    [
        (
            "磨坊社区东门",
            f"the address names only {MILL} 磨坊社区, which is wider than a grid; in it lie "
            + ", ".join(f"{GRIDS[n]} 磨坊社区第{n + 1}网格" for n in range(10))
            + " and 2 more",
        ),
        (
            "北街道12号",
            f"the address names only CH/north 北街道, which is wider than a grid; in it lie {MILL} 磨坊社区, "
            f"{HILL} 山坡社区",
        ),
        ("第1网格", f"the address may mean {HILL}/g001 山坡社区第1网格, {GRIDS[0]} 磨坊社区第1网格"),
        (
            "山坡社区 磨坊小学",
            f"no area fits all names in the address, which may mean {HILL} 山坡社区, {GRIDS[2]} 磨坊社区第3网格",
        ),
        ("河边", "the address names no area or place of the district"),
        ("磨坊社区第1、2网格", f'the address may mean {GRIDS[1]} 磨坊社区第2网格, but it also says "第1、"'),
        ("不在磨坊社区第2网格", f'the address may mean {GRIDS[1]} 磨坊社区第2网格, but it also says "不"'),
    ],
)
def test_the_queue_names_the_areas_that_an_address_may_mean(address: str, note: str) -> None:
    assert queued(Where(address=address)) == f"no position and no area were reported; {note}"


def test_where_the_position_lies_in_no_grid_the_address_helps_the_person_but_decides_nothing() -> None:
    place = Where(point=Point(lat=31, lon=104), address="磨坊小学")
    assert queued(place) == (
        f"the position 31.000000, 104.000000 lies in no grid; the address names {GRIDS[2]} 磨坊社区第3网格"
    )
    assert queued(place.model_copy(update={"address": None})).endswith("lies in no grid")


@pytest.mark.parametrize(
    ("address", "found", "key_place"),
    [
        ("北街道磨坊社区第2网格", GRIDS[1], None),
        ("磨坊社区2网格1号微网格", f"{GRIDS[1]}/s01", None),
        ("mill school", GRIDS[2], SCHOOL.id),
    ],
)
def test_an_address_that_names_one_grid_is_filed_there(address: str, found: str, key_place: str | None) -> None:
    ruling = only(Story(RULES).hear(report(POTHOLE, place=Where(address=address))))
    assert (ruling.area, ruling.place.area, ruling.place.key_place) == (found, found, key_place)
    assert f"area {found} by the address" in ruling.explanation.rules


def test_an_area_that_was_named_goes_before_the_address_even_if_it_is_wider_than_a_grid() -> None:
    ruling = only(Story(RULES).hear(report(POTHOLE, place=Where(area="CH/north", address="磨坊社区第2网格"))))
    assert ruling.area == "CH/north"


def test_the_names_are_those_of_the_district_that_is_loaded(tmp_path: Path) -> None:
    assert district_files(["--scale", "tiny", "--out", str(tmp_path)]) == 0
    [step] = Story(load(tmp_path)).hear(report(POTHOLE, place=Where(address="双林社区")))
    assert isinstance(step, AwaitingRuling)
    assert "the address names only CH/shuangqiaozi/shuanglin 双林社区" in step.note
    assert "in it lie CH/shuangqiaozi/shuanglin/g001 双林社区第1网格" in step.note
