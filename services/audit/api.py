"""Audit over HTTP. No route changes anything; who reads bytes of the log is recorded.

GET /cases                     cases by status, outcome, category, area, time
GET /cases/{case_id}           a case with its chain, as of any instant
GET /cases/{case_id}/events    every record of a case
GET /log, /log/{index}         the log itself
GET /completeness              what is missing from the log
GET /summary                   counts of cases
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response

from chassis.store.reads import Read
from chassis.web.errors import Json, NotFound
from chassis.web.paging import PageQuery, encode_cursor, page, position
from chassis.web.reading import ReaderDep, ScopeDep
from chassis.web.reads import Reads, ReadsDep
from chassis.web.requests import DatabaseDep, ProcessDep
from chassis.web.roles import Access, Bound, Route
from contracts.fields import instant
from contracts.roles import Role
from contracts.status import STAGES
from services.audit import bodies, completeness, examples, log_bodies, queries, records
from services.audit.broker import end_offsets
from services.audit.domain.case import Case, fold
from services.audit.domain.chain import (
    LoggedEvent,
    StatusPeriod,
    by_id,
    delay_ms,
    in_causal_order,
    status_periods,
    without_stray_requests,
)
from services.audit.domain.summaries import summary
from services.audit.reference import ALL_TOPICS
from services.audit.views import case_item

WATCHERS = frozenset({Role.AUDITOR, Role.ADMINISTRATOR, Role.SHIFT_LEADER, Role.DISPATCHER, Role.EVALUATOR})
AUDITORS = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})

ROLES: dict[Route, Access] = {
    ("GET", "/cases"): Access(WATCHERS, Bound.LIST),
    ("GET", "/cases/{case_id}"): Access(WATCHERS, Bound.CASE),
    ("GET", "/cases/{case_id}/events"): Access(AUDITORS, Bound.WHOLE),
    ("GET", "/log"): Access(AUDITORS, Bound.WHOLE),
    ("GET", "/log/{index}"): Access(AUDITORS, Bound.WHOLE),
    ("GET", "/completeness"): Access(AUDITORS | {Role.SHIFT_LEADER}, Bound.WHOLE),
    ("GET", "/summary"): Access(AUDITORS | {Role.SHIFT_LEADER, Role.EVALUATOR}, Bound.LIST),
}

TAGS = {
    "cases": "Cases as the log knows them, and the chain of each.",
    "log": "The stored records as exact bytes.",
    "control": "What is missing from the log, and counts of cases.",
}

CasePath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="The case; where records are listed, whatever case id they name.",
        examples=[examples.CASE],
    ),
]
IndexPath = Annotated[
    int, Path(ge=0, lt=2**63, description="The index of the record in the log, from 0.", examples=[41])
]

router = APIRouter()


@router.get("/cases", response_model=bodies.CasePage, tags=["cases"])
async def list_cases(
    filters: Annotated[bodies.CaseFilters, Query()], scope: ScopeDep, database: DatabaseDep
) -> Response:
    """Lists cases in the order of their first records.

    All filters must hold; `since` and `until` bound when a case was reported. Callers see the cases that they may
    read.
    """
    return Json(await queries.cases(database, filters, scope))


@router.get("/cases/{case_id}", response_model=bodies.CaseDetail, tags=["cases"])
async def get_case(
    case_id: CasePath, query: Annotated[bodies.ChainQuery, Query()], reader: ReaderDep, database: DatabaseDep
) -> Response:
    """Shows a case with its chain: each event after its cause, with who, what, when, and its delay after its cause.

    `at` leaves out every event whose own `time` is later, and all else follows from the rest, merged reports too: the
    answer is the case at that instant, also if some of it became known afterwards. A partner's request is in the chain
    if something in this case followed from it by then; `GET /cases/{case_id}/events` has every request. `delay_ms`
    compares recorded times; it is null if a partner's clock recorded one of them. `merged` has the first 200 merged
    reports that the caller may read; `GET /cases?merged_into=` lists all, as they are now. Whether the caller may read
    the case depends on its area and category of today, whatever they were at that instant. An access that one of the
    services granted (`POST /access`) counts here, too.
    """
    at = query.at
    unknown = f"there is no case {case_id} in the log" + (f" at {instant(at)}" if at else "")
    # Before the chain is read: how long that takes would tell of a case that is hidden from the caller.
    today = await queries.matter(database, case_id)
    if today is None:
        raise NotFound(unknown)
    accessed = partial(records.accessed, database, case_id, reader.caller.subject, reader.process.clock())
    await reader.sight(case_id, today, unknown, accessed)
    events = without_stray_requests(await records.events_of(database, case_id, at))
    case = fold((one.event, one.index) for one in events)
    if case is None:
        raise NotFound(unknown)
    chain = in_causal_order(events)
    causes = by_id(chain)
    first = _position(query.cursor, 0)
    end = first + query.limit
    return Json(
        {
            "case": case_item(case_id, case),
            "as_of": at,
            "assignments": _assignments(case),
            "statuses": [_status_period(period) for period in status_periods(chain)],
            "merged": await queries.merged(database, case_id, at, reader.scope),
            "events": [
                _chain_event(place, one, delay_ms(one, causes))
                for place, one in enumerate(chain[first:end], start=first + 1)
            ],
            "next": encode_cursor([end]) if len(chain) > end else None,
        }
    )


@router.get("/cases/{case_id}/events", response_model=log_bodies.RecordPage, tags=["log"])
async def list_case_records(
    case_id: CasePath, query: Annotated[PageQuery, Query()], database: DatabaseDep, reads: ReadsDep
) -> Response:
    """Lists every record that names the case, as exact bytes, in index order: invalid ones and duplicates too.

    Whoever may not see every case may not ask, because records are not sorted by area. Who reads is recorded first
    (`GET /reads`).
    """
    items = await records.of_case(database, case_id, _position(query.cursor, -1), query.limit + 1)
    if not items and query.cursor is None:
        raise NotFound(f"there is no record of case {case_id} in the log")
    shown = page(items, query.limit, lambda item: [item["index"]])
    await _record(reads, shown["items"], case_id)
    return Json(shown)


@router.get("/log", response_model=log_bodies.LogPage, tags=["log"])
async def list_log(query: Annotated[log_bodies.LogQuery, Query()], database: DatabaseDep, reads: ReadsDep) -> Response:
    """Lists the records of the log as exact bytes, from an index on.

    To follow the log, ask again from `next`. Whoever may not see every case may not ask. Who reads is recorded first
    (`GET /reads`), unless the page is empty.
    """
    items = await records.from_index(database, query.first, query.limit)
    await _record(reads, items)
    return Json({"items": items, "next": query.first + len(items), "size": await records.size(database)})


@router.get("/log/{index}", response_model=log_bodies.LogRecord, tags=["log"])
async def get_record(index: IndexPath, database: DatabaseDep, reads: ReadsDep) -> Response:
    """Shows a record as exact bytes. Whoever may not see every case may not ask. Who reads is recorded first
    (`GET /reads`).
    """
    item = await records.at_index(database, index)
    if item is None:
        raise NotFound(f"there is no index {index} in the log yet")
    await _record(reads, [item], item["case_id"])
    return Json(item)


@router.get(
    "/completeness",
    response_model=log_bodies.Completeness,
    responses={404: {"description": "The log holds no fact of this case."}},
    tags=["control"],
)
async def get_completeness(
    query: Annotated[log_bodies.CompletenessQuery, Query()],
    database: DatabaseDep,
    process: ProcessDep,
) -> Response:
    """Checks whether anything is missing from the log, for one case or in all.

    Each list has its full count and its first items. `index_gaps`, `offset_gaps`, `lag` and `lost` are asked of the
    whole log only. A case of which the log holds no fact is not found, unless something is wrong with records that
    name it. Whoever may not see every case may not ask.
    """
    if query.case_id is None:
        topics = process.registry.topics(ALL_TOPICS)
        return Json(await completeness.of_log(database, query.limit, partial(end_offsets, process.settings, topics)))
    found = await completeness.of_case(database, query.case_id, query.limit)
    if found is None:
        raise NotFound(f"there is no case {query.case_id} in the log")
    return Json(found)


@router.get("/summary", response_model=bodies.Summary, tags=["control"])
async def get_summary(
    filters: Annotated[bodies.SummaryFilters, Query()], scope: ScopeDep, database: DatabaseDep
) -> Response:
    """Counts the cases that all filters hold for, in all and by outcome, status, channel and category.

    `GET /cases` lists them with the same filters. Callers see the cases that they may
    read.
    """
    return Json(await queries.summary(database, filters, scope))


async def _record(reads: Reads, items: Sequence[Mapping[str, Any]], case_id: str | None = None) -> None:
    """Records that these records are read. Nothing was read where there are none."""
    if items:
        await reads.record(Read(case_id, first=items[0]["index"], last=items[-1]["index"]))


def _position(cursor: str | None, first: int) -> int:
    found = position(cursor, int)
    return first if found is None else found[0]


def _assignments(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "assignment_id": assignment_id,
            "unit": case.units[assignment_id][0] if assignment_id in case.units else None,
            "lead": assignment.lead,
            "stage": STAGES[assignment.stage],
            "outcome": assignment.outcome,
        }
        for assignment_id, assignment in sorted(case.standing.assignments.items())
    ]


def _status_period(period: StatusPeriod) -> dict[str, Any]:
    return {
        "status": period.status,
        "since": period.since,
        "until": period.until,
        "duration_seconds": period.duration_seconds,
    }


def _chain_event(place: int, one: LoggedEvent, delay: int | None) -> dict[str, Any]:
    event = one.event
    return {
        "position": place,
        "index": one.index,
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "event_id": event.id,
        "type": event.type,
        "summary": summary(event),
        "causation_id": event.causationid,
        "actor": event.actor,
        "source": event.source,
        "sequence": None if event.sequence is None else int(event.sequence),
        "time": event.time,
        "recorded_time": event.recordedtime,
        "stored_at": one.stored_at,
        "delay_ms": delay,
        "data": orjson.loads(one.body)["data"],
    }
