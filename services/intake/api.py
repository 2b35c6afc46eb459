"""Intake over HTTP: reports, what is said of them later, and what becomes of them.

The names of reporters, which stay here, are in reporter_names.py, and what everybody may read of the district's
reference files in reference_lists.py.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from chassis.engine.commands import Answer, CommandRequest, InTransaction, Unusable
from chassis.engine.decider import Refused
from chassis.ids import uuid7
from chassis.retry import NotNow
from chassis.store.database import Database
from chassis.web.actions import ActionList, Actions, actions_answer
from chassis.web.errors import Forbidden, Json, NotFound
from chassis.web.filters import require_area, require_category, require_status
from chassis.web.identity import Caller
from chassis.web.paging import page
from chassis.web.reading import Reader, ReaderDep, ScopeDep
from chassis.web.requests import (
    CallerDep,
    ClockDep,
    CommandRequestDep,
    CommandsDep,
    CreatingRequestDep,
    DatabaseDep,
    RegistryDep,
    answer,
    etag,
    reference_of,
)
from chassis.web.roles import Access, Bound, Route
from contracts.envelope import Event
from contracts.fields import CASE_ID, instant
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.reading import Matter, Scope, Sight
from contracts.roles import Role
from services.intake import bodies, callers, queries, reporters
from services.intake.callers import ByDep, OwnNameDep
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, Command, File, Rate, Reopen, Withdraw, actions
from services.intake.reference import District, UnknownArea
from services.intake.views import REPORTS

FILERS = frozenset(callers.CHANNELS)
READERS = frozenset(Role)

ROLES: dict[Route, Access] = {
    ("POST", "/reports"): Access(FILERS, Bound.NOTHING),
    ("GET", "/reports"): Access(READERS, Bound.LIST),
    ("GET", "/reports/{case_id}"): Access(READERS, Bound.CASE),
    ("GET", "/reports/{case_id}/actions"): Access(READERS, Bound.CASE),
    ("POST", "/reports/{case_id}/supplements"): Access(FILERS, Bound.CASE),
    ("POST", "/reports/{case_id}/withdrawal"): Access(FILERS, Bound.CASE),
    ("POST", "/reports/{case_id}/rating"): Access(FILERS, Bound.CASE),
    ("POST", "/reports/{case_id}/reopening"): Access(FILERS, Bound.CASE),
}

TAGS = {"reports": "Reports, and what becomes of them."}
_OPERATIONS: Mapping[type[Command], str] = {
    AddSupplement: "add_supplement",
    Withdraw: "withdraw_report",
    Rate: "rate_report",
    Reopen: "reopen_report",
}
"""The command that changes a report -> its route."""

_TRIES = 8

CasePath = Annotated[
    str,
    Path(pattern=CASE_ID.pattern, description="The `case_id` that filing the report gave.", examples=[bodies.CASE]),
]
DistrictDep = Annotated[District, Depends(reference_of)]

router = APIRouter()


async def _change_request(
    case_id: CasePath, request: CommandRequestDep, reader: ReaderDep, own: OwnNameDep
) -> CommandRequest:
    """The request to change a report, as events name its actor.

    Whoever did not file it needs to be allowed to read it, which is judged when the command is decided; private persons
    and partners are not.
    """
    permits = reader.permits(partial(matter, own=own), no_report(case_id))
    return replace(request, actor=own or request.actor, permits=permits)


ChangeDep = Annotated[CommandRequest, Depends(_change_request)]


@router.post("/reports", tags=["reports"], status_code=201, response_model=bodies.FiledReport)
async def file_report(
    body: bodies.ReportBody,
    caller: CallerDep,
    by: ByDep,
    request: CreatingRequestDep,
    commands: CommandsDep,
    database: DatabaseDep,
    clock: ClockDep,
    district: DistrictDep,
) -> Response:
    """Files a report and begins a case with it. The answer comes when the report is durable.

    `Location` names where to follow the report. A position decides the area; without one the area that is named counts,
    else the address, if its names agree on one grid. If the answer's `area` is null, a person will decide where it is.

    The report counts from its arrival. Staff, and partners with the right to it, may enter a report late: a time
    further back than the district's limit makes theirs retrospective, and then its own time counts. Of everybody else
    such a time is marked `time_doubtful`. A category must be in the catalogue (`GET /catalogue`).
    Names and telephone numbers stay in intake.
    """
    channel = callers.channel_of(caller, body.channel)
    require_category(body.category, district.catalogue)
    command = File(
        channel=channel,
        title=body.title,
        text=body.text,
        category=body.category,
        place=body.place,
        attachments=body.attachments,
        base_records=body.base_records,
        external_ref=body.external_ref,
        by=by,
    )
    request, case_id = replace(request, claimed_at=body.at), uuid7(clock())

    async def once() -> Answer:
        own = await queries.find_account(database, caller.subject) if caller.private else None
        reference, in_transaction = _reporter(caller, own, body.reporter)
        filed = replace(request, actor=reference) if caller.private and reference else request
        named = replace(command, reporter_ref=reference)
        return await commands.execute(case_id, named, filed, _filed, in_transaction)

    try:
        given = await _until_own(once)
    except UnknownArea as fault:
        raise Unusable(fault.rule, str(fault)) from None
    response = answer(given)
    response.headers["Location"] = f"/reports/{orjson.loads(given.body)['case_id']}"
    return response


async def _until_own(once: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer under the reference of the person, whom other first reports, or an erasure, may give another one."""
    for _ in range(_TRIES):
        try:
            return await once()
        except reporters.Taken:
            continue
    raise NotNow("the person's reference keeps being changed by others; try again")


