"""What operators need of every service: health and readiness; of those that decide also the parked records."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.engine import settling
from chassis.engine.commands import CommandRequest
from chassis.engine.many import MOST, Selection, settle_many
from chassis.engine.settling import Decision
from chassis.store.conditions import Conditions
from chassis.store.reads import Read
from chassis.web.bodies import Answer, Body
from chassis.web.errors import Json, NotFound, problem
from chassis.web.identity import Caller
from chassis.web.paging import Cursor, Limit, page, position
from chassis.web.reads import ReadsDep
from chassis.web.requests import (
    CallerDep,
    CreatingRequestDep,
    DatabaseDep,
    DecidingProcess,
    DecidingProcessDep,
    ProcessDep,
)
from chassis.web.roles import ANYONE, SIGNED_IN, Access, Bound, Route
from contracts.fields import IntegerBetween, Line, coordinates
from contracts.roles import Role

OPERATORS = frozenset({Role.ADMINISTRATOR, Role.SHIFT_LEADER})
READERS = OPERATORS | {Role.AUDITOR}
TOLD = READERS | {Role.DISPATCHER}
"""Who is told how the parts of a process are."""

ROLES: dict[Route, Access] = {
    ("GET", "/health"): Access(ANYONE, Bound.NOTHING),
    ("GET", "/ready"): Access(ANYONE, Bound.NOTHING),
    ("GET", "/me"): Access(SIGNED_IN, Bound.OWN),
}
PARKED_ROLES: dict[Route, Access] = {
    ("GET", "/parked"): Access(READERS, Bound.WHOLE),
    ("GET", "/parked/{parked_id}"): Access(READERS, Bound.WHOLE),
    ("POST", "/retries"): Access(OPERATORS, Bound.WHOLE),
    ("POST", "/discards"): Access(OPERATORS, Bound.WHOLE),
    ("POST", "/parked/{parked_id}/retry"): Access(OPERATORS, Bound.WHOLE),
    ("POST", "/parked/{parked_id}/discard"): Access(OPERATORS, Bound.WHOLE),
}

TAGS = {"operations": "Whether the process is alive and ready."}
PARKED_TAGS = {"parked records": "What could not take effect, with its exact bytes, until an operator settles it."}

router = APIRouter(tags=["operations"])
parked_router = APIRouter(tags=["parked records"])

_LIST = """
SELECT parked_id, status, kind, reason, stream_id AS case_id, topic, partition, "offset", parked_at,
       settled_at, settled_by
  FROM parked
 WHERE {where}
 ORDER BY parked_id LIMIT $1
"""


Kind = Literal["invalid", "forged", "unfit", "unanswered", "failed", "behind"]
_CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
ParkedPath = Annotated[
    int, Path(ge=1, lt=2**63, description="The record, as the list of parked records names it.", examples=[17])
]


class Me(Answer):
    """The caller as this service knows them."""

    subject: Annotated[str, Field(description="The name that events give the caller.", examples=["li"])]
    roles: Annotated[list[str], Field(description="What the caller may do.", examples=[["dispatcher"]])]
    unit: Annotated[str | None, Field(description="The unit that the caller works for.", examples=["dept:water"])]
    areas: Annotated[
        list[str],
        Field(
            description="The areas of the token. Empty: for district-wide roles the district, for all others none.",
            examples=[["CH/shengdeng"]],
        ),
    ]
    source: Annotated[
        str | None, Field(description="The event source of a partner's system; null for a person.", examples=[None])
    ]


class Reason(Body):
    """Why the operator does it; becomes part of the case's chain."""

    reason: Annotated[Line, Field(description="Why it is done.", examples=["the sender repaired its format"])]


