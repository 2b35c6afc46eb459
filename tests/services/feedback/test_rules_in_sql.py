"""The rules that feedback's queries write in SQL are those of its domain and of the contracts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, get_args

import pytest

from chassis.kafka.records import Record
from contracts.dispatch import Outcome
from contracts.fields import Fact
from contracts.territory import upto
from contracts.wire import parse
from services.feedback.domain.case import Case, evolve, lead, lead_unit
from services.feedback.indicator_bodies import Level
from tests.services.feedback.desk import (
    CHECKER,
    EVALUATOR,
    FIRE,
    HOUR,
    NEAR,
    NOW,
    STREET,
    WATER,
    assignment,
    ended,
    extended,
    get,
    plan,
    record,
    take,
)
from tests.support.facts import case_id
from tests.support.services import Hands, Running, token

UNITS = (WATER, FIRE, STREET)
OUTCOMES: tuple[Outcome, ...] = ("fixed", "returned", "cancelled")


@dataclass
class Told:
    """What one case's services say, at which instants."""

    case: str
    records: list[tuple[datetime, Record]]

    def as_of(self, at: datetime) -> Case:
        state = Case()
        for said_at, one in self.records:
            if said_at <= at:
                state = evolve(state, parse(one.topic, one.value or b""))
        return state


def story(random: Random) -> Told:
    """Rounds one after another, in which the lead's work is extended, returned to another unit, or ended; all open."""
    told = Told(case_id(), [])
    at = NOW

    def say(fact: Fact) -> None:
        told.records.append((at, record(told.case, fact, at)))

    before = None
    for round_ in range(1, random.randint(1, 3) + 1):
        one = assignment(told.case, 1, random.choice(UNITS), at, round_, replaces=before)
        support = assignment(told.case, 2, random.choice(UNITS), at, round_)
        say(plan(one, support, round_=round_, at=NOW))
        due_at = one.resolve_by
        for count in range(1, random.randint(1, 3)):
            at += random.choice((0, 1, 5)) * HOUR
            due_at += 4 * HOUR
            say(extended(one, count, due_at))
        at += random.choice((1, 4, 9)) * HOUR
        if random.random() < 0.7:
            say(ended(one, random.choice(OUTCOMES), unit=random.choice(UNITS), resolve_by=due_at))
        at += random.choice((0, 1)) * HOUR
        before = one.id
    return told


async def overdue(feedback: Running, unit: str, at: datetime) -> set[str]:
    """The cases that are open and overdue at an instant, and for which that unit answers."""
    asked: dict[str, Any] = {"population": "open_overdue", "by": "unit", "key": unit, "limit": 200}
    asked |= {"since": "2026-05-01T00:00:00Z", "until": at.isoformat(), "as_of": at.isoformat()}
    return {item["case_id"] for item in (await get(feedback, "/indicators/cases", **asked))["items"]}


async def test_who_answers_for_a_case_and_until_when_is_the_same_at_every_instant(
    feedback: Running, clock: Hands
) -> None:
    random = Random(5)
    cases = [story(random) for _ in range(60)]
    for told in cases:
        await take(feedback, *(one for _, one in told.records))
    clock.advance(hours=100)
    found = 0
    for hours in range(1, 40, 3):
        at = NOW + hours * HOUR
        then = {told.case: told.as_of(at) for told in cases}
        for unit in UNITS:
            expected = {
                case
                for case, state in then.items()
                if lead_unit(state) == unit and (answers := lead(state)) is not None and answers.resolve_by <= at
            }
            assert await overdue(feedback, unit, at) == expected, (hours, unit)
            found += len(expected)
    assert found > 100


CALLERS = [
    CHECKER,
    EVALUATOR,
    token("worker:1", "grid_member", "evaluator", unit=STREET),
    token("worker:2", "grid_member", unit=WATER),
    token("worker:3", "evaluator", unit=FIRE),
    token("worker:4", "grid_member"),
]


def handled(random: Random, case: str) -> Iterator[tuple[Fact, datetime]]:
    """Work that waits for its check, and who did it."""
    method, by = random.choice((("photo", "grid"), ("call_back", "call_centre"), ("location", "grid")))
    one, other = assignment(case, 1, random.choice(UNITS)), assignment(case, 2, random.choice(UNITS))
    yield plan(one, other, check={"method": method, "by": by}), NOW
    people = tuple(f"worker:{n}" for n in range(1, 4) if random.random() < 0.3)
    yield ended(other, random.choice(OUTCOMES[::2]), handled_by=people, unit=random.choice(UNITS)), NOW + HOUR
    yield ended(one, handled_by=people[:1], unit=random.choice(UNITS)), NOW + 2 * HOUR


@pytest.mark.parametrize("caller", CALLERS)
async def test_mine_are_the_checks_that_the_caller_may_make(feedback: Running, caller: dict[str, str]) -> None:
    random = Random(6)
    cases = [case_id() for _ in range(25)]
    for case in cases:
        await take(feedback, *(record(case, fact, at) for fact, at in handled(random, case)))
    every = (await get(feedback, "/checks", caller, limit=200))["items"]
    assert {item["case_id"] for item in every} == set(cases)
    mine = {item["case_id"] for item in (await get(feedback, "/checks", caller, limit=200, mine=True))["items"]}
    for case in cases:
        actions = (await get(feedback, f"/cases/{case}/actions", caller))["items"]
        assert [one["allowed"] for one in actions if one["action"] == "check_case"] == [case in mine], case
    assert mine
    assert mine < set(cases) or caller is EVALUATOR


AREAS = ("CH", "CH/shuangqiaozi", "CH/shuangqiaozi/shuangqiaolubei", NEAR, f"{NEAR}/s01", "CH/shuanglin")


@pytest.mark.parametrize("level", get_args(Level))
async def test_figures_by_area_are_grouped_by_the_area_of_that_level(
    feedback: Running, clock: Hands, level: Level
) -> None:
    for area in AREAS:
        case = case_id()
        await take(feedback, record(case, plan(assignment(case, 1, WATER), area=area)))
    clock.advance(hours=5)
    until = (NOW + timedelta(hours=5)).isoformat()
    groups = (await get(feedback, "/indicators", by="area", level=level, until=until))["items"]
    found: dict[str, Any] = {group["key"]: group["indicators"]["closing_rate"]["of"] for group in groups}
    depth = get_args(Level).index(level) + 1
    keys = [key for key in (upto(area, depth) for area in AREAS) if key is not None]
    assert found == {key: keys.count(key) for key in keys}
