"""What the check of a district finds: one thing is broken at a time, and it is named by file, field and rule."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.district.__main__ import main
from deploy.district.check import check

ROOT = Path(__file__).resolve().parents[2]
COMMUNITY = "CH/shuangqiaozi/shuanglin"
GRID, OTHER_GRID = f"{COMMUNITY}/g001", f"{COMMUNITY}/g002"
SUBGRID = f"{GRID}/s01"
MEMBER = "member:shuanglin-g001-1"
HELPER = "member:shuanglin-g001-3"
"""Works part time, on a sub-grid."""
HOSPITAL = "place:shuangqiaozi-hospital"
LIGHT = "component.public-facilities.street-light"
BOW_TIE = [[104, 30], [105, 31], [105, 30], [104, 31], [104, 30]]
WATER: dict[str, Any] = {"id": "water", "name": "Water", "units": ["dept:water"], "says": ["steps"]}
KEY = "a" * 64

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district") / "tiny"
    assert main(["--scale", "tiny", "--out", str(folder)]) == 0
    (folder / "manifest.json").unlink()
    return folder


@pytest.fixture
def district(reference: Path, tmp_path: Path) -> Path:
    """A copy of a district with nothing wrong."""
    return shutil.copytree(reference, tmp_path / "own")


def edit(path: Path, change: Change) -> None:
    """Changes a file's content; what `change` gives, if anything, takes the place of the whole."""
    content = json.loads(path.read_bytes()) if path.exists() else {}
    result = change(content)
    path.write_text(json.dumps(content if result is None else result))


def named(name: str, /, **fields: object) -> Change:
    """Gives the record of that name these fields; the name stands in its first field."""

    def change(content: dict[str, Any]) -> None:
        (rows,) = (value for value in content.values() if isinstance(value, list))
        (row,) = (row for row in rows if next(iter(row.values())) == name)
        row.update(fields)

    return change


def twice(name: str) -> Change:
    """Has the record of that name twice."""

    def change(content: dict[str, Any]) -> None:
        (rows,) = (value for value in content.values() if isinstance(value, list))
        rows.append(next(row for row in rows if next(iter(row.values())) == name))

    return change


def without(kind: str) -> Change:
    """Drops the records whose names begin so."""

    def change(content: dict[str, Any]) -> None:
        for key, value in content.items():
            if isinstance(value, list):
                content[key] = [row for row in value if not next(iter(row.values())).startswith(kind)]

    return change


def partners(*entries: dict[str, Any]) -> Change:
    return lambda _: {"partners": list(entries)}


def lines(folder: Path) -> list[str]:
    return [str(finding) for finding in check(folder).findings]


