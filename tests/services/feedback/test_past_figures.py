"""The figures of a past period are the same on any day, whatever is ruled, ended, merged or rated later."""

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.triage import Assignment
from services.feedback.indicators import FIGURES
from tests.services.feedback.desk import (
    CHECKER,
    FAR,
    FIRE,
    HOUR,
    LEADER,
    NEAR,
    NOW,
    STREET,
    WATER,
    assignment,
    ended,
    extended,
    get,
    plan,
    post,
    rate,
    record,
    take,
)
from tests.support import rulings
from tests.support.facts import case_id
from tests.support.services import Hands, Running, token

BEFORE, AFTER = "event.emergency.water-main", "component.road-traffic.surface"
END, LATER = NOW + timedelta(days=3), NOW + timedelta(days=5)
"""The end of the period, and when something else happens."""
PERIOD = {"since": "2026-05-01T00:00:00Z", "until": END.isoformat()}
GROUPED: tuple[dict[str, str], ...] = (
    {"by": "category"},
    {"by": "area", "level": "grid"},
    {"by": "unit"},
    {"by": "all"},
)

Figures = dict[tuple[str, str, str], list[Any]]
"""(by, key, indicator) -> value, of, part, and the cases behind them."""


async def figures(feedback: Running, **period: Any) -> Figures:
    """All figures that count something, by everything, each with the cases that its links open."""
    found: Figures = {}
    for grouped in GROUPED:
        for group in (await get(feedback, "/indicators", **{**grouped, **period}))["items"]:
            for name, one in group["indicators"].items():
                links = [link for link in (one["cases"], one["part_cases"]) if link is not None]
                cases = [[item["case_id"] for item in (await get(feedback, link))["items"]] for link in links]
                if one["of"]:
                    found[grouped["by"], group["key"], name] = [one["value"], one["of"], one["part"], cases]
    return found


def keys(found: Figures, indicator: str) -> set[str]:
    """What an indicator is counted under, in all groupings."""
    return {key for by, key, name in found if name == indicator and by != "all"}


async def open_overdue(feedback: Running, clock: Hands, case: str) -> None:
    await take(feedback, record(case, plan(assignment(case, 1, WATER))))


async def returned(feedback: Running, clock: Hands, case: str) -> None:
    one = assignment(case, 1, WATER)
    await take(feedback, record(case, plan(one)), record(case, ended(one, "returned", urged=1), NOW + HOUR))


async def sent_back(feedback: Running, clock: Hands, case: str) -> None:
    one = assignment(case, 1, WATER)
    end = ended(one, acknowledged_at=NOW + HOUR, arrived_at=NOW + HOUR, supervised=True)
    await take(feedback, record(case, plan(one)), record(case, end, NOW + 2 * HOUR))
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=False, reason="still wet")


async def closed(feedback: Running, clock: Hands, case: str) -> None:
    one = assignment(case, 1, WATER)
    await take(feedback, record(case, plan(one)), record(case, ended(one), NOW + HOUR))
    clock.advance(hours=2)
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
    await rate(feedback, case, clock(), 4)


async def closed_by_force(feedback: Running, clock: Hands, case: str) -> None:
    await take(feedback, record(case, plan(assignment(case, 1, WATER))))
    clock.advance(hours=1)
    await post(feedback, f"/cases/{case}/forced-closing", LEADER, reason="pulled down")
    await rate(feedback, case, clock(), 2)


async def ruled_again(feedback: Running, clock: Hands, case: str) -> None:
    """Another category, another area and another unit."""
    again = assignment(case, 1, FIRE, clock(), 2, replaces=f"{case}.1.1")
    ruling = plan(again, round_=2, because="manual", category=AFTER, area=FAR)
    await take(feedback, record(case, ruling, clock()))


async def done_by_a_superior(feedback: Running, clock: Hands, case: str) -> None:
    await take(feedback, record(case, ended(assignment(case, 1, WATER), unit=STREET), clock()))


async def cancelled(feedback: Running, clock: Hands, case: str) -> None:
    await take(feedback, record(case, ended(assignment(case, 1, WATER), "cancelled", unit=STREET), clock()))