class Many(Reason):
    """Which of the records that wait, and why they are retried or given up."""

    kind: Annotated[
        Kind,
        Field(
            description="Those of this kind: `invalid` and `forged` break the contract or the rule of who writes a"
            " topic, `unfit` contradicts what is known, `unanswered` is a request beyond a limit of answers, `failed`"
            " met a defect, `behind` waits for one that failed.",
            examples=["invalid"],
        ),
    ]
    topic: Annotated[str | None, Field(max_length=249, description="Those of this topic.", examples=["from.water"])] = (
        None
    )
    case_id: Annotated[str | None, Field(max_length=200, description="Those of this case.", examples=[_CASE])] = None
    reason_begins: Annotated[
        str | None,
        Field(max_length=2000, description="Those whose reason begins so.", examples=["data.title: "]),
    ] = None
    up_to: Annotated[
        Annotated[int, IntegerBetween(1, 2**63 - 1)] | None,
        Field(description="Those up to this number: what came later waits.", examples=[170]),
    ] = None
    limit: Annotated[
        int,
        IntegerBetween(1, MOST),
        Field(description=f"The first so many, {MOST} at most.", examples=[500]),
    ] = MOST


class Refusal(Answer):
    """A record that still waits."""

    parked_id: Annotated[int, Field(description="The record.", examples=[17])]
    rule: Annotated[str, Field(description="The rule that forbids it.", examples=["parked.unfit"])]
    reason: Annotated[str, Field(description="Why.", examples=["subject: there is no report of the case"])]


class Settled(Answer):
    """What became of the records that a request has chosen."""

    chosen: Annotated[int, Field(description="So many were tried.", examples=[500], ge=0)]
    settled: Annotated[int, Field(description="So many of them are settled.", examples=[499], ge=0)]
    refused: Annotated[int, Field(description="So many of them still wait.", examples=[1], ge=0)]
    refusals: Annotated[list[Refusal], Field(description="The first of those, with the rule.")]
    left: Annotated[
        int, Field(description="So many fit and wait now, those that were refused included.", examples=[1], ge=0)
    ]


@router.get("/health")
async def get_health(process: ProcessDep, caller: CallerDep) -> dict[str, Any]:
    """Alive; always 200 while the process answers.

    A dispatcher, shift leader, auditor or administrator is told how each part is.
    """
    return process.health() if caller.roles & TOLD else {"alive": True}


@router.get("/ready", responses={503: {"description": "It is not ready; those who may know are told which part."}})
async def get_ready(process: ProcessDep, caller: CallerDep) -> Any:
    """200 when the database answers, and in a worker the broker does, partitions are assigned and none is stuck.

    A dispatcher, shift leader, auditor or administrator is told which part is not ready, and why, and by `warnings`
    which one will not be for long. The log says it, too. That tokens cannot be verified everybody is told, for then
    nobody can show who they are.
    """
    faults = await process.faults()
    if not faults:
        warnings = process.warnings() if caller.roles & TOLD else {}
        return {"ready": True} | ({"warnings": warnings} if warnings else {})
    parts = {part: fault for part, fault in faults.items() if part == "keys" or caller.roles & TOLD}
    words = "; ".join(f"{part}: {fault}" for part, fault in parts.items()) or "the service is not ready"
    return problem(503, "Not ready", words, headers={"Retry-After": "1"}, **({"parts": parts} if parts else {}))


@router.get("/me", response_model=Me)
async def get_me(caller: CallerDep) -> Any:
    """Who the caller is, by the token or client key that came with the request."""
    return Json(
        {
            "subject": caller.subject,
            "roles": sorted(caller.roles),
            "unit": caller.unit,
            "areas": caller.areas,
            "source": caller.source,
        }
    )