@pytest.mark.parametrize("scale", ["tiny", "small", "full"])
def test_nothing_is_wrong_with_the_reference_district(scale: str, tmp_path: Path) -> None:
    folder = tmp_path / scale
    assert main(["--scale", scale, "--out", str(folder)]) == 0
    edit(tmp_path / "partners.json", partners(WATER))
    found = check(folder)
    assert (found.findings, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("file", "change", "finding"),
    [
        (
            "areas.json",
            named(SUBGRID, polygon=BOW_TIE),
            "areas[{}/g001/s01].polygon: must be a ring that does not cross",
        ),
        (
            "areas.json",
            named(SUBGRID, polygon=BOW_TIE[:4]),
            "areas[{}/g001/s01]: polygon of {}/g001/s01 must be a closed",
        ),
        ("areas.json", named(SUBGRID, level="grid"), "areas[{}/g001/s01]: level of {}/g001/s01 must be subgrid"),
        (
            "areas.json",
            named(SUBGRID, households="many"),
            "areas[{}/g001/s01].households: must be a whole number",
        ),
        ("areas.json", named(SUBGRID, nane="x"), "areas[{}/g001/s01].nane: is not a field here"),
        ("areas.json", twice(SUBGRID), "areas.path: {}/g001/s01 is there 2 times, and must be unique"),
        (
            "units.json",
            named("dept:tax", area="CH/nowhere"),
            "units[dept:tax].area: CH/nowhere is not an area of areas.json",
        ),
        (
            "units.json",
            named("dept:tax", superior="dept:x"),
            "units[dept:tax].superior: dept:x is not a unit of this file",
        ),
        (
            "units.json",
            named("dept:tax", superior="dept:tax"),
            "units[dept:tax].superior: the ladder above the unit leads",
        ),
        ("units.json", named("dept:tax", kind="partner"), "units[dept:tax]: kind of dept:tax must match the prefix"),
        (
            "units.json",
            named("dept:tax", source="/partners/x"),
            "units[dept:tax].source: is not a field here",
        ),
        ("units.json", twice("dept:tax"), "units.id: dept:tax is there 2 times, and must be unique"),
        (
            "units.json",
            named(f"community:{COMMUNITY}", area="CH/shuangqiaozi"),
            "units[community:{}].id: must be community:CH/shuangqiaozi, made of its kind and area",
        ),
        (
            "members.json",
            named(MEMBER, unit="grid:CH"),
            "members[" + MEMBER + "].unit: grid:CH is not a unit of units.json",
        ),
        (
            "members.json",
            named(MEMBER, unit="dept:tax"),
            "members[" + MEMBER + "].unit: dept:tax works in another area",
        ),
        (
            "members.json",
            named(HELPER, subgrid=f"{GRID}/s09"),
            "members[" + HELPER + "].subgrid: {}/g001/s09 is not an area of areas.json",
        ),
        (
            "members.json",
            named(HELPER, subgrid=f"{OTHER_GRID}/s01"),
            "members[" + HELPER + "]: subgrid of " + HELPER + " must be one of the grid {}/g001, is {}/g002/s01",
        ),
        (
            "members.json",
            named(HELPER, subgrid=GRID),
            "members[" + HELPER + "]: subgrid of " + HELPER + " must be one of the grid {}/g001, is {}/g001",
        ),
        (
            "members.json",
            named(MEMBER, subgrid=SUBGRID),
            "members[" + MEMBER + "]: subgrid of " + MEMBER + " must be absent: a full-time member works in the whole",
        ),
        ("members.json", named(MEMBER, order=1), "members.order: 1 in {}/g001 is there 2 times, and must be unique"),
        ("members.json", twice(MEMBER), "members.id: " + MEMBER + " is there 2 times, and must be unique"),
        (
            "places.json",
            named(HOSPITAL, area="CH/x"),
            "places[" + HOSPITAL + "].area: CH/x is not an area of areas.json",
        ),
        ("places.json", named(HOSPITAL, point=[0, 0]), "places[" + HOSPITAL + "].point: must lie in {}/g001"),
        ("places.json", twice(HOSPITAL), "places.id: " + HOSPITAL + " is there 2 times, and must be unique"),
        ("catalogue.json", named(LIGHT, priority=5), "categories[" + LIGHT + "].priority: must be 4 or less"),
        ("catalogue.json", named(LIGHT, keywords={"Dark": 1}), "categories[" + LIGHT + "]: keywords of " + LIGHT),
        ("catalogue.json", twice(LIGHT), "categories.code: " + LIGHT + " is there 2 times, and must be unique"),
        ("policy.json", lambda policy: policy.update(check_hour=2), "check_hour: is not a field here"),
        ("policy.json", lambda policy: policy.update(check_hours=0), "check_hours: must be more than 0"),
        ("policy.json", lambda policy: policy.update(yellow_percent=100), "file: yellow_percent 100 must be below"),
        (
            "policy.json",
            lambda policy: policy.update(escalation_ladder=["street", "grid"]),
            "escalation_ladder: must be of grid, community, street, district, in this order",
        ),
        (
            "policy.json",
            lambda policy: policy.update(escalation_ladder=["grid", "department"]),
            "escalation_ladder: must be of grid, community, street, district, in this order",
        ),
        (
            "calendar.json",
            lambda calendar: calendar.update(time_zone="Asia/X"),
            "file: time_zone Asia/X is not a known",
        ),
        (
            "calendar.json",
            lambda calendar: calendar.update(years=[2026]),
            "file: holidays must lie in one of the years",
        ),
        (
            "calendar.json",
            lambda calendar: calendar["weekdays"].append(1),
            "file: weekdays must be unique, repeated: 1",
        ),
        (
            "calendar.json",
            lambda calendar: calendar["years"].append(2026),
            "file: years must be unique, repeated: 2026",
        ),
        ("manifest.json", lambda _: [], "file: must be a JSON object"),
        ("../partners.json", partners(WATER | {"units": ["dept:x"]}), "partners[water].units: dept:x is not a unit of"),
        (
            "../partners.json",
            partners(WATER | {"units": ["*"]}),
            "partners[water].units.0: must match pattern",
        ),
        (
            "../partners.json",
            partners(WATER | {"says": ["steps", "all"]}),
            "partners[water].says.1: must be one of reports, steps",
        ),
        ("../partners.json", partners(WATER, WATER), "partners.id: water is there 2 times"),
        ("../partners.json", partners(WATER, WATER | {"id": "w"}), "partners.units: dept:water is there 2 times"),
        (
            "../partners.json",
            partners(
                WATER | {"client_key_sha256": KEY},
                {"id": "w", "name": "w", "says": ["steps"], "client_key_sha256": KEY},
            ),
            "partners.client_key_sha256: " + KEY + " is there 2 times",
        ),
        (
            "partners.json",
            partners(WATER),
            "file: is not read here: partners are registered in the file beside the folder",
        ),
        ("units.json", lambda units: {"version": "1", "unit": units["units"]}, "units: must be a list"),
        ("units.json", lambda units: {"units": units["units"]}, "version: is required"),
        ("places.json", lambda places: places["places"].append(7), "places[13]: must be an object"),
        ("places.json", lambda _: [], "file: must be a JSON object"),
    ],
)
def test_what_is_broken_is_named_and_nothing_else(district: Path, file: str, change: Change, finding: str) -> None:
    edit(district / file, change)
    (found,) = lines(district)
    assert found.startswith(f"{file}: {finding.replace('{}', COMMUNITY)}")


