"""Whom a plan for a grid names: the member on duty, and the backups of 1+N in their order."""

from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.fields import Place as Where
from contracts.reference import Member, Shift
from deploy.district.__main__ import main as district_files
from services.triage.reference import load
from tests.domain.triage_story import GRID, NOW, POSTER, RULES, Story, area, report, rulebook, sole, territory

NEAR, FAR = f"{GRID}/s02", f"{GRID}/s01"
WEEK = (1, 2, 3, 4, 5, 6, 7)
DAY, NIGHT = Shift(weekdays=WEEK, starts=time(8), ends=time(20)), Shift(weekdays=WEEK, starts=time(20), ends=time(8))


def member(order: int, subgrid: str | None, *shifts: Shift) -> Member:
    """Orders 0 and 1 work full time."""
    return Member(
        id=f"member:{order}",
        unit=f"grid:{GRID}",
        grid=GRID,
        subgrid=subgrid,
        full_time=order < 2,
        order=order,
        shifts=shifts,
    )


TEAM = (
    member(0, None, DAY),
    member(1, None, DAY),
    member(2, FAR, DAY, NIGHT),
    member(3, NEAR),
    member(4, FAR),
    member(5, NEAR, DAY, NIGHT),
    member(6, None),
)
DIVIDED = rulebook(members={f"grid:{GRID}": TEAM}, territory=territory([*RULES.areas.values(), area(NEAR)]))
DAYTIME, NIGHTTIME = 1, 15
"""Hours in UTC: 09:12 and 23:12 in Chengdu."""
MONDAY = NOW + timedelta(days=2)


def named(area: str, hour: int, rules: Any = DIVIDED) -> str:
    """The numbers of the member on duty and of the backups."""
    assignment = sole(Story(rules, now=NOW.replace(hour=hour)).hear(report(POSTER, place=Where(area=area))))
    assert assignment.unit == f"grid:{GRID}"
    numbers = [name.removeprefix("member:") for name in assignment.backups]
    return f"{(assignment.member or 'nobody').removeprefix('member:')}: {' '.join(numbers)}"


@pytest.mark.parametrize(
    ("area", "hour", "names"),
    [
        (NEAR, DAYTIME, "0: 3 5 1 2 4 6"),
        (NEAR, NIGHTTIME, "5: 3 0 1 2 4 6"),
        (FAR, DAYTIME, "0: 2 4 1 3 5 6"),
        (FAR, NIGHTTIME, "2: 4 0 1 3 5 6"),
        (GRID, DAYTIME, "0: 1 2 3 4 5 6"),
        (GRID, NIGHTTIME, "2: 0 1 3 4 5 6"),
    ],
)
def test_the_members_of_the_report_s_own_sub_grid_come_first(area: str, hour: int, names: str) -> None:
    assert named(area, hour) == names


def test_where_nobody_is_on_duty_all_are_backups_the_sub_grid_s_first() -> None:
    off = rulebook(
        members={f"grid:{GRID}": (member(0, None), member(2, FAR), member(3, NEAR))}, territory=DIVIDED.territory
    )
    assert named(NEAR, DAYTIME, off) == "nobody: 3 0 2"


def test_in_a_generated_district_every_plan_begins_its_backups_with_the_sub_grid_s_own(tmp_path: Path) -> None:
    assert district_files(["--scale", "tiny", "--out", str(tmp_path)]) == 0
    rules = load(tmp_path)
    posts = {member.id: member.subgrid for team in rules.members.values() for member in team}
    subgrids = sorted(path for path in rules.areas if path.count("/") == 4)
    assert len(subgrids) == 5
    for subgrid in subgrids:
        assignment = sole(Story(rules, now=MONDAY).hear(report(POSTER, place=Where(area=subgrid))))
        assert posts[assignment.member or ""] is None, "by day a full-time member is on duty"
        own = [posts[name] == subgrid for name in assignment.backups]
        assert own == sorted(own, reverse=True)
        assert any(own)