@parked_router.get("/parked")
async def list_parked(
    database: DatabaseDep,
    status: Annotated[
        Literal["waiting", "retried", "discarded"] | None,
        Query(
            description="`waiting`: not settled yet; `retried`: it took effect; `discarded`: it was given up.",
            examples=["waiting"],
        ),
    ] = "waiting",
    case_id: Annotated[str | None, Query(description="Those of this case.", examples=[_CASE])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:
    """Records that could not take effect, in the order they came.

    They may be of any case, so whoever may not see every case may not ask.
    """
    wanted = Conditions(limit + 1)
    wanted.equals("status", status)
    wanted.equals("stream_id", case_id)
    if (after := position(cursor, int)) is not None:
        wanted.add("parked_id > {0}", *after)
    rows = await database.fetch(_LIST.format(where=wanted.where), *wanted.arguments)
    return Json(page([dict(row) for row in rows], limit, lambda item: [item["parked_id"]]))


@parked_router.post("/retries", response_model=Settled)
async def retry_many(wanted: Many, request: CreatingRequestDep, process: DecidingProcessDep) -> Any:
    """Lets many records take effect, each as if it were named alone; those that still cannot stay as they were.

    Each has its own step. The same key with the same body goes on where it was interrupted, and gets the stored answer.
    """
    return await _settle_many(process, wanted, request, discard=False)


@parked_router.post("/discards", response_model=Settled)
async def discard_many(wanted: Many, request: CreatingRequestDep, process: DecidingProcessDep) -> Any:
    """Gives many records up, each as if it were named alone.

    Each has its own step. The same key with the same body goes on where it was interrupted, and gets the stored answer.
    """
    return await _settle_many(process, wanted, request, discard=True)


@parked_router.get("/parked/{parked_id}")
async def get_parked(parked_id: ParkedPath, database: DatabaseDep, reads: ReadsDep) -> Any:
    """One parked record with its headers and its raw bytes (base64; as text too where they are UTF-8).

    Who reads it is recorded first (`GET /reads`).
    """
    row = await database.fetchrow("SELECT * FROM parked WHERE parked_id = $1", parked_id)
    if row is None:
        raise NotFound(f"there is no parked record {parked_id}")
    found = dict(row)
    body, key = found.pop("body"), found.pop("key")
    found["case_id"] = found.pop("stream_id")
    found["key"] = key.decode("utf-8", "replace") if key is not None else None
    found["body_base64"] = base64.b64encode(body).decode() if body is not None else None
    found["body_text"] = body.decode("utf-8", "replace") if body is not None else None
    where = coordinates(found["topic"], found["partition"], found["offset"])
    await reads.record(Read(found["case_id"], first=parked_id, last=parked_id, coordinates=where))
    return Json(found)


@parked_router.post("/parked/{parked_id}/retry", responses={409: {}})
async def retry_parked(parked_id: ParkedPath, why: Reason, caller: CallerDep, process: DecidingProcessDep) -> Any:
    """Lets the record take effect now, and what waited behind it; 409 with the reason if it still cannot."""
    return await _settle(process, parked_id, why, caller, discard=False)


@parked_router.post("/parked/{parked_id}/discard", responses={409: {}})
async def discard_parked(parked_id: ParkedPath, why: Reason, caller: CallerDep, process: DecidingProcessDep) -> Any:
    """Gives the record up, with its bytes kept; what waited behind it takes effect."""
    return await _settle(process, parked_id, why, caller, discard=True)


async def _settle(
    process: DecidingProcess, parked_id: ParkedPath, why: Reason, caller: Caller, *, discard: bool
) -> Any:
    item = await settling.settle(process.inbox, Decision(parked_id, discard, caller.subject, why.reason))
    return {
        "parked_id": parked_id,
        "status": "discarded" if discard else "retried",
        "case_id": item.record.stream_id,
        "record": item.record.coordinates,
    }


async def _settle_many(process: DecidingProcess, wanted: Many, request: CommandRequest, *, discard: bool) -> Response:
    selection = Selection(**wanted.model_dump(exclude={"reason"}))
    found, repeated = await settle_many(process.inbox, selection, request, wanted.reason, discard=discard)
    return Json(found, headers={"Idempotency-Replayed": "true"} if repeated else None)
