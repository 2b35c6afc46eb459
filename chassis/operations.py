"""What operators need of every service: health, readiness, and the parked records."""

import base64
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from chassis import settling
from chassis.http import Cursor, Json, Limit, NotFound, Unready, caller_of, page, position, problem
from chassis.identity import ANYONE, Caller
from chassis.settling import Decision
from chassis.telemetry import current
from contracts.fields import LINE

if TYPE_CHECKING:
    from chassis.runtime import Runtime

OPERATORS = frozenset({"administrator", "shift_leader"})
READERS = OPERATORS | {"auditor", "dispatcher"}

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/health"): ANYONE,
    ("GET", "/ready"): ANYONE,
    ("GET", "/parked"): READERS,
    ("GET", "/parked/{parked_id}"): READERS,
    ("POST", "/parked/{parked_id}/retry"): OPERATORS,
    ("POST", "/parked/{parked_id}/discard"): OPERATORS,
}

_LIST = """
SELECT parked_id, status, kind, reason, stream_id AS case_id, topic, partition, "offset", parked_at,
       settled_at, settled_by
  FROM parked
 WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR stream_id = $2) AND parked_id > $3
 ORDER BY parked_id LIMIT $4
"""


class Reason(BaseModel):
    """Why the operator does it; becomes part of the case's chain."""

    reason: Annotated[str, Field(min_length=1, max_length=LINE, examples=["the sender repaired its format"])]


def router(runtime: "Runtime") -> APIRouter:
    """The operations routes of a service."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/health")
    async def health() -> dict[str, Any]:
        """Alive, and how each part is; always 200 while the process answers."""
        return runtime.health()

    @routes.get("/ready", responses={503: {"description": "Some part is not ready; which one, and why."}})
    async def ready() -> Any:
        """200 when the database and the broker answer, partitions are assigned and none is stuck."""
        faults = await runtime.faults()
        if faults:
            words = "; ".join(f"{part}: {fault}" for part, fault in faults.items())
            return problem(503, "Not ready", words, headers={"Retry-After": "1"}, parts=faults)
        return {"ready": True, "service": runtime.service.name}

    @routes.get("/parked")
    async def parked(
        status: Annotated[Literal["waiting", "retried", "discarded"] | None, Query()] = "waiting",
        case_id: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Records that could not take effect, in the order they came."""
        after = position(cursor, int)
        rows = await runtime.database.fetch(_LIST, status, case_id, after[0] if after else 0, limit + 1)
        items = [dict(row) for row in rows]
        return Json(page(items, limit, lambda item: [item["parked_id"]]))

    @routes.get("/parked/{parked_id}")
    async def one(parked_id: int) -> Any:
        """One parked record with its headers and its raw bytes (base64; as text too where they are UTF-8)."""
        row = await runtime.database.fetchrow("SELECT * FROM parked WHERE parked_id = $1", parked_id)
        if row is None:
            raise NotFound(f"there is no parked record {parked_id}")
        found = dict(row)
        body, key = found.pop("body"), found.pop("key")
        found["case_id"] = found.pop("stream_id")
        found["key"] = key.decode("utf-8", "replace") if key is not None else None
        found["body_base64"] = base64.b64encode(body).decode() if body is not None else None
        found["body_text"] = body.decode("utf-8", "replace") if body is not None else None
        return Json(found)

    @routes.post("/parked/{parked_id}/retry")
    async def retry(parked_id: int, why: Reason, caller: Annotated[Caller, Depends(caller_of)]) -> Any:
        """Lets the record take effect now, and what waited behind it; 409 with the reason if it still cannot."""
        return await settle(parked_id, why, caller, discard=False)

    @routes.post("/parked/{parked_id}/discard")
    async def discard(parked_id: int, why: Reason, caller: Annotated[Caller, Depends(caller_of)]) -> Any:
        """Gives the record up, with its bytes kept; what waited behind it takes effect."""
        return await settle(parked_id, why, caller, discard=True)

    async def settle(parked_id: int, why: Reason, caller: Caller, *, discard: bool) -> Any:
        if runtime.inbox is None:
            raise Unready("this service parks nothing")
        try:
            decision = Decision(parked_id, discard, caller.subject, why.reason, current.get())
            item = await settling.settle(runtime.inbox, decision)
        except LookupError as fault:
            raise NotFound(str(fault)) from None
        runtime.wake()
        return {
            "parked_id": parked_id,
            "status": "discarded" if discard else "retried",
            "case_id": item.record.stream_id,
            "record": item.record.coordinates,
        }

    return routes
