"""What addresses mean in the full district, and whether the names of a real one tell its communities apart."""

import csv
from collections.abc import Iterable
from pathlib import Path

import pytest

from contracts.fields import lies_in
from contracts.reference import LEVELS, Area, Gazetteer, Reading
from tests.district.generated import Generated

HUALIN = "CH/shengdeng/hualin"


@pytest.fixture(scope="module")
def gazetteer(full: Generated) -> Gazetteer:
    return Gazetteer(full.areas.areas, full.places.places)


def area(path: str, name: str) -> Area:
    """An area somewhere, without an English name."""
    ring = ((0, 0), (1, 0), (1, 1), (0, 0))
    return Area(path=path, level=LEVELS[path.count("/")], name=name, name_en=path, households=1, polygon=ring)


def paths(areas: Iterable[Area]) -> list[str]:
    return [area.path for area in areas]


def path(read: Reading) -> str | None:
    return read.area.path if read.area else None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("圣灯街道华林社区第12网格3号微网格", f"{HUALIN}/g012/s03"),
        ("成华区圣灯街道，华林社区 第12网格", f"{HUALIN}/g012"),
        ("华林社区12网格，3号微网格", f"{HUALIN}/g012/s03"),
        ("ｇｒｉｄ 12, Hualin  Community, Shengdeng Street", f"{HUALIN}/g012"),
        ("华林小学旁", "its grid"),
        ("sub-grid 3 of Hualin Community grid 12", f"{HUALIN}/g012/s03"),
    ],
)
def test_an_address_that_names_one_grid_means_the_deepest_it_names(
    full: Generated, gazetteer: Gazetteer, address: str, expected: str
) -> None:
    if expected == "its grid":
        (expected,) = (place.area for place in full.places.places if place.name == "华林小学")
    read = gazetteer.read(address)
    assert (read.grid, path(read), read.candidates) == (expected, expected, ())


def test_every_area_is_found_by_its_name_and_by_the_names_of_all_levels_in_a_row(
    full: Generated, gazetteer: Gazetteer
) -> None:
    for area in full.areas.areas:
        for names in ("name", "name_en"):
            assert path(gazetteer.read(f"4/F, {getattr(area, names)}, 12号")) == area.path
        row, above = area.name, full.areas.by_path.get(area.parent or "")
        while above is not None:
            row = f"{above.name} {row.removeprefix(above.name)}"
            above = full.areas.by_path.get(above.parent or "")
        assert path(gazetteer.read(row)) == area.path, row


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("华林社区", HUALIN),
        ("圣灯街道华林社区居委会旁", HUALIN),
        ("HUALIN community", HUALIN),
        ("圣灯街道", "CH/shengdeng"),
        ("成华区", "CH"),
        ("sub-grid 9, Hualin Community", HUALIN),
        ("华林社区第99网格", HUALIN),
        ("华林社区 112网格", HUALIN),
    ],
)
def test_a_street_or_community_alone_is_no_grid_and_its_parts_are_the_candidates(
    full: Generated, gazetteer: Gazetteer, address: str, expected: str
) -> None:
    read = gazetteer.read(address)
    assert (read.grid, path(read), read.agree) == (None, expected, True)
    assert paths(read.candidates) == [part.path for part in full.areas.areas if part.parent == expected]
    assert len(read.candidates) > 5


def test_names_that_several_grids_share_leave_them_as_candidates(full: Generated, gazetteer: Gazetteer) -> None:
    eighth = sorted(area.path for area in full.areas.areas if area.path.endswith("/g008"))
    alone = gazetteer.read("第8网格")
    assert (alone.area, alone.agree, paths(alone.candidates)) == (None, True, eighth)
    in_street = gazetteer.read("圣灯街道 第8网格")
    assert paths(in_street.candidates) == [area for area in eighth if area.startswith("CH/shengdeng/")]
    assert len(alone.candidates) > len(in_street.candidates) > 1


