"""Units, members and places of a generated district."""

from collections import Counter
from datetime import datetime, timedelta

from shapely.geometry import Point, Polygon

from contracts.reference import Member, Shift, unit_for


def test_the_full_district_has_its_members(full):
    counts = full.manifest.counts
    assert (counts["members_full_time"], counts["members_part_time"]) == (1630, 2900)
    assert sum(member.full_time for member in full.members.members) == 1630
    assert len({member.id for member in full.members.members}) == 1630 + 2900


def test_every_grid_has_one_responsible_full_time_member_and_backups_in_order(district):
    by_grid: dict[str, list[Member]] = {}
    for member in district.members.members:
        assert member.unit == f"grid:{member.grid}"
        by_grid.setdefault(member.grid, []).append(member)
    assert set(by_grid) == {area.path for area in district.areas.areas if area.level == "grid"}
    for team in by_grid.values():
        assert [member.order for member in team] == list(range(len(team)))
        assert team[0].full_time
        assert [member.full_time for member in team] == sorted((m.full_time for m in team), reverse=True)


def test_part_time_members_belong_to_the_sub_grids_where_their_grid_has_any(district):
    subgrids: dict[str, set[str]] = {area.path: set() for area in district.areas.areas if area.level == "grid"}
    for area in district.areas.areas:
        if area.level == "subgrid":
            subgrids[area.parent].add(area.path)
    staffed = {path: set() for path in subgrids}
    for member in district.members.members:
        if member.full_time or not subgrids[member.grid]:
            assert member.subgrid is None, member.id
        else:
            staffed[member.grid].add(member.subgrid)
    assert staffed == subgrids, "a sub-grid without a part-time member, or a member of an unknown one"


def test_the_full_district_s_part_time_members_stand_on_all_its_sub_grids(full):
    """A grid without sub-grids keeps the three that its nights and weekends take; all others stand on sub-grids."""
    part_time = [member for member in full.members.members if not member.full_time]
    undivided = Counter(member.grid for member in part_time if member.subgrid is None)
    on_subgrids = Counter(member.subgrid for member in part_time if member.subgrid is not None)
    assert (len(undivided), set(undivided.values())) == (394, {3})
    assert (len(on_subgrids), set(on_subgrids.values())) == (973, {1, 2})
    assert undivided.total() + on_subgrids.total() == 2900


def test_somebody_of_every_grid_is_on_duty_at_any_time(district):
    grids = {member.grid for member in district.members.members}
    # Many members share the same hours; it is enough to ask one of each.
    by_hours: dict[tuple[Shift, ...], list[Member]] = {}
    for member in district.members.members:
        by_hours.setdefault(member.shifts, []).append(member)
    for half_hour in range(7 * 48):
        at = datetime(2026, 5, 4) + timedelta(minutes=30 * half_hour)  # noqa: DTZ001 - local time of the district
        on_duty = [member for members in by_hours.values() if members[0].on_duty(at) for member in members]
        assert {member.grid for member in on_duty} == grids, f"a grid has nobody at {at:%a %H:%M}"


def test_a_night_shift_runs_into_the_next_morning():
    night = Shift.model_validate({"weekdays": [7], "starts": "18:00", "ends": "08:00"})
    sunday = datetime(2026, 5, 10, 18)  # noqa: DTZ001 - local time of the district
    on = [night.covers(sunday + timedelta(hours=hours)) for hours in (-1, 0, 13.9, 14)]
    assert on == [False, True, True, False]
    assert not night.covers(sunday - timedelta(hours=13)), "the morning of the day it starts on is not in it"


def test_every_ladder_ends_at_the_district(district):
    top = f"district:{district.manifest.root}"
    for unit in district.units.units:
        steps = 0
        while unit.superior is not None:
            unit = district.units.by_id[unit.superior]
            steps += 1
        assert unit.id == top
        assert steps <= 3


def test_the_ladder_of_a_grid_is_community_street_district(full):
    ladder = ["grid:CH/shengdeng/hualin/g012"]
    while (superior := full.units.by_id[ladder[-1]].superior) is not None:
        ladder.append(superior)
    assert ladder[1:] == ["community:CH/shengdeng/hualin", "street:CH/shengdeng", "district:CH"]


def test_every_task_of_the_catalogue_has_a_competent_unit_in_every_grid(district):
    grids = [area.path for area in district.areas.areas if area.level == "grid"]
    for category in district.catalogue.categories:
        for task in (category.lead, *category.supports):
            for unit in {unit_for(task.unit, grid) for grid in grids}:
                assert unit in district.units.by_id, f"{category.code}: nobody is {unit}"
                assert district.units.by_id[unit].competent(category.code), f"{unit} is not competent: {category.code}"


def test_every_area_of_a_unit_exists(district):
    assert {unit.area for unit in district.units.units} <= set(district.areas.by_path)


def test_every_place_lies_in_its_area(district):
    for place in district.places.places:
        assert Polygon(district.areas.by_path[place.area].polygon).contains(Point(place.point)), place.id


def test_schools_hospitals_and_gas_stations_raise_the_priority(district):
    raising = {place.kind for place in district.places.places if place.priority_raise}
    assert {"school", "hospital", "gas_station"} <= raising


def test_shuangqiao_road_lies_in_shuangqiaozi_at_every_scale(district):
    (road,) = [place for place in district.places.places if place.name_en == "Shuangqiao Road"]
    assert road.area.startswith("CH/shuangqiaozi/")
