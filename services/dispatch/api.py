"""Dispatch over HTTP: what units do, what the centre controls, and what both see.

GET  /assignments                       assignments by filters
GET  /queue                             assignments that no unit has acknowledged and that can be offered to no other
GET  /assignments/{assignment_id}       one assignment
GET  /cases/{case_id}                   a case with all its assignments
GET  .../actions                        what the caller may do with the assignment, or with each of the case
GET  /board, /board/stream              numbers of assignments, now and as they change
POST /assignments/{assignment_id}/...   steps of the unit, and control by the centre
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from chassis.engine.commands import CommandRequest
from chassis.web.actions import ActionItem, ActionList, Actions, actions_answer
from chassis.web.errors import Forbidden, Json
from chassis.web.requests import etag
from chassis.web.roles import Access, Bound, Route, lacking_role
from chassis.web.streams import EventStream
from contracts.fields import AssignmentId, CaseId, case_of
from contracts.roles import Role
from services.dispatch import bodies, queries
from services.dispatch.board import ENDED, LiveBoard, Shown
from services.dispatch.bodies import AssignmentDetail, UnitFilters
from services.dispatch.callers import (
    CENTRE,
    PEOPLE,
    READERS,
    UNITS,
    URGERS,
    WATCHERS,
    ActionDep,
    ByDep,
    Powers,
    Reading,
    ReadingDep,
    matter_of,
)
from services.dispatch.domain import commands
from services.dispatch.domain.permissions import By

ROLES: dict[Route, Access] = {
    ("GET", "/assignments"): Access(READERS, Bound.LIST),
    ("GET", "/assignments/{assignment_id}"): Access(READERS, Bound.ASSIGNMENT),
    ("GET", "/assignments/{assignment_id}/actions"): Access(READERS, Bound.ASSIGNMENT),
    ("GET", "/cases/{case_id}"): Access(READERS, Bound.CASE),
    ("GET", "/cases/{case_id}/actions"): Access(READERS, Bound.CASE),
    ("GET", "/queue"): Access(CENTRE | WATCHERS, Bound.LIST),
    ("GET", "/board"): Access(PEOPLE, Bound.LIST),
    ("GET", "/board/stream"): Access(PEOPLE, Bound.LIST),
    ("POST", "/assignments/{assignment_id}/acknowledge"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/en-route"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/on-scene"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/resolve"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/return"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/hand-on"): Access(UNITS | CENTRE, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/note"): Access(UNITS | CENTRE | {Role.ACCEPTOR}, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/urge"): Access(URGERS | {Role.REPORTER}, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/supervise"): Access(CENTRE, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/request-extension"): Access(UNITS, Bound.ASSIGNMENT),
    ("POST", "/assignments/{assignment_id}/decide-extension"): Access(CENTRE, Bound.ASSIGNMENT),
}
TAGS = {
    "assignments": "Assignments, by what is due first, and what may be done with them.",
    "cases": "Cases with their assignments.",
    "board": "Numbers of assignments, now and as they change.",
    "unit": "What the people of a unit do with an assignment.",
    "control": "How the centre, and whoever watches, controls an assignment.",
}
OPERATIONS: Mapping[type[commands.Command], str] = {
    commands.Acknowledge: "acknowledge_assignment",
    commands.SetOut: "set_out",
    commands.Arrive: "arrive",
    commands.Resolve: "resolve_assignment",
    commands.Return: "return_assignment",
    commands.HandOn: "hand_on_assignment",
    commands.Note: "add_note",
    commands.Urge: "urge_assignment",
    commands.Supervise: "supervise_assignment",
    commands.RequestExtension: "request_extension",
    commands.DecideExtension: "decide_extension",
}
"""Command -> its route."""

# For requests without a body.
_STEP, _RESOLUTION, _URGE = bodies.StepBody(), bodies.ResolutionBody(), bodies.UrgeBody()
_STREAM = 'id: 1\nevent: snapshot\ndata: {"board": {"open": 3}, "assignments": [], "more": false}\n\n: heartbeat\n\n'

AssignmentPath = Annotated[
    AssignmentId,
    Path(description="The assignment: case, round, and number in the round.", examples=[bodies.ASSIGNMENT]),
]
CasePath = Annotated[CaseId, Path(description="The case, as filing its report gave it.", examples=[bodies.CASE])]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Of a client that comes back; it gets a new snapshot.", examples=["17"]),
]

router = APIRouter()


@router.get("/assignments", tags=["assignments"], response_model=bodies.AssignmentPage)
async def list_assignments(filters: Annotated[bodies.AssignmentFilters, Query()], reading: ReadingDep) -> Response:
    """Lists assignments, the earliest deadline first.

    The deadline is `acknowledge_by` until the assignment is acknowledged, then `resolve_by`. Callers see what they may
    read (docs/security/reading.md): the areas of their token, and what their units have, had or are offered.
    """
    reading.refuse_unknown(filters)
    return Json(await queries.assignments(reading.database, filters, reading.scope, reading.now))


@router.get("/queue", tags=["assignments"], response_model=bodies.AssignmentPage)
async def list_queue(filters: Annotated[bodies.QueueFilters, Query()], reading: ReadingDep) -> Response:
    """Lists the assignments that nobody has acknowledged, with no unit left to offer them to.

    They wait until the centre hands them on, or a unit acknowledges them after all.
    """
    reading.refuse_unknown(filters)
    return Json(await queries.queue(reading.database, filters, reading.scope, reading.now))


@router.get("/assignments/{assignment_id}", tags=["assignments"], response_model=AssignmentDetail)
async def get_assignment(assignment_id: AssignmentPath, reading: ReadingDep) -> Response:
    """Shows an assignment. Its ETag is the version of its case."""
    shown, version = await reading.assignment(assignment_id)
    return Json(shown, headers={"ETag": etag(version)})


@router.get("/assignments/{assignment_id}/actions", tags=["assignments"], response_model=ActionList)
async def list_assignment_actions(assignment_id: AssignmentPath, reading: ReadingDep, by: ByDep) -> Response:
    """Lists what may be done with an assignment, and for each action whether the caller may take it now, or the rule.

    Whoever may read the assignment may ask. The commands themselves are decided by the same rules. Rules about what is
    entered are not asked.
    """
    await reading.assignment(assignment_id)
    return await _actions(case_of(assignment_id), [assignment_id], reading, by)


@router.get("/cases/{case_id}", tags=["cases"], response_model=bodies.CaseDetail)
async def get_case(case_id: CasePath, reading: ReadingDep) -> Response:
    """Shows a case that triage has ruled on, with its assignments, round after round.

    Who sees the case only because their unit works on it sees only the assignments that the unit has, had or is
    offered; so does a partner.
    """
    shown, version = await reading.case(case_id)
    return Json(shown, headers={"ETag": etag(version)})


@router.get("/cases/{case_id}/actions", tags=["cases"], response_model=ActionList)
async def list_actions(case_id: CasePath, reading: ReadingDep, by: ByDep) -> Response:
    """Lists what may be done with each assignment of a case, in the same way as for one assignment.

    Nothing may be done with assignments that have ended (`assignment.ended`).
    """
    shown, _ = await reading.case(case_id)
    return await _actions(case_id, [one["assignment_id"] for one in shown["assignments"]], reading, by)


@router.get("/board", tags=["board"], response_model=bodies.Board)
async def get_board(filters: Annotated[bodies.BoardFilters, Query()], reading: ReadingDep) -> Response:
    """Counts the open assignments, by status and light, and those that have ended, by outcome.

    A list with the same filters shows the assignments behind each number: only those count that the caller may see.
    """
    reading.refuse_unknown(filters)
    now = reading.now
    return Json(await queries.board(reading.database, filters, reading.scope, now, filters.since or now - ENDED))


@router.get(
    "/board/stream",
    tags=["board"],
    status_code=200,
    response_class=EventStream,
    responses={200: {"content": {"text/event-stream": {"example": _STREAM}}}},
)
async def stream_board(
    filters: Annotated[UnitFilters, Query()],
    reading: ReadingDep,
    last_event_id: LastEventId = None,
) -> Response:
    """Streams the board as server-sent events, as it changes.

    The first event is a `snapshot`: the board and the open assignments. Each `change` after it has the board and the
    changed assignments, if the caller sees or saw one of them, or other numbers than before: what they may not see says
    nothing. A comment comes when nothing has changed for 15 seconds. A caller may have 20 streams open at
    one process (`stream.limit`).
    """
    reading.refuse_unknown(filters)
    shown = Shown(filters, reading.scope)
    return reading.process.streams.answer(reading.reader.caller.subject, LiveBoard, shown)


@router.post("/assignments/{assignment_id}/acknowledge", tags=["unit"], response_model=AssignmentDetail)
async def acknowledge_assignment(
    assignment_id: AssignmentPath, action: ActionDep, body: bodies.StepBody = _STEP
) -> Response:
    """Takes an assignment on for the caller's unit.

    The unit must have it or be offered it (`assignment.unit`). The first unit to acknowledge has it; for the others it
    is taken (`assignment.taken`). As for every action, it must not have ended (`assignment.ended`), and a step that was
    taken before has no further effect. If 59 people have acted on it, nobody else may (`assignment.handlers`).
    """
    return await action.execute(commands.Acknowledge(assignment_id, action.by), body.at)


@router.post("/assignments/{assignment_id}/en-route", tags=["unit"], response_model=AssignmentDetail)
async def set_out(assignment_id: AssignmentPath, action: ActionDep, body: bodies.StepBody = _STEP) -> Response:
    """Says that the unit is on its way.

    The unit must have acknowledged the assignment, and not be on the scene yet (`step.order`).
    """
    return await action.execute(commands.SetOut(assignment_id, action.by), body.at)


@router.post("/assignments/{assignment_id}/on-scene", tags=["unit"], response_model=AssignmentDetail)
async def arrive(assignment_id: AssignmentPath, action: ActionDep, body: bodies.StepBody = _STEP) -> Response:
    """Says that the unit is on the scene, where work begins.

    The unit must have acknowledged the assignment (`step.order`). From now on it can be neither returned nor handed on.
    """
    return await action.execute(commands.Arrive(assignment_id, action.by), body.at)


@router.post("/assignments/{assignment_id}/resolve", tags=["unit"], response_model=AssignmentDetail)
async def resolve_assignment(
    assignment_id: AssignmentPath, action: ActionDep, body: bodies.ResolutionBody = _RESOLUTION
) -> Response:
    """Says that the task is done. The assignment ends as fixed.

    The unit must have acknowledged the assignment (`step.order`). When all work of the round is done, it is checked.
    """
    return await action.execute(commands.Resolve(assignment_id, action.by, body.note, body.evidence), body.at)


@router.post("/assignments/{assignment_id}/return", tags=["unit"], response_model=AssignmentDetail)
async def return_assignment(assignment_id: AssignmentPath, action: ActionDep, body: bodies.ReturnBody) -> Response:
    """Returns an assignment that is not the unit's to do. It ends as returned, and triage plans again.

    The unit must have it, not only be offered it (`step.order`), and not be on the scene (`return.begun`).
    """
    return await action.execute(commands.Return(assignment_id, action.by, body.reason), body.at)


@router.post("/assignments/{assignment_id}/hand-on", tags=["unit"], response_model=AssignmentDetail)
async def hand_on_assignment(assignment_id: AssignmentPath, action: ActionDep, body: bodies.HandOnBody) -> Response:
    """Hands an assignment on to another unit, which is to acknowledge it.

    A superior that has it or is offered it hands it on to a unit below; the centre hands it on to any unit
    (`hand_on.unit`). Nobody may be on the scene (`hand_on.begun`).
    """
    return await action.execute(commands.HandOn(assignment_id, action.by, body.unit, body.reason), body.at)


@router.post("/assignments/{assignment_id}/note", tags=["unit"], response_model=AssignmentDetail)
async def add_note(assignment_id: AssignmentPath, action: ActionDep, body: bodies.NoteBody) -> Response:
    """Adds a remark to an assignment.

    It is the unit's if the caller's unit has the assignment or is offered it, else the centre's. If 50 people of units
    have acted on it, no other may remark (`assignment.handlers`).
    """
    return await action.execute(commands.Note(assignment_id, action.by, body.note, body.evidence), body.at)


@router.post("/assignments/{assignment_id}/request-extension", tags=["unit"], response_model=AssignmentDetail)
async def request_extension(
    assignment_id: AssignmentPath, action: ActionDep, body: bodies.ExtensionRequestBody
) -> Response:
    """Asks for one more original limit of time to resolve an assignment.

    The unit must have acknowledged it (`step.order`). It must not be overdue (`extension.overdue`), have no other
    request pending (`extension.pending`), and have been extended less often than the policy allows (`extension.limit`).
    """
    return await action.execute(commands.RequestExtension(assignment_id, action.by, body.reason), body.at)


@router.post("/assignments/{assignment_id}/decide-extension", tags=["control"], response_model=AssignmentDetail)
async def decide_extension(
    assignment_id: AssignmentPath, action: ActionDep, body: bodies.ExtensionDecisionBody
) -> Response:
    """Grants or refuses an extension. A refusal does not count as one.

    One must have been requested (`extension.none`), and the caller must not have acted on the assignment
    (`extension.self`).
    """
    return await action.execute(commands.DecideExtension(assignment_id, action.by, body.granted, body.reason), body.at)


@router.post(
    "/assignments/{assignment_id}/urge",
    tags=["control"],
    response_model=AssignmentDetail,
    responses={202: {"model": bodies.UrgeReceipt, "description": "A private person's; nothing else is told them."}},
)
async def urge_assignment(assignment_id: AssignmentPath, action: ActionDep, body: bodies.UrgeBody = _URGE) -> Response:
    """Asks the unit to hurry.

    There is a cooldown (`urge.cooldown`), and a limit for a local day (`urge.daily_cap`), both in the policy. Both
    apply to private persons apart, so they leave the centre's alone.

    A private person gets 202 whatever the assignment is, and also if there is none or nothing follows, so the answer
    tells nothing of it. The fact names them `reporter`.
    """
    caller = action.reader.caller
    if caller.private:
        action.reader.asked()
        await action.urge_for_reporter(body.reason, assignment_id)
        return Json({"urged": True}, 202)
    # Staff who are reporters, too, act under their own name, by a role that watches, or not at all.
    if (lacking := lacking_role(URGERS, caller)) is not None:
        raise Forbidden(lacking)
    return await action.execute(commands.Urge(assignment_id, action.by, body.reason), body.at)


@router.post("/assignments/{assignment_id}/supervise", tags=["control"], response_model=AssignmentDetail)
async def supervise_assignment(
    assignment_id: AssignmentPath, action: ActionDep, body: bodies.SupervisionBody
) -> Response:
    """Supervises an assignment, and may demand a reply by a time.

    The level can only rise (`supervise.level`), and the time must be later than now (`supervise.reply_by`).
    """
    command = commands.Supervise(assignment_id, action.by, body.level, body.reason, body.reply_by)
    return await action.execute(command, body.at)


async def _actions(case_id: str, assignment_ids: Iterable[str], reading: Reading, by: By) -> Response:
    """What the caller may do with these assignments of the case."""
    request = CommandRequest(reading.reader.caller.subject)
    engine = reading.process.commands
    stream, inputs = await engine.consider(case_id, request)
    speechless = await engine.speechless(stream, request.actor)
    offered, powers = Actions(router, ROLES, reading.reader), Powers(reading.reader)
    items: list[ActionItem] = []
    for name in assignment_ids:
        known, rules = stream.state.assignments[name], reading.district.rules
        matter = matter_of(name, stream.state)
        able = by if matter is None else powers.on(by, matter)
        refusals = dict(commands.actions(able, known, inputs, rules))
        refusals[commands.Note] = refusals[commands.Note] or speechless
        items += [offered.item(OPERATIONS[one], why, matter, assignment_id=name) for one, why in refusals.items()]
    return actions_answer(case_id, stream.version, items)