def test_names_that_contradict_leave_what_fits_most_of_them_first(gazetteer: Gazetteer) -> None:
    read = gazetteer.read("华林社区，双桥子街道双林社区")
    assert (read.area, read.agree) == (None, False)
    assert paths(read.candidates) == ["CH/shuangqiaozi/shuanglin", HUALIN]


def test_a_grid_named_beside_one_of_a_community_is_looked_for_there_first(gazetteer: Gazetteer) -> None:
    read = gazetteer.read("华林社区第3网格与第4网格交界处")
    assert read.area is None
    assert paths(read.candidates)[:2] == [f"{HUALIN}/g003", f"{HUALIN}/g004"]


@pytest.mark.parametrize("address", ["", "  ", "人民南路四段", "linear hualin communityx", "12号"])
def test_an_address_without_a_known_name_means_nothing(gazetteer: Gazetteer, address: str) -> None:
    assert gazetteer.read(address) == Reading()


HUALIN_GRIDS = [
    f"华林社区{grid}"
    for grid in (
        "第1、2网格",
        "第1,2网格",
        "第1和2网格",
        "第1至2网格",
        "1～2网格",
        "第1 2网格",
        "第1.2网格",
        "第1、第2网格",
    )
]


@pytest.mark.parametrize(
    "address",
    [
        *HUALIN_GRIDS,
        "华林社区第2网格、3",
        "华林社区第2网格，第99网格",
        "华林社区2网格 3/5号微网格",
        "华林社区2网格 1号、2号微网格",
        "华林社区2网格 3/5号网格",
        "Hualin Community grid 1 and 2",
        "Hualin Community grid 1 & two",
        "Hualin Community grid 1, 2 or 3",
        "Hualin Community grid 1 to 3",
        "Hualin Community grid 1.5",
        "Hualin Community grid 1½",
        "Hualin Community grid 1/2",
        "Hualin Community grid 1 (or 2)",
        "Hualin Community grid 1, grids 2-4",
        "华林小学和人民公园之间",
        "from the market and Hualin primary school",
        "不在华林社区第3网格",
        "华林社区第3网格不是，在旁边",
        "并非华林社区第3网格",
        "华林社区，非第3网格",
        "华林社区，除第3网格外",
        "华林社区第3网格以外",
        "not in Hualin Community grid 3",
        "isn't in Hualin Community grid 3",
        "Hualin Community except grid 3",
        "Hualin Community, outside grid 3",
        "Hualin Community grid 3? No, 4",
        "华林社区第3网格或附近",
        "一、2网格，华林社区",
        "anywhere but Hualin Community grid 3",
        "勿派华林社区第3网格",
        "2 km north of Hualin Community grid 3",
        "500 m from Hualin Community grid 3",
        "the far side of Hualin Community grid 3",
        "华林社区倒数第3网格",
        "距华林社区第3网格两公里",
        "别去华林社区第3网格",
        "moved from Hualin Community grid 3",
        "从华林社区第3网格搬走",
        "Hualin Community grid 3 is wrong",
        "华林社区第3网格边界外",
        "华林社区第3网格以北",
        "华林社区第3网格靠近第4",
    ],
)
def test_an_address_that_names_more_than_one_grid_or_denies_it_means_none(gazetteer: Gazetteer, address: str) -> None:
    read = gazetteer.read(address)
    assert (read.grid, read.area, read.key_place) == (None, None, None)
    assert read.candidates
    assert read.doubt


@pytest.mark.parametrize(
    ("address", "grid"),
    [
        ("华林社区第３网格", "g003"),
        ("华林社区第3网格，建设路12号院2单元", "g003"),
        ("建设路12号，华林社区3网格", "g003"),
        ("圣灯街道、华林社区、第3网格", "g003"),
        ("圣灯街道/华林社区/第3网格", "g003"),
        ("华林社区第3网格网格员值守点", "g003"),
        ("华林社区第3网格非机动车道", "g003"),
        ("华林社区第3网格一带，门牌不详", "g003"),
        ("四川省成都市成华区华林社区第3网格", "g003"),
        ("成都市成华区建设路12号华林社区第3网格", "g003"),
        ("地址：华林社区第3网格", "g003"),
        ("火灾在华林社区第3网格", "g003"),
        ("a fire in Hualin Community grid 3", "g003"),
        ("No. 12, next to Hualin Community grid 3", "g003"),
        ("Hualin Community grid 12, 3号", "g012"),
    ],
)
def test_words_that_contradict_nothing_leave_the_grid_that_is_named(
    gazetteer: Gazetteer, address: str, grid: str
) -> None:
    read = gazetteer.read(address)
    assert (read.grid, read.doubt) == (f"{HUALIN}/{grid}", None)


