"""Which actions a caller may take on a report: as the commands themselves would be decided."""

from pathlib import Path
from typing import Any

import pytest

from chassis.service import Service
from contracts.feedback import Evaluated
from contracts.reference import Partners
from contracts.triage import Merged, Rejected
from services.intake import api
from tests.services.intake.callers import (
    ACCEPTOR,
    ADMINISTRATOR,
    CHEN,
    FIRE,
    HOTLINE,
    LI,
    MEMBER,
    file,
    get,
    post,
    rows,
    status_code,
    told,
)
from tests.services.intake.desk import GRID, PARTNERS, WHY, registered
from tests.support.facts import case_id
from tests.support.services import Running, eventually, running, token

AUDITOR = token("bo", "auditor")
BODIES: dict[str, dict[str, Any]] = {
    "add_supplement": {"text": "more"},
    "withdraw_report": {"reason": "dried up"},
    "rate_report": {"rating": 2},
    "reopen_report": {"reason": "wet again"},
}
DONE = {"add_supplement": 201, "withdraw_report": 202, "rate_report": 201, "reopen_report": 202}
OPEN: dict[str, str | None] = {
    "add_supplement": None,
    "withdraw_report": None,
    "rate_report": "report.open",
    "reopen_report": "report.open",
}
"""Action -> what forbids it to whoever filed a report that is open."""
CLOSED: dict[str, str | None] = {
    "add_supplement": "report.ended",
    "withdraw_report": "report.ended",
    "rate_report": None,
    "reopen_report": None,
}


async def rules(intake: Running, case: str, who: dict[str, str]) -> dict[str, str | None]:
    """Action -> the rule that forbids it to the caller."""
    found = await get(intake, f"/reports/{case}/actions", who)
    return {item["action"]: item["rule"] for item in found["items"]}


async def test_an_action_says_where_to_send_it_and_that_it_is_allowed(intake: Running) -> None:
    case = (await file(intake, LI))["case_id"]
    answer = await intake.client.get(f"/reports/{case}/actions", headers=LI)
    found = answer.json()
    assert (found["case_id"], found["etag"], answer.headers["etag"]) == (case, '"1"', '"1"')
    assert found["items"][0] == {
        "action": "add_supplement",
        "method": "POST",
        "path": f"/reports/{case}/supplements",
        "assignment_id": None,
        "allowed": True,
        "rule": None,
        "reason": None,
    }
    assert await rules(intake, case, LI) == OPEN
    for names in (("add_supplement", "withdraw_report"), ("rate_report", "reopen_report")):
        for name in names:
            found = await get(intake, f"/reports/{case}/actions", LI)
            item = next(item for item in found["items"] if item["action"] == name)
            done = await post(intake, item["path"], LI, BODIES[name], **{"if-match": found["etag"]})
            assert done.status_code == DONE[name]
        last = await rules(intake, case, LI)
        await told(intake, case, Evaluated(verdict="closed", outcome="withdrawn"))
    assert last == CLOSED | {"rate_report": "rating.once", "reopen_report": "reopening.once"}


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (LI, OPEN),
        (ACCEPTOR, dict.fromkeys(OPEN, "report.owner") | {"add_supplement": None}),
        (MEMBER, dict.fromkeys(OPEN, "report.owner")),
        (ADMINISTRATOR, dict.fromkeys(OPEN, "caller.role")),
        (AUDITOR, dict.fromkeys(OPEN, "caller.role")),
    ],
)
async def test_who_asks_decides_as_it_does_for_the_command(
    intake: Running, who: dict[str, str], expected: dict[str, str | None]
) -> None:
    case = (await file(intake, LI, place={"area": GRID}))["case_id"]
    found = await get(intake, f"/reports/{case}/actions", who)
    assert {item["action"]: item["rule"] for item in found["items"]} == expected
    for item in found["items"]:
        assert item["allowed"] is (item["rule"] is None)
        answer = await post(intake, item["path"], who, BODIES[item["action"]])
        if item["allowed"]:
            assert answer.status_code == DONE[item["action"]]
        else:
            assert answer.status_code == (403 if item["rule"] == "caller.role" else 409)
            assert answer.json()["detail"] == item["reason"]


async def test_what_became_of_the_report_decides_too(intake: Running) -> None:
    merged, rejected, leader = [(await file(intake, LI))["case_id"] for _ in range(3)]
    await told(intake, merged, Merged(into=leader, explanation=WHY))
    await told(intake, rejected, Rejected(why="not_ours", reason="private ground"))
    assert await rules(intake, merged, LI) == dict.fromkeys(OPEN, "report.merged") | {"add_supplement": None}
    assert await rules(intake, rejected, LI) == OPEN | dict.fromkeys(
        ("add_supplement", "withdraw_report"), "report.ended"
    )
    await told(intake, rejected, Evaluated(verdict="closed", outcome="not_ours"))
    assert await rules(intake, rejected, LI) == CLOSED


async def test_a_partner_needs_its_right(service: Service, url: str, tmp_path: Path) -> None:
    registry = tmp_path / "partners.json"
    registry.write_text(PARTNERS.model_dump_json())
    async with running(service, url, CASEGRID_PARTNERS=registry) as intake:
        case = (await file(intake, HOTLINE))["case_id"]
        assert await rules(intake, case, HOTLINE) == OPEN
        registry.write_text(Partners(partners=(registered("hotline", "steps"),)).model_dump_json())

        async def noticed() -> bool:
            return intake.runtime.registry.partners.by_id["hotline"].says == ("steps",)

        await eventually(noticed)
        assert await rules(intake, case, HOTLINE) == dict.fromkeys(OPEN, "partner.says")
        refused = await post(intake, f"/reports/{case}/supplements", HOTLINE, BODIES["add_supplement"])
        item = (await get(intake, f"/reports/{case}/actions", HOTLINE))["items"][0]
        assert (refused.status_code, refused.json()["detail"]) == (403, item["reason"])


async def test_only_who_may_read_the_report_may_ask_and_asking_writes_nothing(intake: Running) -> None:
    case = (await file(intake, LI, place={"area": GRID}))["case_id"]
    elsewhere = token("he", "acceptor", areas=(GRID[:-1] + "2",))
    assert [await status_code(intake, f"/reports/{case}/actions", who) for who in (CHEN, FIRE)] == [404] * 2
    assert await status_code(intake, f"/reports/{case}/actions", elsewhere) == 403
    assert await status_code(intake, f"/reports/{case_id()}/actions", LI) == 404
    await rules(intake, case, ACCEPTOR)
    assert len(await rows(intake, "SELECT 1 FROM events UNION ALL SELECT 1 FROM reporters")) == 2


async def test_every_command_on_a_report_is_listed(intake: Running) -> None:
    case = (await file(intake, LI))["case_id"]
    posts = {path for method, path in api.ROLES if method == "POST" and "{case_id}" in path}
    found = await get(intake, f"/reports/{case}/actions", LI)
    assert {item["path"] for item in found["items"]} == {path.format(case_id=case) for path in posts}
