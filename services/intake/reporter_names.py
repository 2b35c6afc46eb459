"""The names and telephone numbers of reporters over HTTP: their own, one that staff need, and their erasure."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from chassis.engine.commands import Unusable
from chassis.store.database import Connection
from chassis.store.reads import Read
from chassis.web.errors import Json, NotFound
from chassis.web.reading import ReaderDep
from chassis.web.reads import ReadsDep
from chassis.web.requests import CallerDep, CommandRequestDep, CommandsDep, DatabaseDep, answer
from chassis.web.roles import Access, Bound, Route
from contracts.envelope import Event
from contracts.fields import Line
from contracts.roles import Role
from services.intake import bodies, queries, reporters
from services.intake.api import matter, no_report
from services.intake.callers import OwnNameDep
from services.intake.domain.case import Case
from services.intake.domain.commands import Disclose

log = logging.getLogger(__name__)

NAME_READERS = frozenset({Role.ACCEPTOR, Role.SHIFT_LEADER, Role.EVALUATOR, Role.ADMINISTRATOR})
ERASERS = frozenset({Role.ADMINISTRATOR})

ROLES: dict[Route, Access] = {
    ("GET", "/reporters/{reporter_ref}"): Access(frozenset({Role.REPORTER}), Bound.OWN),
    ("POST", "/reporters/{reporter_ref}/disclosure"): Access(NAME_READERS, Bound.CASE),
    ("DELETE", "/reporters/{reporter_ref}"): Access(ERASERS | {Role.REPORTER}, Bound.OWN),
}
TAGS = {"reporters": "The names and telephone numbers behind references, which only intake has."}

ReferencePath = Annotated[
    str, Path(max_length=200, description="The `reporter_ref` of a report.", examples=[bodies.REPORTER])
]
ReasonQuery = Annotated[
    Line | None,
    Query(
        description="Why an administrator erases somebody; it is kept, so it must name nobody.",
        examples=["asked for in writing, letter 2026-117"],
    ),
]

router = APIRouter()


@router.get("/reporters/{reporter_ref}", tags=["reporters"], response_model=bodies.Reporter)
async def get_reporter(
    reporter_ref: ReferencePath, caller: CallerDep, own: OwnNameDep, database: DatabaseDep
) -> Response:
    """Shows reporters their own name and number. Of any other reference, and after they were erased: 404.

    Staff ask with a case and a purpose: `POST /reporters/{reporter_ref}/disclosure`.
    """
    row = await queries.find_reporter(database, reporter_ref) if reporter_ref == own else None
    if row is None:
        raise NotFound(_nobody(reporter_ref))
    return Json(dict(row))


@router.post("/reporters/{reporter_ref}/disclosure", tags=["reporters"], response_model=bodies.DisclosedReporter)
async def disclose_reporter(
    reporter_ref: ReferencePath,
    body: bodies.DisclosureBody,
    reader: ReaderDep,
    request: CommandRequestDep,
    commands: CommandsDep,
    database: DatabaseDep,
    reads: ReadsDep,
) -> Response:
    """Shows who a reference stands for, to call them back, and records that: who read it, for which case, what for.

    The case must bear the reference, in its report or a supplement (`disclosure.case`), and be one that the caller may
    read. The step `disclosed` becomes part of the case's chain before the answer leaves, and its purpose stays there
    for ever, so it must name nobody. After the person was erased: 404, and no step.

    A request that is repeated with its `Idempotency-Key` adds no second step; who it is is read anew, and recorded
    (`GET /reads`).
    """
    request = replace(request, permits=reader.permits(matter, no_report(body.case_id)))
    found: list[queries.Row] = []

    async def read(connection: Connection) -> None:
        found.append(await _find_reporter(connection, reporter_ref))

    async def read_again(connection: Connection) -> None:
        await read(connection)
        await reads.record(Read(body.case_id, reporter_ref), connection)

    command = Disclose(reporter_ref, body.purpose)
    given = await commands.execute(body.case_id, command, request, _disclosed, read)
    if given.repeated:
        await database.transact(read_again)
    # The stored answer, which outlives an erasure, holds neither name nor number.
    return answer(replace(given, body=orjson.dumps(dict(found[-1]) | orjson.loads(given.body))))


@router.delete("/reporters/{reporter_ref}", tags=["reporters"], status_code=204)
async def erase_reporter(
    reporter_ref: ReferencePath,
    caller: CallerDep,
    own: OwnNameDep,
    database: DatabaseDep,
    reads: ReadsDep,
    reason: ReasonQuery = None,
) -> Response:
    """Erases a person. Their reports and every proof stay, under a reference that stands for nobody.

    Reporters may erase themselves, and give no reason. Who reports again gets a new reference. Where an administrator
    erases them, who that was, when and why is recorded (`GET /reads`).
    """
    if reporter_ref != own:
        if not caller.roles & ERASERS:
            raise NotFound(_nobody(reporter_ref))
        if reason is None:
            raise Unusable("reason", "is missing: say why, in a line that names nobody")

    async def erase(connection: Connection) -> None:
        if not await reporters.erase(connection, reporter_ref):
            raise NotFound(_nobody(reporter_ref))
        if reporter_ref != own:
            await reads.record(Read(reporter_ref=reporter_ref, reason=reason), connection)

    await database.transact(erase)
    log.info("%s was erased by %s", reporter_ref, "themselves" if reporter_ref == own else caller.subject)
    return Response(status_code=204)


async def _find_reporter(connection: Connection, reporter_ref: str) -> queries.Row:
    """Who it is. Raises `NotFound` after they were erased."""
    row = await queries.find_reporter(connection, reporter_ref)
    if row is None:
        raise NotFound(_nobody(reporter_ref))
    return row


def _nobody(reporter_ref: str) -> str:
    return f"nobody is known under {reporter_ref}"


def _disclosed(_: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    """The answer to a disclosure, without what was disclosed."""
    event = events[0]
    return 200, {"case_id": event.subject, "event_id": event.id}