@pytest.mark.parametrize("number", ["²", "₂", "②", "⒉", "Ⅱ", "٢", "½", "二"])
def test_a_number_in_other_digits_than_the_names_have_is_not_guessed(gazetteer: Gazetteer, number: str) -> None:
    for address in (f"华林社区{number}网格", f"华林社区第{number}网格", f"Hualin Community grid {number}"):
        read = gazetteer.read(address)
        assert (read.grid, path(read)) == (None, HUALIN)
    for address in (f"华林社区1{number}网格", f"华林社区{number}1网格", f"Hualin Community grid 1{number}"):
        assert gazetteer.read(address).grid is None, address


def test_a_place_in_an_area_that_the_district_lacks_means_nothing(full: Generated) -> None:
    lost = full.places.places[0].model_copy(update={"area": "CH/gone"})
    assert Gazetteer(full.areas.areas, [lost]).read(lost.name) == Reading()


def test_a_long_address_full_of_shared_names_is_read_in_no_time(gazetteer: Gazetteer) -> None:
    address = " ".join(f"第{n}网格 {n}网格 {n % 3 + 1}号微网格 sub-grid {n % 3 + 1}" for n in range(1, 30))[:500]
    assert not gazetteer.read(address).agree


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("东河社区居委会", "东河社区3栋"),
        ("东河社区居民委员会", "东河社区居委会旁"),
        ("西河村委会", "西河村2组"),
        ("西河村村民委员会", "西河村"),
        ("东河社区", "东河社区居委会"),
    ],
)
def test_a_community_registered_under_its_committee_is_found_without_it(name: str, address: str) -> None:
    assert path(Gazetteer([area("CH/a/b", name)], []).read(address)) == "CH/a/b"


def test_the_real_district_s_communities_are_told_by_their_names(real_material: Path) -> None:
    """As the register has them (`建华社区居委会`), and as people write them."""
    with (real_material / "chenghua_510108_communities.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    streets = {row["street_code"]: row["street_name"] for row in rows}
    named = {"CH": "成华区", **{f"CH/{code}": name for code, name in streets.items()}}
    named |= {f"CH/{row['street_code']}/{row['community_code']}": row["community_name"] for row in rows}
    real = Gazetteer([area(*each) for each in named.items()], [])
    for own, name in list(named.items())[1:]:
        short = name.replace("居委会", "").replace("村委会", "村")
        for address in (name, short, f"成都市成华区{named[own.rpartition('/')[0]]}{short}建设路12号"):
            assert path(real.read(address)) == own, address
            assert real.read(address).grid is None


def test_real_names_that_the_generated_district_shares_are_found_in_it(
    real_material: Path, full: Generated, gazetteer: Gazetteer
) -> None:
    """Of a community that lies in another street than the register says, street and community are candidates."""
    with (real_material / "chenghua_510108_communities.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    ours = {area.name: area for area in full.areas.areas if area.level in ("street", "community")}
    found = moved = 0
    for row in rows:
        street, community = (ours.get(row[key].removesuffix("居委会")) for key in ("street_name", "community_name"))
        if community is None:
            continue
        read = gazetteer.read(f"成都市成华区{row['street_name']}{row['community_name']}")
        if street is None or lies_in(community.path, street.path):
            assert path(read) == community.path
            found += 1
        else:
            assert not read.agree
            assert {street.path, community.path} <= {*paths(read.candidates)}
            moved += 1
    assert (found > 60, moved > 0) == (True, True), (found, moved)