@router.get("/reports", tags=["reports"], response_model=bodies.ReportPage)
async def list_reports(
    filters: Annotated[bodies.ReportFilters, Query()],
    scope: ScopeDep,
    own: OwnNameDep,
    database: DatabaseDep,
    district: DistrictDep,
) -> Response:
    """Lists reports, the newest first.

    A reporter or a partner sees their own. Staff also see those that they may read: for district-wide roles all, or
    those in the areas of the token; for area roles those in the areas, but for sensitive ones.
    """
    require_status(filters.status, "intake")
    require_area(filters.area, district.areas.by_path)
    rows = await queries.list_reports(database, filters, own, scope)
    leaders = await queries.find_leaders(database, rows)
    chosen = await queries.find_choices(database, [row for row in rows if row["filed_by"] == own])
    items = [_item(row, leaders[row["case_id"]], scope, chosen) for row in rows]
    return Json(page(items, filters.limit, lambda item: [item["reported_at"], item["case_id"]]))


@router.get("/reports/{case_id}", tags=["reports"], response_model=bodies.ReportDetail)
async def get_report(case_id: CasePath, reader: ReaderDep, own: OwnNameDep, database: DatabaseDep) -> Response:
    """Shows a report with all its words, and what became of it.

    A report that was merged has the status and outcome of the case it was merged into, directly or through others, for
    whoever filed it and for who may read that case, too; `merged_into` is null for whom that case does not exist. Only
    whoever filed it and staff of its area may read it.
    """
    row = await _find_readable(case_id, reader, own, database)
    leaders = await queries.find_leaders(database, [row])
    words = _words(row, await queries.find_facts(database, case_id))
    chosen = {case_id: words["report_category"]} if row["filed_by"] == own else {}
    return Json(_item(row, leaders[case_id], reader.scope, chosen) | words, headers={"ETag": etag(row["version"])})


@router.get("/reports/{case_id}/actions", tags=["reports"], response_model=ActionList)
async def list_actions(
    case_id: CasePath,
    caller: CallerDep,
    reader: ReaderDep,
    own: OwnNameDep,
    commands: CommandsDep,
    database: DatabaseDep,
    registry: RegistryDep,
    district: DistrictDep,
) -> Response:
    """Lists what may be done with a report, and for each action whether the caller may take it now, or else the rule.

    Whoever may read the report may ask. The commands themselves are decided by the same rules. Rules about what is
    entered are not asked.
    """
    row = await _find_readable(case_id, reader, own, database)
    stream, inputs = await commands.consider(case_id, CommandRequest(own or caller.subject))
    try:
        refusals = actions(await callers.speaks_for(caller, registry), stream.state, inputs, district.rules)
    except Forbidden as fault:
        refusals = dict.fromkeys(_OPERATIONS, Refused("partner.says", str(fault)))
    speechless = await commands.speechless(stream, own or caller.subject)
    refusals = {**refusals, AddSupplement: refusals[AddSupplement] or speechless}
    offered, asked = Actions(router, ROLES, reader), _matter(row, own)
    items = [offered.item(name, refusals[command], asked, case_id=case_id) for command, name in _OPERATIONS.items()]
    return actions_answer(case_id, stream.version, items)