async def extended_again(feedback: Running, clock: Hands, case: str) -> None:
    one = assignment(case, 1, WATER)
    await take(feedback, record(case, extended(one, 1, clock() + HOUR), clock()))


async def merged(feedback: Running, clock: Hands, case: str) -> None:
    await take(feedback, record(case, rulings.merged(case_id(), category=AFTER, area=FAR), clock()))


async def rated(feedback: Running, clock: Hands, case: str) -> None:
    await rate(feedback, case, clock(), 1, "reporter:2")


Play = Callable[[Running, Hands, str], Awaitable[None]]
LATER_ON: dict[Play, tuple[Play, ...]] = {
    open_overdue: (ruled_again, done_by_a_superior, cancelled, extended_again, merged),
    returned: (ruled_again, merged),
    sent_back: (ruled_again, merged),
    closed: (ruled_again, rated),
    closed_by_force: (ruled_again, done_by_a_superior, cancelled, extended_again, rated),
}


@pytest.mark.parametrize("past", LATER_ON)
async def test_what_happens_later_changes_no_figure_of_the_past(feedback: Running, clock: Hands, past: Play) -> None:
    later_on = [(case_id(), later) for later in LATER_ON[past]]
    for case, _ in later_on:
        await past(feedback, clock, case)
    clock.at = END
    before = await figures(feedback, **PERIOD)
    assert before
    clock.at = LATER
    for case, later in later_on:
        await later(feedback, clock, case)
        assert await figures(feedback, **PERIOD) == before, later
    clock.advance(days=30)
    longer = await figures(feedback, since=PERIOD["since"], until=clock().isoformat(), as_of=END.isoformat())
    assert longer == before


async def test_each_instant_has_the_ruling_that_was_in_force_then(feedback: Running, clock: Hands) -> None:
    case = case_id()
    await returned(feedback, clock, case)
    clock.at = LATER
    await ruled_again(feedback, clock, case)
    clock.advance(days=1)
    found = await figures(feedback, since=PERIOD["since"], until=clock().isoformat())
    assert keys(found, "dispatch_accuracy") == {BEFORE, NEAR, WATER}
    assert keys(found, "closing_rate") == {AFTER, FAR, FIRE}
    filters = {"since": PERIOD["since"], "until": clock().isoformat()}
    narrowed = await figures(feedback, category=AFTER, unit=FIRE, area=FAR, **filters)
    assert narrowed.keys() == {
        key for key in found if key[2] in ("closing_rate", "on_time_closing_rate", "rework_rate")
    }


async def test_the_figures_do_not_depend_on_when_an_end_comes_among_rulings(feedback: Running, clock: Hands) -> None:
    """What ended before the first ruling, by a clock that runs behind, counts under the first."""
    clock.at = LATER
    for place in (0, 1, 2):
        case = case_id()
        one, again = assignment(case, 1, WATER), assignment(case, 1, FIRE, END, 2)
        first = record(case, plan(one), NOW)
        second = record(case, plan(again, round_=2, category=AFTER, area=FAR), END)
        records = [first, second]
        records.insert(place, record(case, ended(one, "returned"), NOW - timedelta(seconds=1)))
        await take(feedback, *records)
    found = await figures(feedback, since=PERIOD["since"], until=LATER.isoformat())
    assert keys(found, "dispatch_accuracy") == {BEFORE, NEAR, WATER}
    assert keys(found, "closing_rate") == {AFTER, FAR, FIRE}
    assert {value[1] for value in found.values()} == {3}


