"""What dispatch says a caller may do with an assignment, and whether that is so."""

from typing import Any

import pytest

from chassis.engine.commands import WORDS_A_DAY
from contracts.triage import Rejected
from services.dispatch.api import OPERATIONS
from tests.services.dispatch.desk import (
    BODIES,
    CENTRE,
    ELSEWHERE,
    FIRE,
    HERE,
    WATER,
    get,
    given_out,
    plan,
    post,
    take,
)
from tests.support.facts import case_id
from tests.support.services import Running, token

PARTNER = {"x-client-key": "fire"}
ASKING = {
    "its unit": WATER,
    "the centre": CENTRE,
    "an acceptor": token("wang", "acceptor"),
    "an auditor": token("zhou", "auditor"),
    "an acceptor who is of another unit": token("wu", "acceptor", "handling_unit", unit="dept:fire"),
    "a crew that is the centre, too": token("li", "handling_unit", "shift_leader", unit="dept:water"),
}


async def worked_on(dispatch: Running, number: int = 1) -> str:
    """An assignment that its unit has acknowledged, and wants more time for."""
    name = f"{await given_out(dispatch)}.1.{number}"
    who = WATER if number == 1 else FIRE
    await post(dispatch, f"/assignments/{name}/acknowledge", who)
    await post(dispatch, f"/assignments/{name}/request-extension", who, reason="no pipe")
    return name


async def actions(dispatch: Running, assignment_id: str, who: dict[str, str]) -> dict[str, Any]:
    """Action -> what is said of it."""
    found = (await get(dispatch, f"/assignments/{assignment_id}/actions", who))["items"]
    assert [one["action"] for one in found] == [*OPERATIONS.values()]
    assert {one["assignment_id"] for one in found} == {assignment_id}
    return {one["action"]: one for one in found}


@pytest.mark.parametrize(
    ("who", "number"), [*((who, 1) for who in ASKING.values()), (PARTNER, 2)], ids=[*ASKING, "its partner"]
)
async def test_an_action_is_taken_or_refused_as_the_answer_says(
    dispatch: Running, who: dict[str, str], number: int
) -> None:
    name = await worked_on(dispatch, number)
    for said in (await actions(dispatch, name, who)).values():
        path = said["path"].replace(name, await worked_on(dispatch, number))
        body = BODIES[path.rpartition("/")[2]]
        done = await dispatch.client.request(said["method"], path, headers=who, json=body)
        if said["allowed"]:
            assert (done.status_code, said["rule"], said["reason"]) == (200, None, None), done.text
        elif said["rule"] == "caller.role":
            assert (done.status_code, done.json()["detail"]) == (403, said["reason"])
        elif said["rule"] == "caller.scope":
            assert done.status_code == 403
        else:
            assert (done.status_code, done.json()["rule"]) == (409, said["rule"])
            assert done.json()["detail"] == said["reason"]


@pytest.mark.parametrize("areas", [(), (ELSEWHERE,), (HERE,)], ids=["no areas", "elsewhere", "its area"])
@pytest.mark.parametrize("role", ["dispatcher", "acceptor"])
async def test_who_sees_a_case_as_its_unit_alone_acts_for_the_unit_alone(
    dispatch: Running, role: str, areas: tuple[str, ...]
) -> None:
    """A role of the centre that does not see the case gives no power over it."""
    who = token("both", "handling_unit", role, unit="dept:water", areas=areas)
    name = f"{await given_out(dispatch)}.1.1"
    centre = areas == (HERE,)
    on: dict[str, Any] = {"unit": "dept:fire", "reason": "near"}
    said = (await actions(dispatch, name, who))["hand_on_assignment"]["rule"]
    if centre and role == "dispatcher":
        assert said is None
        await post(dispatch, f"/assignments/{name}/hand-on", who, **on)
    else:
        assert said == "hand_on.unit"
        assert (await post(dispatch, f"/assignments/{name}/hand-on", who, 409, **on))["rule"] == "hand_on.unit"
        await post(dispatch, f"/assignments/{name}/hand-on", CENTRE, **on)
    await post(dispatch, f"/assignments/{name}/acknowledge", FIRE)  # from now on it is another unit's
    said = (await actions(dispatch, name, who))["add_note"]["rule"]
    assert said == (None if centre else "assignment.taken")
    await post(dispatch, f"/assignments/{name}/note", who, 200 if centre else 409, note="seen")


