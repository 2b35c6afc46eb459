"""What was read of raw bytes: recorded before the answer leaves, and listed for auditors, in every service."""

from datetime import datetime
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import Field

from chassis.store import reads
from chassis.store.database import Connection, Database
from chassis.store.reads import Read, Wanted
from chassis.web.bodies import Answer
from chassis.web.errors import Json, Unready
from chassis.web.filters import Until
from chassis.web.paging import Next, PageQuery, page, position
from chassis.web.requests import CallerDep, DatabaseDep
from chassis.web.roles import Access, Bound, Route
from contracts.fields import ClaimedInstant, Name
from contracts.roles import Role

ROLES: dict[Route, Access] = {("GET", "/reads"): Access(frozenset({Role.AUDITOR, Role.ADMINISTRATOR}), Bound.WHOLE)}
TAGS = {"reads": "Who read the bytes of which records, and when."}

_CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"


class Reads:
    """Records what the caller of one request reads."""

    def __init__(self, database: Database, reader: str, route: str) -> None:
        self._database = database
        self._reader = reader
        self._route = route

    async def record(self, read: Read, connection: Connection | None = None) -> None:
        """Stores that the caller reads this, durably or, with a connection, in its transaction. To be awaited before
        the answer leaves. Raises `Unready` or `NotNow` if it cannot be stored; then nothing may be shown.
        """
        try:
            await reads.record(connection or self._database, self._reader, self._route, read)
        except asyncpg.PostgresError as fault:
            raise Unready("what is read cannot be recorded, so it is not shown") from fault


async def _reads(request: HttpRequest, caller: CallerDep, database: DatabaseDep) -> Reads:
    return Reads(database, caller.subject, f"{request.method} {request.scope['route'].path}")


ReadsDep = Annotated[Reads, Depends(_reads)]
"""Of every route that shows raw bytes."""


class ReadFilters(PageQuery):
    """Which reads a list holds."""

    reader: Annotated[Name | None, Field(description="Those of this caller.", examples=["person:auditor-1"])] = None
    since: Annotated[
        ClaimedInstant | None,
        Field(description="Read at or after this instant.", examples=["2026-05-09T00:00:00+08:00"]),
    ] = None
    until: Annotated[Until, Field(description="Read before this instant.", examples=["2026-05-10T00:00:00+08:00"])] = (
        None
    )


class ReadItem(Answer):
    """One request that was answered with raw bytes."""

    read_id: Annotated[int, Field(description="The number of this entry.", examples=[12])]
    read_at: Annotated[datetime, Field(description="When it was recorded.", examples=["2026-05-09T03:10:44.120931Z"])]
    reader: Annotated[str, Field(description="Who asked, as events name them.", examples=["person:auditor-1"])]
    route: Annotated[str, Field(description="By which route.", examples=["GET /log"])]
    case_id: Annotated[
        str | None, Field(description="The case, if it was asked for or the record names it.", examples=[_CASE])
    ]
    reporter_ref: Annotated[
        str | None,
        Field(
            description="Whose name and number were answered again to a repeated request, or who was erased.",
            examples=[None],
        ),
    ]
    first: Annotated[
        int | None,
        Field(description="The first record: its index in the log, or the number of a parked record.", examples=[0]),
    ]
    last: Annotated[int | None, Field(description="The last record of the page.", examples=[49])]
    coordinates: Annotated[
        str | None,
        Field(description="Of a parked record: `<topic>/<partition>@<offset>`.", examples=["ReportFiled/0@17"]),
    ]
    reason: Annotated[str | None, Field(description="Why somebody else erased a person.", examples=[None])]


class ReadPage(Answer):
    """A page of reads."""

    items: Annotated[list[ReadItem], Field(description="The reads, the newest first.")]
    next: Next


router = APIRouter(tags=["reads"])


@router.get("/reads", response_model=ReadPage)
async def list_reads(filters: Annotated[ReadFilters, Query()], database: DatabaseDep) -> Response:
    """Lists who read the bytes of which records, and in intake who erased which person, the newest first.

    An entry is written before the bytes leave; without it they are not shown, and nobody is erased. A page that holds
    no record has no entry. Entries are never changed or removed.
    """
    before = position(filters.cursor, datetime, int)
    wanted = Wanted(filters.reader, filters.since, filters.until, before)
    rows = await reads.find(database, wanted, filters.limit + 1)
    items = [dict(row) for row in rows]
    return Json(page(items, filters.limit, lambda item: [item["read_at"], item["read_id"]]))
