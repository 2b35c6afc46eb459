"""Triage over HTTP: the queue, verification, rulings, and what triage knows of a case.

GET  /queue                          what waits for a person
POST /cases/{case_id}/verification   a grid member has looked
POST /cases/{case_id}/ruling         a person decides what the rules could not
GET  /cases                          cases by status, category, area, time
GET  /cases/{case_id}                ruling, explanation, plans and assignments of one
"""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from chassis.commands import Request, Unusable
from chassis.http import Cursor, Json, Limit, NotFound, answer, caller_of, command_request, page, position
from chassis.identity import Caller, Forbidden
from chassis.journal import Journal
from contracts.fields import CASE_ID, ClaimedInstant
from contracts.status import Status
from services.triage import views
from services.triage.bodies import CaseDetail, CasePage, Outcome, QueuePage, Ruling, Verification
from services.triage.domain.case import Awaited, Case
from services.triage.domain.commands import Charge, Command, File, Merge, Reject, Verify
from services.triage.domain.rulebook import Rulebook

if TYPE_CHECKING:
    from chassis.runtime import Runtime

RULERS = frozenset({"acceptor", "dispatcher", "shift_leader"})
READERS = RULERS | {"grid_member", "evaluator", "auditor", "administrator"}

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/queue"): READERS,
    ("POST", "/cases/{case_id}/verification"): frozenset({"grid_member"}),
    ("POST", "/cases/{case_id}/ruling"): RULERS,
    ("GET", "/cases"): READERS,
    ("GET", "/cases/{case_id}"): READERS,
}

CaseId = Annotated[str, Path(pattern=CASE_ID.pattern, examples=["019a2b3c-4d5e-7f60-8123-456789abcdef"])]
Prefix = Annotated[str | None, Query(max_length=200, description="With everything below it.")]
Asked = Annotated[Request, Depends(command_request)]
Calling = Annotated[Caller, Depends(caller_of)]


