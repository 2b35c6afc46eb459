"""Audit's routes: chains, cases, the log itself, what is missing from it, counts. Nothing here changes anything."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from chassis.http import PAGE, Cursor, Json, Limit, NotFound, caller_of, encode_cursor, page, position
from chassis.identity import Caller, Forbidden
from chassis.runtime import Runtime
from contracts.feedback import CaseOutcome
from contracts.fields import AreaPath, ClaimedInstant
from contracts.intake import Channel
from contracts.status import STAGES, Status
from services.audit import answers, completeness, records, views
from services.audit.broker import ends
from services.audit.domain.case import Case, fold
from services.audit.domain.chain import Entry, belonging, by_id, causal, delay_ms, stages
from services.audit.domain.words import words
from services.audit.reference import READ

WATCHERS = frozenset({"auditor", "administrator", "shift_leader", "dispatcher", "evaluator"})
AUDITORS = frozenset({"auditor", "administrator"})

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/cases"): WATCHERS,
    ("GET", "/cases/{case_id}"): WATCHERS,
    ("GET", "/cases/{case_id}/events"): AUDITORS,
    ("GET", "/log"): AUDITORS,
    ("GET", "/log/{index}"): AUDITORS,
    ("GET", "/completeness"): AUDITORS | {"shift_leader"},
    ("GET", "/summary"): AUDITORS | {"shift_leader", "evaluator"},
}

CasePath = Annotated[str, Path(min_length=1, max_length=200, examples=["0199c0de-7a11-7000-8000-000000000001"])]
CaseQuery = Annotated[str | None, Query(min_length=1, max_length=200)]
Index = Annotated[int, Path(ge=0, lt=2**63)]
From = Annotated[int, Query(alias="from", ge=0, lt=2**63, description="The first index.")]
Since = Annotated[ClaimedInstant | None, Query(description="Reported at or after this instant.")]
Until = Annotated[ClaimedInstant | None, Query(description="Reported before this instant.")]
Area = Annotated[AreaPath | None, Query(description="This area and all below it.", examples=["CH/shuangqiaozi"])]
Text = Annotated[str | None, Query(min_length=1, max_length=200)]
SinceCase = Annotated[str | None, Query(max_length=200, description="This case id or a later one.")]
UntilCase = Annotated[str | None, Query(max_length=200, description="This case id or an earlier one.")]
SinceIndex = Annotated[int | None, Query(ge=0, lt=2**63, description="First heard of at this index or later.")]


def router(runtime: Runtime) -> APIRouter:
    """The routes of the service."""
    routes = APIRouter()
    database = runtime.database

    @routes.get("/cases", response_model=answers.Cases, tags=["cases"])
    async def cases(
        caller: Annotated[Caller, Depends(caller_of)],
        status: Annotated[Status | None, Query()] = None,
        outcome: Annotated[CaseOutcome | None, Query()] = None,
        open: Annotated[bool | None, Query(description="Not closed yet.")] = None,
        area: Area = None,
        category: Text = None,
        channel: Annotated[Channel | None, Query()] = None,
        since: Since = None,
        until: Until = None,
        merged_into: Text = None,
        late: Annotated[bool | None, Query()] = None,
        q: Annotated[str | None, Query(max_length=200, description="The external reference, exactly.")] = None,
        external_prefix: Text = None,
        since_index: SinceIndex = None,
        since_case: SinceCase = None,
        until_case: UntilCase = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Cases in the order in which the log first heard of them; all filters must hold; the caller's areas only."""
        wanted = views.Filter(
            status=status,
            outcome=outcome,
            open=open,
            area=area,
            areas=caller.areas,
            category=category,
            channel=channel,
            since=since,
            until=until,
            merged_into=merged_into,
            late=late,
            external_ref=q,
            external_prefix=external_prefix,
            since_index=since_index,
            since_case=since_case,
            until_case=until_case,
        )
        items = await views.listed(database, wanted, _after(cursor, -1), limit + 1)
        return Json(page(items, limit, lambda item: [item["first_index"]]))

    @routes.get("/cases/{case_id}", response_model=answers.Chain, tags=["cases"])
    async def case(
        case_id: CasePath,
        caller: Annotated[Caller, Depends(caller_of)],
        at: Annotated[ClaimedInstant | None, Query(description="Only what had happened by this instant.")] = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Any:
        """The case with its chain: each event after its cause, with who, what, when, why, and how long after its cause.

        `at` leaves out every event whose own `time` is later: the answer is what was the case at that instant, also
        where it was told afterwards. `delay_ms` compares recorded times; there is none where a partner's clock recorded
        one of the two. Merged reports are the first 200; the rest by `GET /cases?merged_into=`. What partners asked is
        in the chain where something of this case followed from it; `GET /cases/{case_id}/events` has all of it.
        """
        entries = belonging(await records.events(database, case_id, at))
        found = fold((entry.event, entry.index) for entry in entries)
        if found is None:
            raise NotFound(f"the log knows no case {case_id}" + (f" at {at.isoformat()}" if at else ""))
        if not caller.covers(found.area):
            raise Forbidden(f"case {case_id} lies outside the caller's areas")
        chain = causal(entries)
        causes = by_id(chain)
        after = _after(cursor, 0)
        shown = list(enumerate(chain, start=1))[after : after + limit]
        return Json(
            {
                "case": views.shown(case_id, found),
                "as_of": at,
                "assignments": _assignments(found),
                "stages": [
                    {
                        "status": stage.status,
                        "since": stage.since,
                        "until": stage.until,
                        "duration_seconds": stage.duration_seconds,
                    }
                    for stage in stages(chain)
                ],
                "merged": await views.merged(database, case_id, at, PAGE),
                "events": [_link(position, entry, delay_ms(entry, causes)) for position, entry in shown],
                "next": encode_cursor([after + limit]) if len(chain) > after + limit else None,
            }
        )

    @routes.get("/cases/{case_id}/events", response_model=answers.RecordPage, tags=["log"])
    async def events(
        case_id: CasePath, caller: Annotated[Caller, Depends(caller_of)], limit: Limit = 50, cursor: Cursor = None
    ) -> Any:
        """Every record of the case as exact bytes, in index order: invalid ones and duplicates too."""
        _everywhere(caller)
        items = await records.of_case(database, case_id, _after(cursor, -1), limit + 1)
        if not items and cursor is None:
            raise NotFound(f"the log has no record of case {case_id}")
        return Json(page(items, limit, lambda item: [item["index"]]))

    @routes.get("/log", response_model=answers.Records, tags=["log"])
    async def log(caller: Annotated[Caller, Depends(caller_of)], first: From = 0, limit: Limit = 50) -> Any:
        """Records as exact bytes from an index on. To follow the log, go on asking from `next`."""
        _everywhere(caller)
        items = await records.since(database, first, limit)
        return Json({"items": items, "next": first + len(items), "size": await records.size(database)})

    @routes.get("/log/{index}", response_model=answers.Stored, tags=["log"])
    async def one(index: Index, caller: Annotated[Caller, Depends(caller_of)]) -> Any:
        """One record as exact bytes."""
        _everywhere(caller)
        found = await records.one(database, index)
        if found is None:
            raise NotFound(f"the log has no index {index} yet")
        return Json(found)

    @routes.get("/completeness", response_model=answers.Completeness, tags=["control"])
    async def complete(
        caller: Annotated[Caller, Depends(caller_of)], case_id: CaseQuery = None, limit: Limit = 50
    ) -> Any:
        """Whether anything is missing from the log, of a case or in all: lists with their counts and first items."""
        _everywhere(caller)
        if case_id is None:
            topics = runtime.registry.topics(READ)
            return Json(await completeness.of_all(database, limit, lambda: ends(runtime.settings, topics)))
        if not await records.known(database, case_id):
            raise NotFound(f"the log has no record of case {case_id}")
        return Json(await completeness.of_case(database, case_id, limit))

    @routes.get("/summary", response_model=answers.Summary, tags=["control"])
    async def summary(
        caller: Annotated[Caller, Depends(caller_of)],
        since: Since = None,
        until: Until = None,
        area: Area = None,
        channel: Annotated[Channel | None, Query()] = None,
        external_prefix: Text = None,
        since_index: SinceIndex = None,
        since_case: SinceCase = None,
        until_case: UntilCase = None,
    ) -> Any:
        """Counts of the cases that all filters hold for, of the caller's areas only; `GET /cases` lists them."""
        wanted = views.Filter(
            since=since,
            until=until,
            area=area,
            areas=caller.areas,
            channel=channel,
            external_prefix=external_prefix,
            since_index=since_index,
            since_case=since_case,
            until_case=until_case,
        )
        return Json(await views.summary(database, wanted))

    return routes


def _everywhere(caller: Caller) -> None:
    if caller.areas:
        raise Forbidden("the log spans all areas; the caller's are limited")


def _after(cursor: str | None, first: int) -> int:
    found = position(cursor, int)
    return first if found is None else found[0]


def _assignments(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "unit": case.units[name][0] if name in case.units else None,
            "lead": part.lead,
            "stage": STAGES[part.stage],
            "outcome": part.outcome,
        }
        for name, part in sorted(case.standing.parts.items())
    ]


def _link(position: int, entry: Entry, delay: int | None) -> dict[str, Any]:
    event = entry.event
    return {
        "position": position,
        "index": entry.index,
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "id": event.id,
        "type": event.type,
        "summary": words(event),
        "cause": event.causationid,
        "actor": event.actor,
        "source": event.source,
        "sequence": None if event.sequence is None else int(event.sequence),
        "time": event.time,
        "recorded_time": event.recordedtime,
        "stored_at": entry.stored_at,
        "delay_ms": delay,
        "data": entry.data,
    }
