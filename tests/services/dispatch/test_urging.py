"""Urging: by those who watch, and by private persons, who are told nothing and have limits of their own."""

import json
from collections import Counter
from typing import Any

import pytest

from contracts.reference import Policy
from tests.services.dispatch.desk import ELSEWHERE, HERE, LEADER, WATER, get, given_out, plan, post
from tests.support.facts import case_id
from tests.support.services import Hands, Running, token

RESIDENT = token("chen", "reporter")
ALSO_A_MEMBER = token("li", "reporter", "grid_member", unit="dept:water")


async def steps(dispatch: Running) -> list[dict[str, Any]]:
    rows = await dispatch.runtime.database.fetch("SELECT body FROM events WHERE own AND topic = 'Progressed'")
    return [json.loads(row["body"]) for row in rows]


async def test_a_private_person_is_answered_the_same_whatever_is_urged(dispatch: Running) -> None:
    """So that nobody learns whether there is such an assignment, who works on it, or how far they are."""
    case, ended, sensitive = await given_out(dispatch), await given_out(dispatch), case_id()
    await given_out(dispatch, plan(sensitive, 1, "dept:police"), case=sensitive, category="dispute.family.violence")
    for step in ("acknowledge", "resolve"):
        await post(dispatch, f"/assignments/{ended}.1.1/{step}", WATER)
    answers = []
    for name in (f"{case}.1.1", f"{case}.1.1", f"{ended}.1.1", f"{sensitive}.1.1", f"{case}.1.9", f"{case_id()}.1.1"):
        for headers in ({}, {"if-match": '"7"'}, {"idempotency-key": "a"}):
            given = await dispatch.client.post(f"/assignments/{name}/urge", headers={**RESIDENT, **headers}, json={})
            told = {k: v for k, v in given.headers.items() if k not in ("traceparent",)}
            answers.append((given.status_code, given.content, told))
    assert answers == [answers[0]] * len(answers)
    assert answers[0][:2] == (202, b'{"urged":true}')


async def test_private_persons_are_counted_apart_and_not_named(dispatch: Running, clock: Hands) -> None:
    name = f"{await given_out(dispatch)}.1.1"
    for who in (RESIDENT, token("wu", "reporter")):  # the second comes within the cooldown
        await post(dispatch, f"/assignments/{name}/urge", who, 202, reason="no water")
    [step] = await steps(dispatch)
    assert (step["actor"], step["data"]["reason"], step["data"]["count"]) == ("reporter", "no water", 1)
    assert (await get(dispatch, f"/assignments/{name}", LEADER))["urged"] == 1
    shown = await post(dispatch, f"/assignments/{name}/urge", LEADER)  # no cooldown of theirs holds the centre back
    assert shown["urged"] == 2
    policy: Policy = dispatch.runtime.service.reference.rules.policy
    for _ in range(policy.urge_daily_cap + 1):  # all on one local day
        clock.advance(minutes=policy.urge_cooldown_minutes)
        await post(dispatch, f"/assignments/{name}/urge", RESIDENT, 202)
    await post(dispatch, f"/assignments/{name}/urge", LEADER)
    urged = Counter(one["actor"] for one in await steps(dispatch) if one["data"]["step"] == "urged")
    assert urged == {"reporter": policy.urge_daily_cap, "leader-1": 2}, "there is a limit for a day"


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (LEADER, 200),
        (token("d", "dispatcher", areas=(HERE,)), 200),
        (token("a", "acceptor", areas=(HERE,)), 200),
        (token("a", "acceptor", areas=(ELSEWHERE,)), 403),
        (token("a", "acceptor", areas=()), 403),
        (token("e", "evaluator"), 403),
        (token("au", "auditor"), 403),
        (token("ad", "administrator"), 403),
        (WATER, 403),
        (token("m", "grid_member", unit="dept:water"), 403),
        (ALSO_A_MEMBER, 403),  # staff do not act unnamed
        (token("h", "handling_unit", "reporter", unit="dept:water"), 403),
        (token("a", "acceptor", "reporter", areas=(HERE,)), 200),
        ({"x-client-key": "fire"}, 403),
    ],
)
async def test_those_urge_who_watch(dispatch: Running, who: dict[str, str], status: int) -> None:
    await post(dispatch, f"/assignments/{await given_out(dispatch)}.1.1/urge", who, status)
    assert [step["actor"] for step in await steps(dispatch) if step["actor"] == "reporter"] == []


async def test_a_private_person_is_not_told_what_may_be_done(dispatch: Running) -> None:
    case = await given_out(dispatch)
    for path in (f"/assignments/{case}.1.1", f"/cases/{case}", "/assignments", "/board"):
        await get(dispatch, path, RESIDENT, 403)
    for path in (f"/assignments/{case}.1.1/actions", f"/cases/{case}/actions"):
        await get(dispatch, path, RESIDENT, 403)