@pytest.mark.parametrize(
    ("file", "change", "finding"),
    [
        (
            "areas.json",
            named(SUBGRID, path=f"{COMMUNITY}/g009/s01"),
            f"areas.json: areas[{COMMUNITY}/g009/s01].path: its parent {COMMUNITY}/g009 is not",
        ),
        (
            "members.json",
            named(MEMBER, grid="CH/x/y/g001"),
            f"members.json: members[{MEMBER}].grid: CH/x/y/g001 is not an area",
        ),
        (
            "members.json",
            named(MEMBER, grid=COMMUNITY),
            f"members.json: members[{MEMBER}].grid: {COMMUNITY} is an area of ano",
        ),
        (
            "units.json",
            named("district:CH", superior="dept:tax"),
            "units.json: units[dept:tax].superior: the ladder above",
        ),
        (
            "units.json",
            without("community:"),
            "policy.json: escalation_ladder: units.json has no unit of the kind community",
        ),
        ("areas.json", without(f"{COMMUNITY[:12]}"), "areas.json: areas: must hold a grid, for work is done in grids"),
    ],
)
def test_what_breaks_more_than_one_rule_is_named_among_them(
    district: Path, file: str, change: Change, finding: str
) -> None:
    edit(district / file, change)
    assert any(line.startswith(finding) for line in lines(district)), lines(district)


