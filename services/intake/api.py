"""Intake over HTTP: file a report, say more, take it back, follow it; and the reporters' names, which stay here.

The channel follows from the caller's role. A person with a login of their own appears in events only under an opaque
reference.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from chassis.commands import Request, Unusable
from chassis.database import Connection
from chassis.http import Cursor, Json, Limit, NotFound, answer, caller_of, command_request, page, position
from chassis.identity import Caller, Forbidden, partner_behind
from chassis.ids import uuid7
from chassis.runtime import Runtime
from contracts.envelope import Event
from contracts.fields import CASE_ID, AreaPath, ClaimedInstant, instant
from contracts.intake import Channel, NewReport, Supplement, Withdrawal
from contracts.reference import Partner
from contracts.request import Where
from contracts.status import Status, coarse
from services.intake import views
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, File, Withdraw
from services.intake.reference import UnknownArea
from services.intake.shapes import Back, Filed, More, Person, Report, Reports, Said, Who, Whole

log = logging.getLogger(__name__)

CHANNELS: Mapping[str, tuple[Channel, ...]] = {
    "partner": ("partner", "hotline", "open311", "sensor"),
    "acceptor": ("hotline", "citizen"),
    "dispatcher": ("hotline",),
    "shift_leader": ("hotline",),
    "grid_member": ("handset",),
    "reporter": ("citizen",),
}
"""Role -> the channels it may report through, the usual one first; of several roles the first here decides."""
ON_BEHALF = frozenset({"acceptor", "shift_leader"})
"""Who may speak for a reporter."""
STAFF = frozenset(
    {
        "grid_member",
        "acceptor",
        "dispatcher",
        "shift_leader",
        "handling_unit",
        "evaluator",
        "auditor",
        "administrator",
    }
)
"""Who sees more than their own reports: those of the areas in their token."""
_FILERS = frozenset(CHANNELS)
_NAMES = frozenset({"acceptor", "shift_leader", "evaluator", "administrator"})

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("POST", "/reports"): _FILERS,
    ("GET", "/reports"): STAFF | {"reporter", "partner"},
    ("GET", "/reports/{case_id}"): STAFF | {"reporter", "partner"},
    ("POST", "/reports/{case_id}/supplements"): _FILERS,
    ("POST", "/reports/{case_id}/withdrawal"): _FILERS,
    ("GET", "/reporters/{reporter_ref}"): _NAMES | {"reporter"},
    ("DELETE", "/reporters/{reporter_ref}"): frozenset({"administrator", "reporter"}),
}

CasePath = Annotated[str, Path(pattern=CASE_ID.pattern, description="The case id that filing the report gave.")]
RefPath = Annotated[str, Path(pattern=r"^[^\x00]+$", max_length=200)]


def router(runtime: Runtime) -> APIRouter:
    """Intake's routes."""
    routes = APIRouter(tags=["reports"])
    database, commands = runtime.database, runtime.commands

    @routes.post("/reports", status_code=201, response_model=Filed)
    async def file_report(body: Report, request: Annotated[Request, Depends(command_request)]) -> Any:
        """Files a report; the answer comes when it is durable. Its status follows at `Location`."""
        partner = partner_of(request.caller)
        channel = _channel(request.caller, body.channel)
        request = await acting(request)
        reporter_ref, also = _known(request.caller, body.reporter)
        report = File(
            channel=channel,
            title=body.title,
            text=body.text,
            category=body.category,
            place=Where(point=body.place.point, address=body.place.address, area=body.place.area),
            attachments=body.attachments,
            base_records=body.base_records,
            external_ref=body.external_ref,
            reporter_ref=reporter_ref,
            partner=partner,
        )
        try:
            given = await commands.execute(uuid7(runtime.clock()), report, request, _filed, at=body.at, also=also)
        except UnknownArea as fault:
            raise Unusable(fault.rule, str(fault)) from None
        response = answer(given)
        response.headers["Location"] = f"/reports/{orjson.loads(given.body)['case_id']}"
        return response

    @routes.get("/reports", response_model=Reports)
    async def list_reports(
        caller: Annotated[Caller, Depends(caller_of)],
        status: Annotated[Status | None, Query(description="The report's own status.")] = None,
        area: Annotated[AreaPath | None, Query(description="In this area or beneath it.")] = None,
        channel: Channel | None = None,
        since: Annotated[ClaimedInstant | None, Query(description="Reported then or later.")] = None,
        until: Annotated[ClaimedInstant | None, Query(description="Reported before then.")] = None,
        external_ref: Annotated[str | None, Query(pattern=r"^[^\x00]+$", max_length=200)] = None,
        merged_into: Annotated[str | None, Query(pattern=CASE_ID.pattern)] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Reports, the newest first: a reporter's or partner's own; for staff those of the areas in their token."""
        chosen = views.Filter()
        me = await who(caller)
        if not caller.roles & STAFF:
            chosen.add("filed_by = {0}", me or "")
        elif caller.areas:
            chosen.within(caller.areas, or_filed_by=me)
        if status is not None and coarse("intake", status) != status:
            raise Unusable("status", f"intake cannot tell {status}, it shows {coarse('intake', status)}")
        chosen.add("status = {0}", status)
        if area is not None:
            chosen.within([area])
        chosen.add("channel = {0}", channel)
        chosen.add("reported_at >= {0}", since)
        chosen.add("reported_at < {0}", until)
        chosen.add("external_ref = {0}", external_ref)
        chosen.add("merged_into = {0}", merged_into)
        if (after := position(cursor, datetime, str)) is not None:
            chosen.add("(reported_at, case_id) < ({0}, {1})", *after)
        rows = await views.list_reports(database, chosen, limit + 1)
        fates = await views.fates(database, rows)
        items = [_item(row, fates[row["case_id"]]) for row in rows]
        return Json(page(items, limit, lambda item: [item["reported_at"], item["case_id"]]))

    @routes.get("/reports/{case_id}", response_model=Whole)
    async def get_report(case_id: CasePath, caller: Annotated[Caller, Depends(caller_of)]) -> Any:
        """A report, what was added to it, and what became of it, also through the case it was merged into."""
        row = await views.find(database, case_id)
        if row is None:
            raise NotFound(f"there is no report {case_id}")
        if row["filed_by"] != await who(caller) and not (caller.roles & STAFF and caller.covers(row["area"])):
            raise Forbidden("this report is neither yours nor in your areas")
        fates = await views.fates(database, [row])
        return Json(
            _item(row, fates[case_id]) | _words(row, await views.said(database, case_id)),
            headers={"ETag": f'"{row["version"]}"'},
        )

    @routes.post("/reports/{case_id}/supplements", status_code=201, response_model=Said)
    async def add_supplement(
        case_id: CasePath, body: More, request: Annotated[Request, Depends(command_request)]
    ) -> Any:
        """Adds to a report: by whoever filed it, or an acceptor."""
        caller = request.caller
        command = AddSupplement(body.text, body.attachments, _on_behalf(caller), partner_of(caller))
        return answer(await commands.execute(case_id, command, await acting(request), _said(201), at=body.at))

    @routes.post("/reports/{case_id}/withdrawal", status_code=202, response_model=Said)
    async def withdraw(case_id: CasePath, body: Back, request: Annotated[Request, Depends(command_request)]) -> Any:
        """Takes a report back: by whoever filed it, or an acceptor. Triage rules on it; the status follows."""
        command = Withdraw(body.reason, _on_behalf(request.caller), partner_of(request.caller))
        return answer(await commands.execute(case_id, command, await acting(request), _said(202), at=body.at))

    @routes.get("/reporters/{reporter_ref}", response_model=Person)
    async def get_reporter(reporter_ref: RefPath, caller: Annotated[Caller, Depends(caller_of)]) -> Any:
        """Who a reference stands for, to call them back. 404 once erased."""
        await own_or(caller, reporter_ref, _NAMES)
        row = await views.reporter(database, reporter_ref)
        if row is None:
            raise NotFound(f"nobody is known under {reporter_ref}")
        log.info("%s was shown who %s is", caller.subject, reporter_ref)
        return Json(dict(row))

    @routes.delete("/reporters/{reporter_ref}", status_code=204)
    async def erase_reporter(reporter_ref: RefPath, caller: Annotated[Caller, Depends(caller_of)]) -> Response:
        """Erases a person: their reports and every proof stay, under a reference that stands for nobody."""
        await own_or(caller, reporter_ref, frozenset({"administrator"}))
        if not await views.erase(database, reporter_ref):
            raise NotFound(f"nobody is known under {reporter_ref}")
        log.info("%s was erased", reporter_ref)
        return Response(status_code=204)

    async def who(caller: Caller) -> str | None:
        """Under which name the caller's reports are filed; None for a person who has filed none."""
        return await views.account(database, caller.subject) if _citizen(caller) else caller.subject

    async def acting(request: Request) -> Request:
        """The request as its events name the caller: a person with a login under their reference, opened if need be."""
        caller = request.caller
        if not _citizen(caller):
            return request
        name = await views.open_account(database, caller.subject, _new_reference())
        return replace(request, caller=replace(caller, subject=name))

    def partner_of(caller: Caller) -> Partner | None:
        return partner_behind(caller, runtime.registry, "reports")

    async def own_or(caller: Caller, reporter_ref: str, roles: frozenset[str]) -> None:
        if not caller.roles & roles and await who(caller) != reporter_ref:
            raise Forbidden("this reference is not yours")

    return routes


def _channel(caller: Caller, asked: Channel | None) -> Channel:
    allowed: list[Channel] = [
        channel for role, channels in CHANNELS.items() if role in caller.roles for channel in channels
    ]
    if asked is not None and asked not in allowed:
        raise Forbidden(f"channel {asked} is not for {', '.join(sorted(caller.roles))}; {', '.join(allowed)} would be")
    return asked or allowed[0]


def _citizen(caller: Caller) -> bool:
    return "reporter" in caller.roles and not caller.roles & (STAFF | {"partner"})


def _on_behalf(caller: Caller) -> bool:
    return bool(caller.roles & ON_BEHALF)


def _known(caller: Caller, person: Who | None) -> tuple[str | None, Callable[[Connection], Awaitable[None]] | None]:
    """The reporter's reference, and what keeps who that is in the transaction of the report."""
    named = person if person is not None and (person.name or person.phone) else None
    if _citizen(caller):
        reference, keep = caller.subject, views.update
    elif named is not None:
        reference, keep = _new_reference(), views.remember
    else:
        return None, None
    if named is None:
        return reference, None
    return reference, lambda connection: keep(connection, reference, named.name, named.phone)


def _new_reference() -> str:
    return f"reporter:{secrets.token_hex(12)}"


def _filed(state: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    """The answer to a new report."""
    event = events[0]
    report: NewReport = event.data
    return 201, {
        "case_id": event.subject,
        "event_id": event.id,
        "status": state.status,
        "channel": report.channel,
        "area": report.place.area,
        "key_place": report.place.key_place,
        "reporter_ref": report.reporter_ref,
        "retrospective": report.retrospective,
        "reported_at": instant(event.time),
        "claimed_at": report.claimed_at,
        "time_doubtful": report.time_doubtful,
    }


def _said(status: int) -> Callable[[Case, Sequence[Event[Any]]], tuple[int, Any]]:
    def respond(state: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
        event = events[0]
        return status, {
            "case_id": event.subject,
            "event_id": event.id,
            "status": state.status,
            "supplements": state.supplements,
            "withdrawal_asked": state.withdrawal_asked,
        }

    return respond


def _item(row: views.Row, fate: views.Row) -> dict[str, Any]:
    """A report as it is heard of: with the fate of the case that speaks for it."""
    spoken = {name: fate[name] for name in ("status", "outcome", "closed_at")}
    # Another report's case tells its outcome, never the words about it: they may be its reporter's own.
    spoken["reason"] = row["reason"] if fate["case_id"] == row["case_id"] else None
    return {name: row[name] for name in views.REPORTS.columns} | spoken | {"own_status": row["status"]}


def _words(row: views.Row, said: Sequence[Event[Any]]) -> dict[str, Any]:
    """What was reported, from the events themselves."""
    report = next(event.data for event in said if isinstance(event.data, NewReport))
    back = next((event for event in said if isinstance(event.data, Withdrawal)), None)
    return {
        **report.model_dump(include={"text", "place", "attachments", "base_records", "claimed_at", "time_doubtful"}),
        "report_category": report.category,
        "said": [
            _uttered(event) | event.data.model_dump(include={"text", "attachments"})
            for event in said
            if isinstance(event.data, Supplement)
        ],
        "withdrawal": _uttered(back) | {"reason": back.data.reason, "upheld_reason": row["upheld_reason"]}
        if back is not None
        else None,
    }


def _uttered(event: Event[Any]) -> dict[str, Any]:
    return {"at": event.time, "claimed_at": event.data.claimed_at, "by": event.actor}
