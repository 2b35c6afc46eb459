"""HTTP of dispatch: what the units do, what the centre controls, and what both see."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi import Response as HttpResponse
from fastapi.responses import StreamingResponse

from chassis.commands import Request
from chassis.http import Cursor, Json, Limit, NotFound, answer, caller_of, command_request, page, position
from chassis.identity import Caller, Forbidden, partner_behind
from chassis.runtime import Runtime
from contracts.envelope import Event
from contracts.fields import AreaPath, AssignmentId, CaseId, ClaimedInstant
from services.dispatch.board import stream
from services.dispatch.bodies import (
    AssignmentPage,
    AssignmentShown,
    BoardShown,
    CaseShown,
    Decision,
    Ending,
    HandingOn,
    Refusal,
    Remark,
    Step,
    Supervising,
    Urging,
)
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    By,
    Command,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
)
from services.dispatch.domain.reckoning import Reckoning
from services.dispatch.domain.state import Case
from services.dispatch.domain.state import Status as OfAssignment
from services.dispatch.queries import Filters, assignment, assignments, board, case
from services.dispatch.views import item, lit

UNITS = frozenset({"handling_unit", "grid_member", "partner"})
CENTRE = frozenset({"dispatcher", "shift_leader"})
READERS = UNITS | CENTRE | {"acceptor", "evaluator", "auditor", "administrator"}

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/assignments"): READERS,
    ("GET", "/assignments/{assignment_id}"): READERS,
    ("GET", "/cases/{case_id}"): READERS,
    ("GET", "/queue"): CENTRE | {"auditor", "administrator"},
    ("GET", "/board"): READERS - {"partner"},
    ("GET", "/board/stream"): READERS - {"partner"},
    ("POST", "/assignments/{assignment_id}/acknowledge"): UNITS,
    ("POST", "/assignments/{assignment_id}/en-route"): UNITS,
    ("POST", "/assignments/{assignment_id}/on-scene"): UNITS,
    ("POST", "/assignments/{assignment_id}/resolve"): UNITS,
    ("POST", "/assignments/{assignment_id}/return"): UNITS,
    ("POST", "/assignments/{assignment_id}/hand-on"): UNITS | CENTRE,
    ("POST", "/assignments/{assignment_id}/note"): UNITS | CENTRE | {"acceptor"},
    ("POST", "/assignments/{assignment_id}/urge"): (READERS - {"partner"}) | {"reporter"},
    ("POST", "/assignments/{assignment_id}/supervise"): CENTRE,
    ("POST", "/assignments/{assignment_id}/request-extension"): UNITS,
    ("POST", "/assignments/{assignment_id}/decide-extension"): CENTRE,
}

Status = Literal["open"] | OfAssignment
Unit = Annotated[
    str | None, Query(max_length=200, examples=["dept:water"], description="What this unit has or is offered.")
]
Area = Annotated[AreaPath | None, Query(examples=["CH/shengdeng"], description="This area and everything in it.")]
Id = Annotated[AssignmentId, Path(examples=["01971b2e-7c00-7000-8000-000000000001.1.2"])]
Who = Annotated[Caller, Depends(caller_of)]
Asked = Annotated[Request, Depends(command_request)]
_STEP, _ENDING, _URGING = Step(), Ending(), Urging()  # a request of these may have no body


def router(runtime: Runtime, reckoning: Reckoning) -> APIRouter:
    """The routes of dispatch."""
    routes = APIRouter()

    def by(caller: Caller, centre: frozenset[str] = CENTRE) -> By:
        partner = partner_behind(caller, runtime.registry, "steps")
        if partner is not None:
            return By(frozenset(partner.units), caller.areas, partner=partner.id)
        return By(frozenset({caller.unit} if caller.unit else ()), caller.areas, bool(caller.roles & centre))

    def confined(caller: Caller, filters: Filters) -> Filters:
        """What of these the caller may see: a person's areas, a partner's units."""
        return replace(filters, within=caller.areas, units=_units_of(caller, runtime))

    def seen(caller: Caller, area: str | None, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What of a case's assignments the caller may see. Raises `Forbidden` where that is nothing."""
        if not caller.covers(area):
            raise Forbidden(f"{area or 'a case without an area'} is not one of your areas")
        units = _units_of(caller, runtime)
        if units is None:
            return [*found]
        own = [one for one in found if units.intersection((one["unit"], *one["offered_to"]))]
        if not own:
            raise Forbidden(f"{caller.source} has no unit that this is given or offered to")
        return own

    async def execute(command: Command, request: Request, at: datetime | None) -> Any:
        case_id = command.assignment_id.partition(".")[0]

        def respond(state: Case, _: Sequence[Event[Any]]) -> tuple[int, Any]:
            shown = item(reckoning, case_id, state.work[command.assignment_id])
            shown = lit(shown, shown["yellow_at"], shown["red_at"], runtime.clock())
            return 200, orjson.Fragment(orjson.dumps(shown, option=orjson.OPT_UTC_Z))

        return answer(await runtime.commands.execute(case_id, command, request, respond, at=at))

    async def listed(filters: Filters, limit: int, cursor: str | None) -> Any:
        after = position(cursor, datetime, str)
        found = await assignments(runtime.database, filters, runtime.clock(), limit=limit + 1, after=after)
        paged = page(found, limit, lambda one: [one.due_at.isoformat(), one.shown["assignment_id"]])
        return Json({**paged, "items": [one.shown for one in paged["items"]]})

    @routes.get("/assignments", tags=["assignments"], response_model=AssignmentPage)
    async def list_assignments(
        caller: Who,
        unit: Unit = None,
        area: Area = None,
        status: Annotated[Status | None, Query(description="`open`: not ended, in a case not closed.")] = None,
        light: Annotated[Literal["green", "yellow", "red", "none"] | None, Query(description="Of open ones.")] = None,
        due_before: Annotated[
            ClaimedInstant | None, Query(description="What is to be done next is due before.")
        ] = None,
        lead: bool | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Assignments by what is due first: acknowledge_by until it is acknowledged, then resolve_by."""
        filters = Filters(unit=unit, area=area, status=status, light=light, due_before=due_before, lead=lead)
        return await listed(confined(caller, filters), limit, cursor)

    @routes.get("/queue", tags=["assignments"], response_model=AssignmentPage)
    async def the_queue(
        caller: Who, unit: Unit = None, area: Area = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Any:
        """What nobody acknowledged and nobody is left to be offered: it waits until the centre hands it on, or somebody
        acknowledges it after all.
        """
        return await listed(confined(caller, Filters(unit=unit, area=area, waiting=True)), limit, cursor)

    @routes.get("/assignments/{assignment_id}", tags=["assignments"], response_model=AssignmentShown)
    async def one_assignment(assignment_id: Id, caller: Who) -> Any:
        """One assignment; its ETag is the version of its case."""
        found = await assignment(runtime.database, assignment_id, runtime.clock())
        if found is None:
            raise NotFound(f"there is no assignment {assignment_id}")
        shown, version = found
        seen(caller, shown["area"], [shown])
        return Json(shown, headers={"ETag": f'"{version}"'})

    @routes.get("/cases/{case_id}", tags=["cases"], response_model=CaseShown)
    async def one_case(case_id: CaseId, caller: Who) -> Any:
        """A case that triage has ruled on, with all its assignments, round after round."""
        found = await case(runtime.database, case_id, runtime.clock())
        if found is None:
            raise NotFound(f"dispatch has no case {case_id}")
        shown, version = found
        shown["assignments"] = seen(caller, shown["area"], shown["assignments"])
        return Json(shown, headers={"ETag": f'"{version}"'})

    @routes.get("/board", tags=["board"], response_model=BoardShown)
    async def the_board(
        caller: Who,
        unit: Unit = None,
        area: Area = None,
        since: Annotated[
            ClaimedInstant | None, Query(description="Ended ones are counted from here; a day back.")
        ] = None,
    ) -> Any:
        """How many are open, by status and light, and how many have ended, by outcome."""
        now = runtime.clock()
        filters = confined(caller, Filters(unit=unit, area=area))
        return Json(await board(runtime.database, filters, now, since or now - stream.ENDED))

    @routes.get(
        "/board/stream",
        tags=["board"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"example": _EXAMPLE}}}},
    )
    async def the_stream(
        caller: Who,
        unit: Unit = None,
        area: Area = None,
        last_event_id: Annotated[str | None, Header(description="Answered with a new snapshot.")] = None,
    ) -> HttpResponse:
        """Server-sent events: `snapshot` (board, open assignments), then `change` (board, changed assignments)."""
        filters = confined(caller, Filters(unit=unit, area=area))
        return StreamingResponse(
            stream.messages(runtime, filters),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @routes.post("/assignments/{assignment_id}/acknowledge", tags=["unit"], response_model=AssignmentShown)
    async def acknowledge(assignment_id: Id, caller: Who, request: Asked, body: Step = _STEP) -> Any:
        """The unit takes the assignment on: the one it was given to, or one it is offered to; the first has it."""
        return await execute(Acknowledge(assignment_id, by(caller)), request, body.at)

    @routes.post("/assignments/{assignment_id}/en-route", tags=["unit"], response_model=AssignmentShown)
    async def en_route(assignment_id: Id, caller: Who, request: Asked, body: Step = _STEP) -> Any:
        """The unit is on its way."""
        return await execute(SetOut(assignment_id, by(caller)), request, body.at)

    @routes.post("/assignments/{assignment_id}/on-scene", tags=["unit"], response_model=AssignmentShown)
    async def on_scene(assignment_id: Id, caller: Who, request: Asked, body: Step = _STEP) -> Any:
        """The unit is on the scene; from now on the assignment cannot be returned."""
        return await execute(Arrive(assignment_id, by(caller)), request, body.at)

    @routes.post("/assignments/{assignment_id}/resolve", tags=["unit"], response_model=AssignmentShown)
    async def resolve(assignment_id: Id, caller: Who, request: Asked, body: Ending = _ENDING) -> Any:
        """The task is done: the assignment ends as fixed."""
        return await execute(Resolve(assignment_id, by(caller), body.note, body.evidence), request, body.at)

    @routes.post("/assignments/{assignment_id}/return", tags=["unit"], response_model=AssignmentShown)
    async def give_back(assignment_id: Id, caller: Who, request: Asked, body: Refusal) -> Any:
        """Not the unit's to do: the assignment ends as returned, and triage plans anew. Only before work begins."""
        return await execute(Return(assignment_id, by(caller), body.reason), request, body.at)

    @routes.post("/assignments/{assignment_id}/hand-on", tags=["unit"], response_model=AssignmentShown)
    async def hand_on(assignment_id: Id, caller: Who, request: Asked, body: HandingOn) -> Any:
        """A superior that has it or is offered it, or the centre, gives it to a unit below; before work begins."""
        return await execute(HandOn(assignment_id, by(caller), body.unit, body.reason), request, body.at)

    @routes.post("/assignments/{assignment_id}/note", tags=["unit"], response_model=AssignmentShown)
    async def note(assignment_id: Id, caller: Who, request: Asked, body: Remark) -> Any:
        """A remark on the assignment."""
        who = by(caller, CENTRE | {"acceptor"})
        return await execute(Note(assignment_id, who, body.note, body.evidence), request, body.at)

    @routes.post("/assignments/{assignment_id}/request-extension", tags=["unit"], response_model=AssignmentShown)
    async def request_extension(assignment_id: Id, caller: Who, request: Asked, body: Refusal) -> Any:
        """The unit asks for one more original limit; before it is overdue, and not more often than the policy says."""
        return await execute(RequestExtension(assignment_id, by(caller), body.reason), request, body.at)

    @routes.post("/assignments/{assignment_id}/decide-extension", tags=["control"], response_model=AssignmentShown)
    async def decide_extension(assignment_id: Id, caller: Who, request: Asked, body: Decision) -> Any:
        """The centre grants the extension or refuses it; a refusal does not count."""
        command = DecideExtension(assignment_id, by(caller), body.granted, body.reason)
        return await execute(command, request, body.at)

    @routes.post("/assignments/{assignment_id}/urge", tags=["control"], response_model=AssignmentShown)
    async def urge(assignment_id: Id, caller: Who, request: Asked, body: Urging = _URGING) -> Any:
        """Asks the unit to hurry; there is a cooldown between two, and a daily cap."""
        return await execute(Urge(assignment_id, by(caller), body.reason), request, body.at)

    @routes.post("/assignments/{assignment_id}/supervise", tags=["control"], response_model=AssignmentShown)
    async def supervise(assignment_id: Id, caller: Who, request: Asked, body: Supervising) -> Any:
        """The centre puts the assignment under supervision, and may demand a reply by a time."""
        command = Supervise(assignment_id, by(caller), body.level, body.reason, body.reply_by)
        return await execute(command, request, body.at)

    return routes


def _units_of(caller: Caller, runtime: Runtime) -> frozenset[str] | None:
    """The units of a partner's system; None of a person. Raises `Forbidden` where it may not say what units do."""
    partner = partner_behind(caller, runtime.registry, "steps")
    return frozenset(partner.units) if partner is not None else None


_EXAMPLE = 'id: 1\nevent: snapshot\ndata: {"board": {"open": 3}, "assignments": [], "more": false}\n\n: heartbeat\n\n'