@router.post("/reports/{case_id}/supplements", tags=["reports"], status_code=201, response_model=bodies.ReportChange)
async def add_supplement(
    case_id: CasePath, body: bodies.SupplementBody, by: ByDep, request: ChangeDep, commands: CommandsDep
) -> Response:
    """Adds to a report. Whoever works on the case is told.

    Only whoever filed the report may add to it, or an acceptor or shift leader of its area on their behalf
    (`report.owner`). A report that has ended takes no supplement (`report.ended`); a merged one does. There may be 200
    supplements at most (`supplement.limit`).
    """
    command = AddSupplement(body.text, body.attachments, by)
    return answer(await commands.execute(case_id, command, replace(request, claimed_at=body.at), partial(_change, 201)))


@router.post("/reports/{case_id}/withdrawal", tags=["reports"], status_code=202, response_model=bodies.ReportChange)
async def withdraw_report(
    case_id: CasePath, body: bodies.WithdrawalBody, by: ByDep, request: ChangeDep, commands: CommandsDep
) -> Response:
    """Withdraws a report. Triage then rules whether the case ends or goes on.

    Only whoever filed the report may withdraw it; what staff filed for somebody on the telephone, an acceptor or shift
    leader of its area may, too (`report.owner`). That is once (`withdrawal.once`), and not after it has ended
    (`report.ended`) or was merged (`report.merged`). Once the case has been given out, nobody withdraws what their own
    unit has, and on behalf of others only who works for no unit (`withdrawal.separation`).
    """
    command = Withdraw(body.reason, by)
    return answer(await commands.execute(case_id, command, replace(request, claimed_at=body.at), partial(_change, 202)))


@router.post("/reports/{case_id}/rating", tags=["reports"], status_code=201, response_model=bodies.RatingReceipt)
async def rate_report(
    case_id: CasePath, body: bodies.RatingBody, by: ByDep, request: ChangeDep, commands: CommandsDep
) -> Response:
    """Takes a rating of how the case was handled.

    Only whoever filed the report may rate it; what staff filed for somebody on the telephone, an acceptor or shift
    leader of its area may, too (`report.owner`). The case must be closed (`report.open`), and that not longer ago than
    the days of the district's policy (`rating.late`); a merged report is not rated, because the case it was merged into
    is its own reporter's to rate (`report.merged`). Each verdict is rated once (`rating.once`), and not by whoever
    checked the case (`rating.separation`). A rating by whoever handled it is kept, but counts in no figure.
    """
    command = Rate(body.rating, body.comment, by)
    return answer(await commands.execute(case_id, command, replace(request, claimed_at=body.at), _rated))


@router.post("/reports/{case_id}/reopening", tags=["reports"], status_code=202, response_model=bodies.ReopeningReceipt)
async def reopen_report(
    case_id: CasePath, body: bodies.ReopeningBody, by: ByDep, request: ChangeDep, commands: CommandsDep
) -> Response:
    """Asks that a closed case be taken up again.

    This does not reopen the case: dispatchers, shift leaders and evaluators see it in their list
    (`GET /cases?reopening_requested=true` of feedback) and file the matter anew where it must go on.

    Only whoever filed the report may ask; for what staff filed for somebody on the telephone, an acceptor or shift
    leader of its area may, too (`report.owner`). The case must be closed (`report.open`), not longer ago than the days
    of the district's policy (`reopening.late`), and the report not merged into another one (`report.merged`). After
    each verdict it may be asked for once (`reopening.once`).
    """
    command = Reopen(body.reason, by)
    return answer(await commands.execute(case_id, command, replace(request, claimed_at=body.at), _reopened))


async def _find_readable(case_id: str, reader: Reader, own: str | None, database: Database) -> queries.Row:
    """The report. Raises `NotFound`, and `Forbidden` if the caller may not read it."""
    row = await queries.find_report(database, case_id)
    if row is None:
        raise NotFound(no_report(case_id))
    await reader.sight(case_id, _matter(row, own), no_report(case_id))
    return row


def matter(state: Case, own: str | None = None) -> Matter | None:
    """What the rule of reading asks of a case; None if there is no report of it. `own` is the name under which the
    caller's reports are filed.
    """
    report = state.report
    if report is None:
        return None
    area, category = state.area or report.area, state.category or report.category
    return Matter(area, category, own=own is not None and report.filed_by == own)


