"""Feedback's figures over HTTP: the indicators of a period, the lists behind them, and their formulas."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.fields import Fact
from tests.services.feedback.desk import (
    AUDITOR,
    CHECKER,
    FAR,
    FAR_COMMUNITY,
    FIRE,
    HOUR,
    NEAR,
    NEAR_COMMUNITY,
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


async def history(feedback: Running, clock: Hands) -> dict[str, str]:
    """Six cases of 9 May: on time, late after rework, overdue, inside the limit, returned, merged."""
    cases = {name: case_id() for name in ("on_time", "late", "overdue", "inside", "returned", "merged")}

    async def play(name: str, *facts: tuple[Fact, datetime]) -> None:
        for fact, at in facts:
            await take(feedback, record(cases[name], fact, at))

    one = assignment(cases["on_time"], 1, WATER)
    await play(
        "on_time",
        (plan(one), NOW),
        (
            ended(one, acknowledged_at=NOW + timedelta(minutes=10), arrived_at=NOW + HOUR, urged=2, supervised=True),
            NOW + 2 * HOUR,
        ),
    )
    one = assignment(cases["late"], 1, WATER)
    again = assignment(cases["late"], 1, WATER, round_=2, replaces=one.id)
    await play("late", (plan(one), NOW), (ended(one, acknowledged_at=NOW + timedelta(minutes=30)), NOW + HOUR))
    clock.advance(hours=3)
    await post(feedback, f"/cases/{cases['on_time']}/check", CHECKER, passed=True)
    await post(feedback, f"/cases/{cases['late']}/check", CHECKER, passed=False, reason="still wet")
    await play(
        "late", (plan(again, round_=2, because="rework"), clock()), (ended(again, late_by_seconds=3600), NOW + 5 * HOUR)
    )
    back = assignment(cases["returned"], 1, FIRE, clock())
    await play("returned", (plan(back, at=clock()), clock()), (ended(back, "returned"), clock()))
    clock.advance(hours=3)
    await post(feedback, f"/cases/{cases['late']}/check", CHECKER, passed=True)
    await rate(feedback, cases["on_time"], clock(), 5)
    await play("overdue", (plan(assignment(cases["overdue"], 1, WATER, NOW), area=FAR), NOW))
    await play("inside", (plan(assignment(cases["inside"], 1, WATER, clock()), at=clock()), clock()))
    again = assignment(cases["returned"], 1, STREET, clock(), 2, replaces=back.id)
    await play("returned", (plan(again, round_=2, at=clock()), clock()))
    await play("merged", (rulings.merged(cases["on_time"]), NOW))
    return cases


def values(group: dict[str, Any]) -> dict[str, Any]:
    return {name: one["value"] for name, one in group["indicators"].items()}


async def test_indicators_of_a_unit_an_area_and_a_category(feedback: Running, clock: Hands) -> None:
    await history(feedback, clock)
    period: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T14:00:00Z"}
    found = {group["key"]: values(group) for group in (await get(feedback, "/indicators", **period))["items"]}
    assert found.keys() == {WATER, FIRE}
    assert found[WATER] == {
        "closing_rate": pytest.approx(1 / 2),  # the late case was closed at 14:00, which is the next period's
        "on_time_closing_rate": pytest.approx(1 / 2),
        "rework_rate": 0,
        "acknowledgement_p50": 1200,
        "acknowledgement_p90": pytest.approx(1680),
        "arrival_p50": 3600,
        "arrival_p90": 3600,
        "dispatch_accuracy": 1,
        "urges": 2,
        "supervisions": 1,
        "satisfaction": None,
    }
    assert found[FIRE]["dispatch_accuracy"] == 0
    assert found[FIRE]["closing_rate"] is None
    clock.advance(hours=1)
    whole: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T15:00:00Z"}
    water = values((await get(feedback, "/indicators", unit=WATER, **whole))["items"][0])
    assert water["closing_rate"] == pytest.approx(2 / 3)
    assert water["on_time_closing_rate"] == pytest.approx(1 / 3)
    assert water["rework_rate"] == pytest.approx(1 / 3)
    assert water["satisfaction"] == 5
    (street,) = (await get(feedback, "/indicators", by="area", **whole))["items"]
    assert (street["key"], values(street)["closing_rate"]) == ("CH/shuangqiaozi", pytest.approx(2 / 3))
    communities = (await get(feedback, "/indicators", by="area", level="community", **whole))["items"]
    assert [group["key"] for group in communities] == [FAR_COMMUNITY, NEAR_COMMUNITY]
    assert [values(group)["closing_rate"] for group in communities] == [0, 1]
    grids = (await get(feedback, "/indicators", by="area", level="grid", area=NEAR_COMMUNITY, **whole))["items"]
    assert [group["key"] for group in grids] == [NEAR]
    (category,) = (await get(feedback, "/indicators", by="category", **whole))["items"]
    assert category["key"] == "event.emergency.water-main"
    (everything,) = (await get(feedback, "/indicators", by="all", **whole))["items"]
    assert everything["indicators"]["closing_rate"]["of"] == 3


async def test_only_what_lies_in_the_callers_areas_counts_and_is_listed(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    clock.advance(hours=1)
    far = token("auditor:2", "auditor", areas=(FAR_COMMUNITY,))
    (group,) = (await get(feedback, "/indicators", far))["items"]
    rate = group["indicators"]["closing_rate"]
    assert (group["key"], rate["value"], rate["of"]) == (WATER, 0, 1)
    assert [item["case_id"] for item in (await get(feedback, rate["cases"], far))["items"]] == [cases["overdue"]]
    assert group["indicators"]["dispatch_accuracy"]["of"] == 0


async def test_every_number_opens_exactly_its_cases(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    clock.advance(hours=1)
    opened: dict[str, set[str]] = {}
    for by in ("all", "unit", "area", "category"):
        for group in (await get(feedback, "/indicators", by=by))["items"]:
            for name, one in group["indicators"].items():
                for count, link in ((one["of"], one["cases"]), (one["part"], one["part_cases"])):
                    if link is None:
                        continue
                    behind = [item["case_id"] for item in (await get(feedback, link))["items"]]
                    # Several assignments may belong to one case.
                    assert (len(behind) == count) if "due" in link else (bool(behind) == bool(count)), (name, link)
                    if by == "all":
                        opened[name if link == one["cases"] else f"{name} part"] = set(behind)
    due = {cases["on_time"], cases["late"], cases["overdue"]}
    assert opened["closing_rate"] == due
    assert opened["closing_rate part"] == due - {cases["overdue"]}
    assert opened["on_time_closing_rate part"] == {cases["on_time"]}
    assert opened["rework_rate part"] == {cases["late"]}
    assert opened["dispatch_accuracy"] == {cases["on_time"], cases["late"], cases["returned"]}
    assert opened["dispatch_accuracy part"] == {cases["on_time"], cases["late"]}
    assert opened["urges part"] == {cases["on_time"]}
    assert opened["satisfaction"] == {cases["on_time"]}


async def test_a_past_period_gives_the_same_numbers_on_any_day(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    clock.advance(minutes=1)
    period: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T14:01:00Z", "by": "all"}
    before = await get(feedback, "/indicators", **period)
    overdue = cases["overdue"]
    one = assignment(overdue, 1, WATER)
    clock.advance(hours=1)
    # Its deadline is moved, and somebody else has it in the end: both after the period.
    await take(feedback, record(overdue, extended(one, 1, NOW + 20 * HOUR), clock()))
    clock.advance(hours=9)
    end = ended(one, unit=STREET, resolve_by=NOW + 20 * HOUR, extensions=1)
    await take(feedback, record(overdue, end, clock()))
    await post(feedback, f"/cases/{overdue}/check", CHECKER, passed=True)
    await rate(feedback, overdue, clock(), 1)
    clock.advance(days=30)
    assert await get(feedback, "/indicators", **period) == before
    longer = {**period, "until": "2026-05-10T14:01:00Z"}
    seen_early = await get(feedback, "/indicators", **longer, as_of=period["until"])
    assert [values(group) for group in seen_early["items"]] == [values(group) for group in before["items"]]
    seen_late = await get(feedback, "/indicators", **longer)
    assert [values(group) for group in seen_late["items"]] != [values(group) for group in before["items"]]


async def test_an_extension_counts_from_when_it_was_granted(feedback: Running, clock: Hands) -> None:
    """The open lead was due at 12:00; an extension to 16:00 was granted at 13:00, one to 20:00 at 17:00."""
    case = case_id()
    one, other = assignment(case, 1, WATER), assignment(case, 2, STREET)
    await take(
        feedback,
        record(case, extended(one, 1, NOW + 8 * HOUR), NOW + 5 * HOUR),
        record(case, plan(one, other)),
        record(case, extended(one, 2, NOW + 12 * HOUR), NOW + 9 * HOUR),
        record(case, extended(other, 1, NOW + 90 * HOUR), NOW),
    )
    clock.advance(hours=20)

    async def open_and_overdue(as_of: datetime) -> list[str]:
        period: dict[str, Any] = {"as_of": as_of.isoformat(), "until": clock().isoformat()}
        groups = (await get(feedback, "/indicators", **period))["items"]
        assert [group["key"] for group in groups] in ([], [WATER])
        links = [group["indicators"]["closing_rate"]["cases"] for group in groups]
        return [item["case_id"] for link in links for item in (await get(feedback, link))["items"]]

    seen = {hours: await open_and_overdue(NOW + hours * HOUR) for hours in (3, 4, 5, 7, 8, 9, 11, 12, 15)}
    assert [hours for hours, cases in seen.items() if cases] == [4, 8, 12, 15]
    (lead, support) = (await get(feedback, f"/cases/{case}"))["assignments"]
    assert lead["extended"] == [
        {"granted_at": "2026-05-09T13:00:00Z", "due_at": "2026-05-09T16:00:00Z"},
        {"granted_at": "2026-05-09T17:00:00Z", "due_at": "2026-05-09T20:00:00Z"},
    ]
    assert (lead["planned_by"], lead["resolve_by"]) == ("2026-05-09T12:00:00Z", "2026-05-09T20:00:00Z")
    assert support["extensions"] == 1
    # The end says the deadline for good, from the instant at which the work ended.
    await take(feedback, record(case, ended(one, resolve_by=NOW + 17 * HOUR), NOW + 16 * HOUR))
    assert not await open_and_overdue(NOW + 16 * HOUR)
    assert await open_and_overdue(NOW + 17 * HOUR) == [case]
    assert await open_and_overdue(NOW + 15 * HOUR) == [case]


async def test_an_open_case_is_its_superiors_from_when_that_ended_it(feedback: Running, clock: Hands) -> None:
    case = case_id()
    one, other = assignment(case, 1, WATER), assignment(case, 2, FIRE)
    await take(feedback, record(case, plan(one, other)), record(case, ended(one, unit=STREET), NOW + 6 * HOUR))
    clock.advance(hours=10)
    for hours, unit in ((5, WATER), (6, STREET)):
        as_of = (NOW + hours * HOUR).isoformat()
        (group,) = (await get(feedback, "/indicators", as_of=as_of, until=as_of))["items"]
        assert (group["key"], group["indicators"]["closing_rate"]["of"]) == (unit, 1)


async def test_indicators_are_paged_and_refuse_the_future(feedback: Running, clock: Hands) -> None:
    await history(feedback, clock)
    clock.advance(hours=1)
    page = await get(feedback, "/indicators", limit=1)
    assert [group["key"] for group in page["items"]] == [FIRE]
    page = await get(feedback, "/indicators", limit=1, cursor=page["next"])
    assert [group["key"] for group in page["items"]] == [WATER]
    assert page["next"] is None
    for query in (
        {"as_of": "2027-01-01T00:00:00Z"},
        {"since": "2026-05-02T00:00:00Z", "until": "2026-05-01T00:00:00Z"},
    ):
        assert (await feedback.client.get("/indicators", params=query, headers=AUDITOR)).status_code == 422


async def test_formulas_are_public_and_every_score_and_indicator_has_one(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    published = {one["formula"] for one in (await get(feedback, "/formulas", {}))["items"]}
    scores = (await get(feedback, f"/cases/{cases['on_time']}"))["scores"]
    (group,) = (await get(feedback, "/indicators", by="all"))["items"]
    used = {one["formula"] for one in (*scores, *group["indicators"].values())}
    assert used
    assert used <= published
