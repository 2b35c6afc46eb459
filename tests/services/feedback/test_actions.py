"""Which actions a caller may take on a case: as the commands themselves would be decided."""

from typing import Any

import pytest

from services.feedback import api
from tests.services.feedback.desk import (
    AUDITOR,
    CHECKER,
    CHECKERS_GRID,
    EVALUATOR,
    FAR_COMMUNITY,
    LEADER,
    PLUMBER,
    REPORTER,
    get,
    post,
    record,
    said,
    take,
    waiting,
)
from tests.support import rulings
from tests.support.facts import case_id
from tests.support.services import Running, token

BODIES: dict[str, dict[str, Any]] = {
    "check_case": {"passed": True},
    "force_closing": {"reason": "pulled down"},
}
MANY = token("zhou", "grid_member", "shift_leader", unit=CHECKERS_GRID, areas=("CH",))


async def rules(feedback: Running, case: str, who: dict[str, str] = MANY) -> list[str | None]:
    """The rules that forbid the caller to check and to close by force."""
    found = await get(feedback, f"/cases/{case}/actions", who)
    return [item["rule"] for item in found["items"]]


async def test_an_action_says_where_to_send_it_and_that_it_is_allowed(feedback: Running) -> None:
    case = await waiting(feedback)
    answer = await feedback.client.get(f"/cases/{case}/actions", headers=CHECKER)
    found = answer.json()
    assert (found["case_id"], found["etag"], answer.headers["etag"]) == (case, '"3"', '"3"')
    check, forced = found["items"]
    assert check == {
        "action": "check_case",
        "method": "POST",
        "path": f"/cases/{case}/check",
        "assignment_id": None,
        "allowed": True,
        "rule": None,
        "reason": None,
    }
    assert (forced["action"], forced["method"], forced["path"]) == (
        "force_closing",
        "POST",
        f"/cases/{case}/forced-closing",
    )
    assert (forced["allowed"], forced["rule"]) == (False, "caller.role")
    assert "shift_leader" in forced["reason"]
    await post(feedback, check["path"], {**CHECKER, "if-match": found["etag"]}, **BODIES["check_case"])


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (CHECKER, [None, "caller.role"]),
        (PLUMBER, ["check.separation", "caller.role"]),
        (EVALUATOR, [None, "caller.role"]),
        (LEADER, ["caller.role", None]),
        (token("worker:1", "shift_leader"), ["caller.role", "closing.separation"]),
        (AUDITOR, ["caller.role"] * 2),
        (MANY, [None, None]),
    ],
)
async def test_who_asks_decides_as_it_does_for_the_command(
    feedback: Running, who: dict[str, str], expected: list[str | None]
) -> None:
    case = await waiting(feedback)
    found = await get(feedback, f"/cases/{case}/actions", who)
    assert [item["rule"] for item in found["items"]] == expected
    for item in found["items"]:
        if not item["allowed"]:
            refused = await feedback.client.post(item["path"], headers=who, json=BODIES[item["action"]])
            assert refused.json()["detail"] == item["reason"]
            if item["rule"] == "caller.role":
                assert refused.status_code == 403
            else:
                assert (refused.status_code, refused.json()["rule"]) == (409, item["rule"])


async def test_what_the_case_waits_for_decides_too(feedback: Running) -> None:
    case, merged = await waiting(feedback), case_id()
    known = rulings.merged(case, category="event.emergency.water-main", area=f"{FAR_COMMUNITY}/g001")
    await take(feedback, record(merged, known))
    assert await rules(feedback, merged) == ["case.closed", "case.closed"]
    await post(feedback, f"/cases/{case}/check", EVALUATOR, passed=True)
    assert await rules(feedback, case) == ["case.closed", "case.closed"]


async def test_a_call_back_is_an_evaluators(feedback: Running) -> None:
    case = await waiting(feedback, check={"method": "call_back", "by": "call_centre"})
    assert (await rules(feedback, case))[0] == "check.by"
    assert (await rules(feedback, case, EVALUATOR))[0] is None


async def test_only_who_may_see_the_case_may_ask_and_asking_writes_nothing(feedback: Running) -> None:
    case = await waiting(feedback)
    away = token("li", "grid_member", areas=(FAR_COMMUNITY,))
    for who, status in ((REPORTER, 403), (away, 403), ({}, 401), (CHECKER, 200)):
        assert (await feedback.client.get(f"/cases/{case}/actions", headers=who)).status_code == status
    assert (await feedback.client.get(f"/cases/{case_id()}/actions", headers=CHECKER)).status_code == 404
    assert await said(feedback, case, "Evaluated") == []
    assert (await feedback.client.get(f"/cases/{case}", headers=CHECKER)).headers["etag"] == '"3"'


async def test_every_command_on_a_case_is_listed(feedback: Running) -> None:
    case = await waiting(feedback)
    posts = {path for method, path in api.ROLES if method == "POST" and "{case_id}" in path}
    found = await get(feedback, f"/cases/{case}/actions")
    assert {item["path"] for item in found["items"]} == {path.format(case_id=case) for path in posts}


@pytest.mark.parametrize("status", ["acknowledged", "en_route", "on_scene", "suspended"])
async def test_a_status_that_feedback_cannot_tell_is_refused_and_its_own_is_named(
    feedback: Running, status: str
) -> None:
    answer = await feedback.client.get("/cases", headers=AUDITOR, params={"status": status})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, "status")
    assert "dispatched" in answer.text