def _matter(row: queries.Row, own: str | None) -> Matter:
    """What the rule of reading asks of a report. Whose people work on it counts in dispatch and feedback."""
    return Matter(row["area"], row["category"], own=own is not None and row["filed_by"] == own)


def no_report(case_id: str) -> str:
    return f"there is no report {case_id}"


def _reporter(
    caller: Caller, own: str | None, person: bodies.ReporterBody | None
) -> tuple[str | None, InTransaction | None]:
    """The reporter's reference, and what stores who that is in the transaction of the report: of a report that is
    refused nothing stays. `own` is the reference of a private person who has one.
    """
    name, phone = (person.name, person.phone) if person is not None else (None, None)
    reference = own or reporters.new_reference()
    if caller.private and own is None:
        opened = partial(reporters.open_account, subject=caller.subject)
        return reference, partial(opened, reporter_ref=reference, name=name, phone=phone)
    if not name and not phone:
        return own, None
    store = reporters.update if caller.private else reporters.remember
    return reference, partial(store, reporter_ref=reference, name=name, phone=phone)


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


def _change(status: int, state: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    """The answer to a supplement or a withdrawal."""
    event = events[0]
    return status, {
        "case_id": event.subject,
        "event_id": event.id,
        "status": state.status,
        "supplement_count": state.supplement_count,
        "withdrawal_requested": state.withdrawal_requested,
    }


def _rated(_: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    """The answer to a rating."""
    event = events[0]
    rated = {"rating": event.data.rating, "rated_at": instant(event.time)}
    return 201, {"case_id": event.subject, "event_id": event.id, **rated}


def _reopened(state: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    """The answer to a wish to reopen a case."""
    event = events[0]
    receipt = bodies.ReopeningReceipt(
        case_id=event.subject,
        event_id=event.id,
        status=state.status,
        reopening_requested=True,
        requested_at=event.time,
    )
    return 202, receipt.model_dump()


def _item(
    row: queries.Row, leaders: Sequence[queries.Row], scope: Scope, chosen: Mapping[str, str | None]
) -> dict[str, Any]:
    """A report with the status and outcome of its leader, for whoever filed it or may read what it was merged into.

    `chosen` has the reports that the caller filed, each with the category that they chose.
    """
    item = {name: row[name] for name in REPORTS.columns} | {"own_status": row["status"]}
    if row["merged_into"] is None:
        return item
    filed_it, seen = row["case_id"] in chosen, {scope.sight(_matter(leader, None)) for leader in leaders}
    if not leaders and not scope.whole:  # it is not known here, and may be sensitive
        seen = {Sight.HIDDEN}
    item["reason"] = None  # it may quote the leader's reporter
    if Sight.HIDDEN in seen:
        item["merged_into"] = None
    # The category may be that of a leader which is sensitive. If it were hidden only then, that would tell as much.
    if filed_it and seen != {Sight.WHOLE}:
        item["category"] = chosen[row["case_id"]]
    elif row["category"] in scope.knows.sensitive and not scope.confidential:
        item["category"] = None
    if leaders and (filed_it or seen == {Sight.WHOLE}):
        item |= {name: leaders[-1][name] for name in ("status", "outcome", "closed_at")}
    return item


def _words(row: queries.Row, facts: Sequence[Event[Any]]) -> dict[str, Any]:
    """What was reported, from the facts themselves."""
    report = next(event.data for event in facts if isinstance(event.data, NewReport))
    withdrawal = next((event for event in facts if isinstance(event.data, Withdrawal)), None)
    return {
        **report.model_dump(include={"text", "place", "attachments", "base_records", "claimed_at", "time_doubtful"}),
        "report_category": report.category,
        "supplements": [
            _circumstances(event) | event.data.model_dump(include={"text", "attachments"})
            for event in facts
            if isinstance(event.data, Supplement)
        ],
        "withdrawal": _circumstances(withdrawal)
        | {"reason": withdrawal.data.reason, "upheld_reason": row["upheld_reason"]}
        if withdrawal is not None
        else None,
        "ratings": [
            _circumstances(event) | event.data.model_dump(include={"rating", "comment"})
            for event in facts
            if isinstance(event.data, Rating)
        ],
        "reopenings": [
            _circumstances(event) | {"reason": event.data.reason}
            for event in facts
            if isinstance(event.data, Reopening)
        ],
    }


def _circumstances(event: Event[Any]) -> dict[str, Any]:
    return {"at": event.time, "claimed_at": event.data.claimed_at, "by": event.actor}