async def test_what_may_be_done_follows_the_work(dispatch: Running) -> None:
    name = f"{await given_out(dispatch)}.1.1"

    async def rules(*asked: str) -> list[str | None]:
        found = await actions(dispatch, name, WATER)
        return [found[action]["rule"] for action in asked]

    assert await rules("acknowledge_assignment", "resolve_assignment", "return_assignment", "supervise_assignment") == [
        None,
        "step.order",
        None,
        "caller.role",
    ]
    for step in ("acknowledge", "on-scene"):
        await post(dispatch, f"/assignments/{name}/{step}", WATER)
    assert await rules("resolve_assignment", "set_out", "return_assignment", "hand_on_assignment") == [
        None,
        "step.order",
        "return.begun",
        "hand_on.begun",
    ]
    await post(dispatch, f"/assignments/{name}/urge", CENTRE)
    assert await rules("urge_assignment", "request_extension") == ["caller.role", None]
    assert (await actions(dispatch, name, CENTRE))["urge_assignment"]["rule"] == "urge.cooldown"
    await post(dispatch, f"/assignments/{name}/resolve", WATER)
    assert {one["rule"] for one in (await actions(dispatch, name, WATER)).values()} == {
        "assignment.ended",
        "caller.role",
    }


async def test_the_actions_of_a_case_are_those_of_its_assignments_and_hold_for_its_version(dispatch: Running) -> None:
    case = await given_out(dispatch)
    await post(dispatch, f"/assignments/{case}.1.2/acknowledge", FIRE)
    await post(dispatch, f"/assignments/{case}.1.2/resolve", FIRE)
    found = await dispatch.client.get(f"/cases/{case}/actions", headers=CENTRE)
    shown = await dispatch.client.get(f"/cases/{case}", headers=CENTRE)
    assert found.headers["etag"] == shown.headers["etag"] == found.json()["etag"]
    assert found.json()["case_id"] == case
    each = [await actions(dispatch, f"{case}.1.{number}", CENTRE) for number in (1, 2)]
    assert found.json()["items"] == [one for said in each for one in said.values()]
    own = (await get(dispatch, f"/cases/{case}/actions", WATER))["items"]
    assert own == [*(await actions(dispatch, f"{case}.1.1", WATER)).values()]
    stale = {**WATER, "if-match": found.json()["etag"]}
    await post(dispatch, f"/assignments/{case}.1.1/acknowledge", stale)
    await post(dispatch, f"/assignments/{case}.1.1/resolve", stale, 412)


async def test_who_has_said_all_that_a_day_allows_still_does_the_work(dispatch: Running) -> None:
    name = f"{await given_out(dispatch)}.1.1"
    for _ in range(WORDS_A_DAY):
        await post(dispatch, f"/assignments/{name}/note", WATER, note="still pumping")
    refused = await post(dispatch, f"/assignments/{name}/note", WATER, 409, note="still pumping")
    assert (refused["rule"], refused["detail"]) == (
        "case.daily_cap",
        "one caller adds 100 remarks to a case within 24 hours at most",
    )
    offered = {one["action"]: one["rule"] for one in (await actions(dispatch, name, WATER)).values()}
    assert (offered["add_note"], offered["acknowledge_assignment"]) == ("case.daily_cap", None)
    await post(dispatch, f"/assignments/{name}/acknowledge", WATER)
    await post(dispatch, f"/assignments/{name}/resolve", WATER)


async def test_nobody_may_ask_about_what_lies_elsewhere_or_is_no_unit_of_theirs(dispatch: Running) -> None:
    case, other, rejected = await given_out(dispatch), case_id(), case_id()
    for path in (f"/cases/{case}/actions", f"/assignments/{case}.1.2/actions"):
        found = (await get(dispatch, path, PARTNER))["items"]
        assert {one["assignment_id"] for one in found} == {f"{case}.1.2"}
        await get(dispatch, path, token("d", "dispatcher", areas=(ELSEWHERE,)), 403)
        await get(dispatch, path, token("chen", "reporter"), 403)
    await given_out(dispatch, plan(other, 1, "dept:water"), case=other)
    for path in (f"/cases/{other}/actions", f"/assignments/{other}.1.1/actions"):
        await get(dispatch, path, PARTNER, 404)
    for path in (f"/cases/{case_id()}/actions", f"/assignments/{case}.1.3/actions"):
        await get(dispatch, path, status=404)
    known: dict[str, Any] = {"category": "component.public-facilities.manhole", "area": f"{ELSEWHERE}/g001"}
    await take(dispatch, rejected, Rejected(why="not_ours", reason="private ground", **known))
    assert (await get(dispatch, f"/cases/{rejected}/actions"))["items"] == []
