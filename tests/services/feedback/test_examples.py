"""Every example in feedback's OpenAPI document succeeds, and is answered as the document says."""

from tests.services.feedback.desk import (
    AUDITOR,
    CHECKER,
    EVALUATOR,
    HOUR,
    LEADER,
    NOW,
    STREET,
    WATER,
    ask_to_reopen,
    assignment,
    ended,
    extended,
    plan,
    post,
    rate,
    record,
    take,
    waiting,
)
from tests.support.examples import Preparations, Prepared, make_every_call
from tests.support.facts import case_id
from tests.support.services import Running


async def _by_anyone(_: Running) -> Prepared:
    return Prepared()


async def _to_check(feedback: Running) -> Prepared:
    return Prepared(CHECKER, {"case_id": await waiting(feedback)})


async def _to_force(feedback: Running) -> Prepared:
    return Prepared(LEADER, {"case_id": await waiting(feedback)})


async def _some_cases(feedback: Running) -> Prepared:
    await _rated(feedback)
    await waiting(feedback, NOW - 24 * HOUR)
    return Prepared(AUDITOR)


async def _queue(feedback: Running) -> Prepared:
    await _some_cases(feedback)
    return Prepared(CHECKER)


async def _rated(feedback: Running) -> Prepared:
    """A case with all that its detail can show: an extension, a return, a rework, scores, a rating, a reopening."""
    case = case_id()
    lead, support = assignment(case, 1, WATER), assignment(case, 2, STREET)
    again = assignment(case, 1, WATER, round_=2, replaces=support.id, lead=False)
    redone = assignment(case, 1, WATER, round_=3, replaces=lead.id)
    await take(
        feedback,
        record(case, plan(lead, support)),
        record(case, extended(lead, 1, NOW + 8 * HOUR)),
        record(case, ended(lead, handled_by=("worker:1",), acknowledged_at=NOW, arrived_at=NOW + HOUR)),
        record(case, ended(support, "returned")),
        record(case, plan(again, round_=2)),
        record(case, ended(again)),
    )
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=False, reason="still wet")
    await take(feedback, record(case, plan(redone, round_=3, because="rework")), record(case, ended(redone)))
    await post(feedback, f"/cases/{case}/check", EVALUATOR, passed=True)
    await rate(feedback, case, NOW + 4 * HOUR, 4, comment="quick")
    await ask_to_reopen(feedback, case, NOW + 5 * HOUR)
    return Prepared(AUDITOR, {"case_id": case})


PREPARATIONS: Preparations = {
    "list_checks": _queue,
    "check_case": _to_check,
    "force_closing": _to_force,
    "list_cases": _some_cases,
    "get_case": _rated,
    "list_actions": _to_check,
    "list_indicators": _some_cases,
    "list_indicator_cases": _some_cases,
    "list_formulas": _by_anyone,
}


async def test_every_example_succeeds(feedback: Running) -> None:
    await make_every_call(feedback, PREPARATIONS)
