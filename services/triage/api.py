"""Triage over HTTP: the queue, verification, rulings, and what triage knows of a case.

GET  /queue                          what waits for a person
POST /cases/{case_id}/verification   a grid member has looked at the place
POST /cases/{case_id}/ruling         a person decides what the rules could not
GET  /cases                          cases by status, category, area, time
GET  /cases/{case_id}                ruling, explanation, plans and assignments of one case
GET  /cases/{case_id}/actions        what the caller may do with a case now

GET  /units                          in reference_lists.py
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel

from chassis.engine.commands import CommandRequest, Unusable
from chassis.engine.decider import Unknown
from chassis.web.actions import ActionList, Actions, actions_answer
from chassis.web.errors import Json
from chassis.web.filters import require_area, require_categories, require_category, require_status, require_unit
from chassis.web.reading import Reader, ReaderDep, ScopeDep
from chassis.web.requests import CallerDep, CommandRequestDep, CommandsDep, DatabaseDep, answer, etag, reference_of
from chassis.web.roles import Access, Bound, Route
from contracts.fields import CASE_ID
from contracts.reading import Matter
from contracts.roles import Role
from services.triage import queries
from services.triage.bodies import (
    CaseChange,
    CaseDetail,
    CaseFilters,
    CasePage,
    QueueFilters,
    QueuePage,
    RulingBody,
    VerificationBody,
)
from services.triage.context import claim_target
from services.triage.domain import decider
from services.triage.domain.case import Case
from services.triage.domain.commands import Action, By, Dispatch, Merge, NamedUnit, Reject, Ruling, Verify, actions
from services.triage.domain.rulebook import Rulebook
from services.triage.examples import CASE

RULERS = frozenset({Role.ACCEPTOR, Role.DISPATCHER, Role.SHIFT_LEADER})
READERS = RULERS | {Role.GRID_MEMBER, Role.EVALUATOR, Role.AUDITOR, Role.ADMINISTRATOR}

ROLES: dict[Route, Access] = {
    ("GET", "/queue"): Access(READERS, Bound.LIST),
    ("POST", "/cases/{case_id}/verification"): Access(frozenset({Role.GRID_MEMBER}), Bound.CASE),
    ("POST", "/cases/{case_id}/ruling"): Access(RULERS, Bound.CASE),
    ("GET", "/cases"): Access(READERS, Bound.LIST),
    ("GET", "/cases/{case_id}"): Access(READERS, Bound.CASE),
    ("GET", "/cases/{case_id}/actions"): Access(READERS, Bound.CASE),
}

TAGS = {"triage": "What the rules find of a report, and what a person must decide."}
_OPERATIONS: Mapping[Action, str] = {"verify": "verify_case", "rule": "rule_on_case"}
"""What may be done with a case -> the route that does it."""

CasePath = Annotated[
    str, Path(pattern=CASE_ID.pattern, description="The case, as filing its report gave it.", examples=[CASE])
]
Rules = Annotated[Rulebook, Depends(reference_of)]

router = APIRouter(tags=["triage"])


async def _by(caller: CallerDep) -> By:
    return By(shift_leader=Role.SHIFT_LEADER in caller.roles)


ByDep = Annotated[By, Depends(_by)]


@router.get("/queue", response_model=QueuePage)
async def list_queue(
    filters: Annotated[QueueFilters, Query()], scope: ScopeDep, database: DatabaseDep, rules: Rules
) -> Response:
    """Lists the cases that wait for a person, the earliest deadline first.

    A case waits if a grid member is to look at the place before it is filed, or if the rules cannot rule on it. Callers
    see the cases that they may read; a sensitive one waits for the shift leader.
    """
    require_area(filters.area, rules.areas)
    return Json(await queries.queue(database, filters, scope))


@router.post("/cases/{case_id}/verification", response_model=CaseChange)
async def verify_case(
    case_id: CasePath, body: VerificationBody, reader: ReaderDep, request: CommandRequestDep, commands: CommandsDep
) -> Response:
    """Says what a grid member found at the place of a report.

    If it is confirmed, the case is filed and dispatched, else it is rejected. The case must wait to be verified
    (`verification.state`).
    """
    command = Verify(body.confirmed, body.why or "not_reproducible", body.note, body.evidence)
    request = replace(request, claimed_at=body.at, permits=reader.permits(matter, _unknown(case_id)))
    return answer(await commands.execute(case_id, command, request, partial(_case_change, case_id)))


@router.post("/cases/{case_id}/ruling", response_model=CaseChange, responses={428: {}})
async def rule_on_case(
    case_id: CasePath,
    body: RulingBody,
    reader: ReaderDep,
    by: ByDep,
    request: CommandRequestDep,
    commands: CommandsDep,
    rules: Rules,
) -> Response:
    """Rules on a case that waits: dispatches it, merges it into another, or rejects it.

    If-Match must name the version that the decision is based on. The case must wait (`ruling.state`). After a second
    return only the shift leader rules (`ruling.second_return`).

    To dispatch, name what the rules could not find: the category (`ruling.category`), the area (`ruling.area`), or,
    after a return, the units, if none is left above (`ruling.units`). Units that are named must take over all returned
    work (`ruling.incomplete`), and only such work (`ruling.replaces`). A case cannot be merged into itself
    (`merge.self`), nor into one that is over (`merge.target`) or that the caller may not read (403, 404).
    A sensitive case is merged into a sensitive one only (`merge.sensitive`); what is merged into one takes its
    category, and is hidden as that case is.
    """
    if body.area is not None:
        reader.require_area(body.area)
    command = _command(body, rules, by)
    permits = reader.permits(matter, _unknown(case_id))
    request = replace(request, claimed_at=body.at, match_required=True, permits=permits)
    if isinstance(command, Merge):
        require = partial(reader.require, unknown=_unknown(command.into))
        request = replace(request, completes=partial(claim_target, require=require))
    return answer(await commands.execute(case_id, command, request, partial(_case_change, case_id)))


@router.get("/cases", response_model=CasePage)
async def list_cases(
    filters: Annotated[CaseFilters, Query()], scope: ScopeDep, database: DatabaseDep, rules: Rules
) -> Response:
    """Lists cases, the latest report first.

    Callers see the cases that they may read. A status that triage does not show is refused, and the error names those
    that it shows.
    """
    require_area(filters.area, rules.areas)
    require_status(filters.status, "triage")
    require_categories(filters.category, rules.catalogue)
    return Json(await queries.cases(database, filters, scope))


@router.get("/cases/{case_id}", response_model=CaseDetail)
async def get_case(case_id: CasePath, reader: ReaderDep, database: DatabaseDep, rules: Rules) -> Response:
    """Shows what triage knows of a case: its report, what it waits for, its rulings with the reasons, its assignments.

    The ETag is what If-Match must name in a ruling.
    """
    stream = await queries.case(database, decider(rules), case_id)
    await _require_readable(case_id, stream.state, reader)
    merged = await queries.merged_count(database, case_id, reader.scope)
    return Json(_case_detail(case_id, stream.state, merged), headers={"ETag": etag(stream.version)})


@router.get("/cases/{case_id}/actions", response_model=ActionList)
async def list_actions(case_id: CasePath, reader: ReaderDep, by: ByDep, commands: CommandsDep) -> Response:
    """Lists what may be done with a case, and for each action whether the caller may take it now, or else the rule.

    Whoever may read the case may ask. The commands themselves are decided by the same rules. Rules about what is
    entered are not asked.
    """
    stream, inputs = await commands.consider(case_id, CommandRequest(reader.caller.subject))
    await _require_readable(case_id, stream.state, reader)
    offered, asked = Actions(router, ROLES, reader), matter(stream.state)
    found = actions(by, stream.state, inputs)
    items = [offered.item(_OPERATIONS[action], refused, asked, case_id=case_id) for action, refused in found.items()]
    return actions_answer(case_id, stream.version, items)


async def _require_readable(case_id: str, state: Case, reader: Reader) -> None:
    """Raises `NotFound`, and `Forbidden` if the case is not for the caller."""
    found = matter(state)
    if found is None:
        raise Unknown(_unknown(case_id))
    await reader.sight(case_id, found, _unknown(case_id))


def matter(state: Case) -> Matter | None:
    """What the rule of reading asks of a case. Whose people work on it counts in dispatch, which knows who has it."""
    if state.report is None:
        return None
    return Matter(state.area, state.category)


def _unknown(case_id: str) -> str:
    return f"there is no case {case_id}"


def _command(body: RulingBody, rules: Rulebook, by: By) -> Ruling:
    """Raises `Unusable` if the body names what the district does not have."""
    if body.merge_into is not None:
        return Merge(body.merge_into, body.reason, by)
    if body.reject:
        assert body.why is not None
        assert body.reason is not None
        return Reject(body.why, body.reason, by)
    require_category(body.category, rules.catalogue)
    if body.condition is not None:
        if body.category is None:
            raise Unusable("condition", "needs the category that it is a condition of")
        known = [condition.code for condition in rules.catalogue.by_code[body.category].conditions]
        if body.condition not in known:
            raise Unusable("condition", f"{body.condition} is not one of {', '.join(known)}")
    require_area(body.area, rules.areas)
    for n, named in enumerate(body.units):
        require_unit(named.unit, rules.units.by_id, f"units.{n}.unit")
    units = tuple(NamedUnit(named.unit, named.task, named.replaces) for named in body.units)
    return Dispatch(body.category, body.condition, body.area, body.priority, units, body.reason, by)


def _case_change(case_id: str, state: Case, _: Sequence[Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"case_id": case_id, "status": state.standing.status, "ruling": _published(state.ruling)}


def _case_detail(case_id: str, state: Case, merged: int) -> dict[str, Any]:
    report, waiting, verdict = state.report, state.waiting, state.verdict
    assert report is not None
    return {
        "case_id": case_id,
        "status": state.standing.status,
        "report": _published(report.data),
        "reported_at": report.time,
        "category": state.category,
        "area": state.area,
        "supplements": [_published(supplement) for supplement in state.supplements],
        "waiting": None
        if waiting is None
        else {
            "queue": waiting.queue,
            "since": waiting.since,
            "due_at": waiting.due_at,
            "overdue": waiting.overdue,
            "unit": waiting.unit,
            "words": waiting.words.split("\n"),
        },
        "ruling": _published(state.ruling),
        "rounds": [_published(ruling) for ruling in state.rounds],
        "assignments": [
            {
                "assignment_id": assignment_id,
                "unit": assignment.unit,
                "task": assignment.plan.task,
                "lead": assignment.plan.lead,
                "outcome": assignment.outcome,
                "failed": assignment.failed,
                "replaced": assignment.replaced,
            }
            for assignment_id, assignment in state.assignments.items()
        ],
        "merged_reports": merged,
        "verdict": verdict.verdict if verdict else None,
        "outcome": verdict.outcome if verdict else None,
        "verdict_reason": verdict.reason if verdict else None,
    }


def _published(fact: BaseModel | None) -> dict[str, Any] | None:
    return None if fact is None else fact.model_dump(mode="json", exclude_none=True)