@pytest.mark.parametrize("file", ["areas", "units", "members", "places", "catalogue", "policy", "calendar"])
def test_a_file_that_is_missing_or_no_json_is_named_alone(district: Path, file: str) -> None:
    """What refers to it can't be judged, so nothing is said of that."""
    path = district / f"{file}.json"
    path.unlink()
    assert lines(district) == [f"{file}.json: file: is missing"]
    for content in ("{", "[" * 100_000):
        path.write_text(content)
        assert [line.partition(" is not JSON")[0] for line in lines(district)] == [f"{file}.json: file:"]


def test_a_file_that_only_the_services_refuse_is_named_too(district: Path) -> None:
    """Some editors put a byte order mark first; Python's reader takes it, the services' does not."""
    path = district / "policy.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (found,) = lines(district)
    assert found.startswith("policy.json: file: Invalid JSON")


def test_the_manifest_s_root_must_be_an_area(district: Path, tmp_path: Path) -> None:
    assert main(["--scale", "tiny", "--out", str(tmp_path / "made")]) == 0
    shutil.copy(tmp_path / "made" / "manifest.json", district)
    edit(district / "manifest.json", lambda manifest: manifest.update(root="XX"))
    assert lines(district) == ["manifest.json: root: XX is not an area of areas.json"]


