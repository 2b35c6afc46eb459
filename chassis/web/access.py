"""`POST /access`: staff ask to read one case that the rule does not show them, with a reason, for an hour."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from chassis.engine.commands import Step
from chassis.engine.decider import Inputs, Refused, Unknown
from chassis.store import accesses
from chassis.store.database import Connection
from chassis.web.bodies import Answer, Body
from chassis.web.requests import CallerDep, CreatingRequestDep, DecidingProcessDep, answer
from chassis.web.roles import Route
from contracts.envelope import Event
from contracts.fields import CaseId, Instant, Line, instant
from contracts.progress import Accessed
from contracts.reading import ACCESS_VALID

ROUTE: Route = ("POST", "/access")
"""Its roles follow from the service's other routes."""
TAGS = {"access": "Reading one case beyond what the caller's roles, areas and unit allow."}

router = APIRouter(tags=["access"])

_CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"


class AccessBody(Body):
    """Which case, and why."""

    case_id: Annotated[CaseId, Field(description="The case to read.", examples=[_CASE])]
    reason: Annotated[
        Line,
        Field(
            description="Why; it becomes part of the case's chain for ever, so it must name nobody.",
            examples=["the mayor's office asks how it stands"],
        ),
    ]


class GrantedAccess(Answer):
    """What may be read until when."""

    case_id: Annotated[str, Field(description="The case.", examples=[_CASE])]
    event_id: Annotated[str, Field(description="The step that says so.", examples=[_CASE])]
    until: Annotated[
        Instant, Field(description="Until when the caller may read it.", examples=["2026-05-09T03:15:00Z"])
    ]


@router.post("/access", status_code=201, response_model=GrantedAccess, responses={404: {}})
async def ask_for_access(
    body: AccessBody, caller: CallerDep, request: CreatingRequestDep, process: DecidingProcessDep
) -> Response:
    """Lets the caller read one case here for an hour, whatever its area, its units and its category.

    That is a step of the case (`accessed`), which stays. The case is then found by its id; it is not in lists, and
    nothing may be done with it. Audit shows it as well. The other services are asked by themselves. Who may read the
    case by an access already is not given another one (`access.once`).
    """
    now = process.clock()
    until = now + ACCESS_VALID

    def step(state: Any, _: Inputs) -> Accessed:
        if not process.has(state):
            raise Unknown(f"there is no case {body.case_id}")
        return Accessed(until=until, reason=body.reason)

    def to_response(_: Any, events: Sequence[Event[Any]]) -> tuple[int, Any]:
        return 201, {"case_id": body.case_id, "event_id": events[0].id, "until": instant(until)}

    async def grant(connection: Connection) -> None:
        if not await accesses.grant(connection, caller.subject, body.case_id, now, until):
            raise Refused("access.once", "the caller may read the case by an earlier access still")

    return answer(await process.commands.execute(body.case_id, Step(step), request, to_response, grant))
