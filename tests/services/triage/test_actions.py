"""Which actions a caller may take on a case: as the commands themselves would be decided."""

from typing import Any

import pytest

from contracts.fields import Place
from services.triage import api
from tests.services.triage.desk import (
    ACCEPTOR,
    CLOSED,
    LEADER,
    MEMBER,
    POTHOLE,
    REPORTER,
    ended,
    filed,
    get,
    hear,
    published,
    report,
)
from tests.support.facts import case_id
from tests.support.services import Running, token

AUDITOR = token("bo", "auditor")
BODIES: dict[str, dict[str, Any]] = {
    "verify_case": {"confirmed": True},
    "rule_on_case": {"reject": True, "why": "not_ours", "reason": "lies in the next district"},
}


async def rules(triage: Running, case: str, who: dict[str, str]) -> dict[str, str | None]:
    """Action -> the rule that forbids it to the caller."""
    found = await get(triage, f"/cases/{case}/actions", who)
    return {item["action"]: item["rule"] for item in found["items"]}


async def test_an_action_says_where_to_send_it_and_that_it_is_allowed(triage: Running, grid: str) -> None:
    case = await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid)))
    answer = await triage.client.get(f"/cases/{case}/actions", headers=ACCEPTOR)
    found = answer.json()
    assert (found["case_id"], found["etag"], answer.headers["etag"]) == (case, '"2"', '"2"')
    verify, rule = found["items"]
    assert (verify["action"], verify["method"], verify["path"]) == (
        "verify_case",
        "POST",
        f"/cases/{case}/verification",
    )
    assert (verify["allowed"], verify["rule"]) == (False, "caller.role")
    assert "grid_member" in verify["reason"]
    assert rule == {
        "action": "rule_on_case",
        "method": "POST",
        "path": f"/cases/{case}/ruling",
        "assignment_id": None,
        "allowed": True,
        "rule": None,
        "reason": None,
    }
    headers = {**ACCEPTOR, "if-match": found["etag"]}
    done = await triage.client.post(rule["path"], headers=headers, json=BODIES["rule_on_case"])
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(
    ("who", "verify", "rule"),
    [
        (MEMBER, None, "caller.role"),
        (ACCEPTOR, "caller.role", None),
        (LEADER, "caller.role", None),
        (AUDITOR, "caller.role", "caller.role"),
        (token("zhou", "grid_member", "dispatcher"), None, None),
    ],
)
async def test_who_asks_decides_as_it_does_for_the_command(
    triage: Running, grid: str, who: dict[str, str], verify: str | None, rule: str | None
) -> None:
    case = await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid)))
    found = await get(triage, f"/cases/{case}/actions", who)
    assert [item["rule"] for item in found["items"]] == [verify, rule]
    for item in found["items"]:
        if not item["allowed"]:
            headers = {**who, "if-match": found["etag"]}
            refused = await triage.client.post(item["path"], headers=headers, json=BODIES[item["action"]])
            assert (refused.status_code, refused.json()["detail"]) == (403, item["reason"])


async def test_what_the_case_waits_for_decides_too(triage: Running, grid: str) -> None:
    both = token("zhou", "grid_member", "acceptor")
    given_out = await filed(triage, report(place=Place(area=grid)))
    unclassified = await filed(triage, report(None, title="zzz"))
    closed = await filed(triage, report(POTHOLE, place=Place(area=grid)), CLOSED)
    nothing = {"verify_case": "verification.state", "rule_on_case": "ruling.state"}
    assert [await rules(triage, case, both) for case in (given_out, closed)] == [nothing] * 2
    assert await rules(triage, unclassified, both) == {**nothing, "rule_on_case": None}


async def test_a_second_return_is_the_shift_leaders(triage: Running, grid: str) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    await hear(triage, case, ended(case), ended(case, "2.1", unit="district:CH"))
    assert (await rules(triage, case, ACCEPTOR))["rule_on_case"] == "ruling.second_return"
    assert (await rules(triage, case, LEADER))["rule_on_case"] is None
    found = await get(triage, f"/cases/{case}/actions")
    path = found["items"][1]["path"]
    headers = {**ACCEPTOR, "if-match": found["etag"]}
    refused = await triage.client.post(path, headers=headers, json=BODIES["rule_on_case"])
    assert (refused.status_code, refused.json()["rule"]) == (409, "ruling.second_return")
    assert refused.json()["detail"] == found["items"][1]["reason"]


async def test_only_who_may_read_the_case_may_ask_and_asking_writes_nothing(triage: Running, grid: str) -> None:
    case = await filed(triage, report(None, title="zzz", place=Place(area=grid)))
    before = await published(triage, case)
    away = token("li", "acceptor", areas=("CH/elsewhere",))
    for who, status in ((REPORTER, 403), (away, 403), ({}, 401), (ACCEPTOR, 200)):
        assert (await triage.client.get(f"/cases/{case}/actions", headers=who)).status_code == status
    assert (await triage.client.get(f"/cases/{case_id()}/actions", headers=ACCEPTOR)).status_code == 404
    assert await published(triage, case) == before


async def test_every_command_on_a_case_is_listed(triage: Running, grid: str) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    posts = {path for method, path in api.ROLES if method == "POST" and "{case_id}" in path}
    found = await get(triage, f"/cases/{case}/actions")
    assert {item["path"] for item in found["items"]} == {path.format(case_id=case) for path in posts}