def test_what_differs_from_the_manifest_is_only_told(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert main(["--scale", "tiny", "--out", str(folder)]) == 0
    edit(folder / "policy.json", lambda policy: policy.update(version="ours"))
    edit(folder / "manifest.json", lambda manifest: manifest["files"].update({"more.json": KEY}))
    found = check(folder)
    assert found.findings == ()
    assert [str(note) for note in found.notes] == [
        "manifest.json: files.policy.json: has another hash: it was changed since the manifest was written",
        "manifest.json: files.more.json: is not there",
    ]


def test_a_role_that_only_a_unit_above_fills_is_told_but_no_hindrance(district: Path) -> None:
    edit(district / "units.json", without(f"mediator:{COMMUNITY}"))
    found = check(district)
    assert found.findings == ()
    assert {note.rule for note in found.notes} == {
        f"nobody is mediator in {GRID} and 1 other grid, so a unit further up takes its part"
    }
    assert all("dispute." in note.field for note in found.notes)


@pytest.mark.parametrize("unit", ["dept:fire", "partner:shared-bikes"])
def test_a_unit_that_the_catalogue_names_must_be_there(district: Path, unit: str) -> None:
    """A role may be vacant in some areas. A unit that is named is one unit, and a name that nobody bears is wrong."""
    catalogue = json.loads((district / "catalogue.json").read_bytes())
    named = [
        f"categories[{category['code']}].{field}"
        for category in catalogue["categories"]
        for field, task in (
            ("lead.unit", category["lead"]),
            *((f"supports.{number}.unit", task) for number, task in enumerate(category["supports"])),
        )
        if task["unit"] == unit
    ]
    assert named
    edit(district / "units.json", without(unit))
    rule = f"{unit} is not a unit of units.json"
    assert sorted(lines(district)) == sorted(f"catalogue.json: {field}: {rule}" for field in named)
    assert check(district).notes == ()


def test_a_unit_that_is_not_competent_for_its_task_is_told_with_who_gets_the_work(district: Path) -> None:
    edit(district / "units.json", named("dept:water", competences=["component"]))
    edit(district / "units.json", named("district:CH", competences=["service", "event.emergency.water-supply"]))
    found = check(district)
    assert found.findings == ()
    told = {note.field: note.rule for note in found.notes if note.rule.startswith("dept:water ")}
    assert told == {
        "categories[event.emergency.water-supply].lead.unit": (
            "dept:water is not competent for event.emergency.water-supply (competences in units.json), so district:CH, "
            "the first competent unit above it, gets the work"
        ),
        "categories[event.emergency.water-main].lead.unit": (
            "dept:water is not competent for event.emergency.water-main (competences in units.json), nor is any unit "
            "above it, so it gets the work all the same"
        ),
    }


def test_of_many_units_that_are_not_competent_one_is_told_with_the_number_of_the_others(district: Path) -> None:
    def forbid(content: dict[str, Any]) -> None:
        content["units"] = [
            unit | {"competences": ["service"]} if unit["kind"] == "grid" else unit for unit in content["units"]
        ]

    edit(district / "units.json", forbid)
    notes = {note.field: note.rule for note in check(district).notes}
    assert notes["categories[event.emergency.fire-lane].supports.1.unit"] == (
        f"grid:{GRID} and 3 other units are not competent for event.emergency.fire-lane (competences in units.json), "
        f"so community:{COMMUNITY}, the first competent unit above it, gets the work"
    )


def test_part_time_members_that_stand_on_a_divided_grid_are_told_but_no_hindrance(district: Path) -> None:
    def stand_on_grids(content: dict[str, Any]) -> None:
        for member in content["members"]:
            member.pop("subgrid", None)

    edit(district / "members.json", stand_on_grids)
    found = check(district)
    assert found.findings == ()
    assert [str(note) for note in found.notes] == [
        f"members.json: members.subgrid: part-time members of {GRID} and 1 other grid belong to none of its sub-grids",
        f"members.json: members.subgrid: no part-time member belongs to {SUBGRID} and 4 other sub-grids, so backups"
        " come from the whole grid",
    ]


def test_a_role_that_nobody_fills_is_named_with_the_grids(district: Path) -> None:
    def drop(content: dict[str, Any]) -> None:
        content["units"] = [unit | {"superior": None} for unit in content["units"] if unit["kind"] == "grid"]

    edit(district / "units.json", drop)
    expected = (
        "catalogue.json: categories[event.emergency.water-main].supports.0.unit: no unit of units.json is street in "
        f"{GRID} and 3 other grids, nor is any above it"
    )
    assert expected in lines(district)


def test_everything_that_is_wrong_is_told_at_once(district: Path) -> None:
    edit(district / "areas.json", named(SUBGRID, households=-1, name=""))
    edit(district / "units.json", named("dept:tax", area="CH/x", superior="dept:y"))
    edit(district / "members.json", named(MEMBER, unit="dept:z"))
    edit(district / "policy.json", lambda policy: policy.update(check_hours=0, rating_days=-1))
    (district / "calendar.json").unlink()
    edit(district.parent / "partners.json", partners(WATER | {"units": ["dept:a", "dept:b"]}))
    assert sorted(line.rpartition(": ")[0] for line in lines(district)) == sorted(
        [
            f"areas.json: areas[{SUBGRID}].households",
            f"areas.json: areas[{SUBGRID}].name",
            "units.json: units[dept:tax].area",
            "units.json: units[dept:tax].superior",
            f"members.json: members[{MEMBER}].unit",
            "policy.json: check_hours",
            "policy.json: rating_days",
            "calendar.json: file",
            "../partners.json: partners[water].units",
            "../partners.json: partners[water].units",
        ]
    )


def test_the_command_says_what_it_found_and_its_status_says_whether_that_is_nothing(district: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "deploy.district", "check", str(district))
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    fine = run()
    assert (fine.returncode, fine.stderr) == (0, "")
    assert fine.stdout == f"{district}: a district of 4 grids, nothing to be mended\n"
    edit(district / "units.json", named("dept:tax", area="CH/x", superior="dept:y"))
    broken = run()
    assert (broken.returncode, broken.stderr) == (1, "")
    assert broken.stdout.splitlines() == [
        "units.json: units[dept:tax].area: CH/x is not an area of areas.json",
        "units.json: units[dept:tax].superior: dept:y is not a unit of this file",
        f"{district}: 2 to be mended",
    ]


def test_a_folder_that_is_not_there_lacks_every_file(tmp_path: Path) -> None:
    assert len(lines(tmp_path / "nowhere")) == 7