class Chance:
    """A case whose facts are drawn by chance; each happens when it is published."""

    def __init__(self, feedback: Running, clock: Hands, draw: random.Random) -> None:
        self.case, self.feedback, self.clock, self.draw = case_id(), feedback, clock, draw
        self.open: list[Assignment] = []
        self.given: list[Assignment] = []
        self.round = 0
        self.raters: set[str] = set()
        self.filed_at: datetime | None = None

    async def next(self) -> None:
        """One more fact."""
        choices = [self.rule, self.check, self.rate] + [self.end, self.extend] * 2 * bool(self.open)
        choices += [self.force, self.merge] * (self.draw.random() < 0.2)
        await (self.rule if not self.given else self.draw.choice(choices))()

    async def rule(self) -> None:
        self.round += 1
        self.filed_at = self.filed_at or self.clock()
        replaces = self.draw.choice([one.id for one in self.given]) if self.given else None
        new = [
            assignment(self.case, n, unit, self.clock(), self.round, lead=n == 1 and self.draw.random() < 0.8)
            for n, unit in enumerate(self.draw.sample((WATER, FIRE, STREET), self.draw.randint(1, 2)), start=1)
        ]
        new[0] = new[0].model_copy(update={"replaces": replaces, "lead": new[0].lead or self.round == 1})
        category, area = self.draw.choice((BEFORE, AFTER)), self.draw.choice((NEAR, FAR))
        more = {"because": "manual", "category": category, "area": area, "at": self.filed_at}
        self.open += new
        self.given += new
        await self.take(plan(*new, round_=self.round, **more))

    async def end(self) -> None:
        one = self.open.pop(self.draw.randrange(len(self.open)))
        outcome = self.draw.choice(("fixed", "fixed", "returned", "cancelled"))
        more = {"acknowledged_at": self.clock(), "late_by_seconds": self.draw.choice((0, 60)), "urged": 1}
        await self.take(ended(one, outcome, unit=self.draw.choice((one.unit, STREET)), **more))

    async def extend(self) -> None:
        one = self.draw.choice(self.open)
        count = self.draw.randint(1, 2)
        await self.take(extended(one, count, one.resolve_by + count * 4 * HOUR))

    async def merge(self) -> None:
        await self.take(rulings.merged(case_id()))

    async def check(self) -> None:
        passed = self.draw.random() < 0.6
        await self.ask("check", "evaluator", {"passed": True} if passed else {"passed": False, "reason": "still wet"})

    async def force(self) -> None:
        await self.ask("forced-closing", "shift_leader", {"reason": "pulled down"})

    async def rate(self) -> None:
        """Intake takes ratings of closed cases only, and none of what was merged."""
        by, shown = f"reporter:{self.draw.randint(1, 9)}", await get(self.feedback, f"/cases/{self.case}")
        if by not in self.raters and shown["outcome"] not in (None, "duplicate"):
            self.raters.add(by)
            await rate(self.feedback, self.case, self.clock(), self.draw.randint(1, 5), by)

    async def take(self, fact: Any) -> None:
        await take(self.feedback, record(self.case, fact, self.clock()))

    async def ask(self, path: str, role: str, body: dict[str, Any]) -> None:
        headers = token(f"person:{role}-{self.draw.randint(1, 9)}", role)
        response = await self.feedback.client.post(f"/cases/{self.case}/{path}", json=body, headers=headers)
        assert response.status_code in (200, 201, 409), response.text


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_figures_of_any_history_stay_as_they_were_seen_first(feedback: Running, clock: Hands, seed: int) -> None:
    draw = random.Random(seed)
    cases = [Chance(feedback, clock, draw) for _ in range(20)]
    seen: list[tuple[str, list[Any]]] = []

    async def groups(until: str) -> list[Any]:
        asked: list[dict[str, Any]] = [
            {**grouped, "since": (NOW + HOUR).isoformat(), "until": until} for grouped in GROUPED
        ]
        return [(await get(feedback, "/indicators", **one))["items"] for one in asked]

    for step in range(300):
        clock.advance(minutes=10)
        await draw.choice(cases).next()
        if step % 30 == 29:
            clock.advance(minutes=1)
            seen.append((clock().isoformat(), await groups(clock().isoformat())))
    counted = {
        name
        for _, found in seen
        for items in found
        for group in items
        for name, one in group["indicators"].items()
        if one["of"]
    }
    assert counted == FIGURES.keys() - {"arrival_p50", "arrival_p90"}
    for until, found in seen:
        assert await groups(until) == found