def routes(runtime: "Runtime", rules: Rulebook) -> APIRouter:
    """The routes of triage."""
    router = APIRouter(tags=["triage"])

    @router.get("/queue", response_model=QueuePage)
    async def queue(
        caller: Calling,
        kind: Awaited | None = None,
        area: Prefix = None,
        overdue: bool | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """What waits for a person, the earliest deadline first; of the caller's areas, where the token names any."""
        found = await views.queue(
            runtime.database,
            kind=kind,
            areas=caller.areas,
            area=area,
            overdue=overdue,
            after=position(cursor, datetime, str),
            limit=limit + 1,
        )
        items = [{**item, "etag": f'"{item.pop("version")}"'} for item in found]
        return Json(page(items, limit, lambda item: [item["due_at"].isoformat(), item["case_id"]]))

    @router.post(
        "/cases/{case_id}/verification",
        response_model=Outcome,
        responses={404: {"description": "No such case."}, 409: {"description": "It does not wait to be verified."}},
    )
    async def verification(case_id: CaseId, body: Verification, request: Asked) -> Any:
        """What a grid member found at the place: confirmed, the case is filed and given out; else it is rejected."""
        await allow(request.caller, case_id)
        command = Verify(body.confirmed, body.why or "not_reproducible", body.note, body.evidence)
        return await execute(case_id, command, request, body.at)

    @router.post(
        "/cases/{case_id}/ruling",
        response_model=Outcome,
        responses={
            404: {"description": "No such case."},
            409: {"description": "A rule forbids it; which one is in `rule`."},
            412: {"description": "The case has changed since."},
            428: {"description": "If-Match is missing."},
        },
    )
    async def ruling(case_id: CaseId, body: Ruling, request: Asked) -> Any:
        """A person's decision on a case that waits: given out, merged into another, or rejected. Needs If-Match."""
        await allow(request.caller, case_id, body.area)
        command = _command(body, rules, "shift_leader" in request.caller.roles)
        also = partial(views.claim_target, into=command.into) if isinstance(command, Merge) else None
        return await execute(case_id, command, request, body.at, also=also, match_required=True)

    @router.get("/cases", response_model=CasePage)
    async def cases(
        status: Status | None = None,
        category: Prefix = None,
        area: Prefix = None,
        since: ClaimedInstant | None = None,
        until: ClaimedInstant | None = None,
        merged_into: str | None = None,
        external_ref: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Cases, the latest report first; `since` and `until` bound when it was seen."""
        found = await views.cases(
            runtime.database,
            status=status,
            category=category,
            area=area,
            since=since,
            until=until,
            merged_into=merged_into,
            external_ref=external_ref,
            after=position(cursor, datetime, str),
            limit=limit + 1,
        )
        return Json(page(found, limit, lambda item: [item["reported_at"].isoformat(), item["case_id"]]))

    @router.get("/cases/{case_id}", response_model=CaseDetail, responses={404: {"description": "No such case."}})
    async def case(case_id: CaseId) -> Any:
        """What triage knows of a case; the ETag is what a ruling's If-Match must name."""
        version, state = await load(case_id)
        merged = await views.merged_count(runtime.database, case_id)
        return Json(_detail(case_id, state, merged), headers={"ETag": f'"{version}"'})

    async def load(case_id: str) -> tuple[int, Case]:
        service = runtime.service
        journal: Journal[Case] = Journal(service.source, service.decider, (), runtime.clock())
        async with runtime.database.pool.acquire() as connection:
            await journal.open(connection, [case_id])
        stream = journal.streams[case_id]
        if stream.state.report is None:
            raise NotFound(f"there is no case {case_id}")
        return stream.version, stream.state

    async def allow(caller: Caller, case_id: str, area: str | None = None) -> None:
        _, state = await load(case_id)
        for one in (state.area, area or state.area):
            if not caller.covers(one):
                raise Forbidden(f"the caller's areas do not include {one or 'a case without an area'}")

    async def execute(
        case_id: str,
        command: Command,
        request: Request,
        at: datetime | None,
        *,
        match_required: bool = False,
        also: Any = None,
    ) -> Any:
        given = await runtime.commands.execute(
            case_id,
            command,
            request,
            lambda state, events: (200, _outcome(case_id, state)),
            at=at,
            also=also,
            match_required=match_required,
        )
        return answer(given)

    return router


def _command(body: Ruling, rules: Rulebook, shift_leader: bool) -> File | Merge | Reject:
    if body.merge_into is not None:
        return Merge(body.merge_into, body.reason, shift_leader)
    if body.reject:
        assert body.why is not None
        assert body.reason is not None
        return Reject(body.why, body.reason, shift_leader)
    if body.category is not None and body.category not in rules.catalogue.by_code:
        raise Unusable("category", f"{body.category} is not in catalogue {rules.catalogue.version}")
    if body.condition is not None:
        if body.category is None:
            raise Unusable("condition", "needs the category it is one of")
        known = [condition.code for condition in rules.catalogue.by_code[body.category].conditions]
        if body.condition not in known:
            raise Unusable("condition", f"{body.condition} is not one of {', '.join(known)}")
    if body.area is not None and body.area not in rules.areas:
        raise Unusable("area", f"{body.area} is not an area of the district")
    for n, charge in enumerate(body.units):
        if charge.unit not in rules.units.by_id:
            raise Unusable(f"units.{n}.unit", f"{charge.unit} is not a unit of the district")
    units = tuple(Charge(charge.unit, charge.task, charge.replaces) for charge in body.units)
    return File(body.category, body.condition, body.area, body.priority, units, body.reason, shift_leader)


def _outcome(case_id: str, state: Case) -> dict[str, Any]:
    return {
        "case_id": case_id,
        "status": state.standing.status,
        "ruling": _published(state.ruling),
    }


def _detail(case_id: str, state: Case, merged: int) -> dict[str, Any]:
    """A case as `GET /cases/{case_id}` shows it."""
    event, waiting = state.report, state.waiting
    assert event is not None
    return {
        "case_id": case_id,
        "status": state.standing.status,
        "report": _published(event.data),
        "reported_at": event.time,
        "category": state.category,
        "area": state.area,
        "supplements": [_published(supplement) for supplement in state.supplements],
        "waiting": None
        if waiting is None
        else {
            "kind": waiting.queue,
            "since": waiting.since,
            "due_at": waiting.due_at,
            "overdue": waiting.overdue,
            "unit": waiting.unit,
            "words": waiting.words.split("\n"),
        },
        "ruling": _published(state.ruling),
        "rounds": [_published(filed) for filed in state.rounds],
        "assignments": [
            {
                "id": work.assignment_id,
                "unit": work.unit,
                "task": work.task,
                "lead": work.lead,
                "outcome": work.end,
                "failed": work.failed,
                "replaced": work.replaced,
            }
            for work in state.works.values()
        ],
        "merged_reports": merged,
        "verdict": _published(state.verdict),
    }


def _published(fact: Any) -> dict[str, Any] | None:
    return None if fact is None else fact.model_dump(mode="json", exclude_none=True)
