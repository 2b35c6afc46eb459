"""Feedback's routes, and the roles each of them asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from chassis.commands import Request, Unusable
from chassis.http import Cursor, Json, Limit, NotFound, answer, caller_of, command_request, page, position
from chassis.identity import ANYONE, Caller
from chassis.runtime import Runtime
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated
from contracts.fields import AreaPath, CaseId, ClaimedInstant, Name, instant
from contracts.status import Status
from contracts.triage import CheckMethod
from services.feedback.api.messages import (
    PROBLEM,
    CasePage,
    CaseShown,
    CheckPage,
    CheckResult,
    ForcedClosing,
    FormulaPage,
    IndicatorPage,
    RatingGiven,
    RatingTaken,
    VerdictGiven,
)
from services.feedback.domain import Case, FailCheck, ForceClose, PassCheck, Person, Rate
from services.feedback.domain.formulas import FORMULAS
from services.feedback.views import indicators, queries
from services.feedback.views.indicators import FIGURES, By, Level, Population, Question
from services.feedback.views.queries import Row

CHECKERS = frozenset({"grid_member", "evaluator"})
CENTRE = frozenset({"dispatcher", "shift_leader", "evaluator", "auditor", "administrator"})
STAFF = CENTRE | {"acceptor", "grid_member", "handling_unit"}

ROLES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/checks"): CHECKERS | CENTRE,
    ("POST", "/cases/{case_id}/check"): CHECKERS,
    ("POST", "/cases/{case_id}/rating"): frozenset({"reporter", "acceptor", "grid_member"}),
    ("POST", "/cases/{case_id}/forced-closing"): frozenset({"shift_leader"}),
    ("GET", "/cases"): STAFF,
    ("GET", "/cases/{case_id}"): STAFF,
    ("GET", "/indicators"): STAFF,
    ("GET", "/indicators/cases"): STAFF,
    ("GET", "/formulas"): ANYONE,
}

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Given = Annotated[Request, Depends(command_request)]
Who = Annotated[Caller, Depends(caller_of)]
InArea = Annotated[AreaPath | None, Query(description="This area and all below it.", examples=["CH/shuangqiaozi"])]
OfUnit = Annotated[Name | None, Query(description="The unit that answers for the case.", examples=["dept:water"])]
OfCategory = Annotated[
    Name | None, Query(description="This category, or all below a prefix.", examples=["event.emergency"])
]
Since = Annotated[ClaimedInstant | None, Query(description="From here on.", examples=["2026-05-01T00:00:00Z"])]
Until = Annotated[ClaimedInstant | None, Query(description="Up to here, exclusive.", examples=["2026-06-01T00:00:00Z"])]


def router(runtime: Runtime) -> APIRouter:
    """Feedback's own routes."""
    routes = APIRouter()
    _add_commands(routes, runtime)
    _add_cases(routes, runtime)
    _add_indicators(routes, runtime)
    return routes


def _add_commands(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post("/cases/{case_id}/check", tags=["checks"], response_model=VerdictGiven, responses={409: PROBLEM})
    async def check(case_id: CaseId, body: CheckResult, request: Given) -> Response:
        """Records what a check found: a passed one closes the case as fixed, a failed one sends it back for rework.

        Never by whoever handled the case, nor by the handling unit's people; a call back takes an evaluator.
        """
        by = _person(request.caller)
        command = (
            PassCheck(by, body.note, body.evidence)
            if body.reason is None
            else FailCheck(by, body.reason, body.note, body.evidence, body.failed)
        )
        return answer(await runtime.commands.execute(case_id, command, request, _verdict, at=body.at))

    @routes.post(
        "/cases/{case_id}/forced-closing", tags=["cases"], response_model=VerdictGiven, responses={409: PROBLEM}
    )
    async def force(case_id: CaseId, body: ForcedClosing, request: Given) -> Response:
        """Closes a case that no check can close; its outcome says that it was forced."""
        command = ForceClose(_person(request.caller), body.reason)
        return answer(await runtime.commands.execute(case_id, command, request, _verdict, at=body.at))

    @routes.post(
        "/cases/{case_id}/rating",
        tags=["ratings"],
        status_code=201,
        response_model=RatingTaken,
        responses={409: PROBLEM},
    )
    async def rate(case_id: CaseId, body: RatingGiven, request: Given) -> Response:
        """Takes a reporter's rating of a closed case, once a person, within the policy's days after the closing.

        The report that was merged into another case is rated there.
        """

        def taken(_: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
            return 201, {"case_id": case_id, "rating": body.rating, "rated_at": instant(events[0].time)}

        command = Rate(_person(request.caller), body.rating, body.comment)
        return answer(await runtime.commands.execute(case_id, command, request, taken, at=body.at))


def _add_cases(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get("/checks", tags=["checks"], response_model=CheckPage)
    async def checks(
        caller: Who,
        area: InArea = None,
        method: CheckMethod | None = None,
        due_before: Annotated[ClaimedInstant | None, Query(examples=["2026-05-10T12:00:00Z"])] = None,
        overdue: Annotated[bool, Query(description="Only those whose check is late by now.")] = False,
        mine: Annotated[bool, Query(description="Only those that the caller may check.")] = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """The check queue: cases whose work is done, the earliest due first."""
        now = runtime.clock()
        found = await queries.checks(
            runtime.database,
            area=area,
            method=method,
            due_before=min(due_before or now, now) if overdue else due_before,
            not_handled_by=caller.subject if mine else None,
            not_of_unit=caller.unit if mine else None,
            areas=caller.areas if mine else (),
            call_backs=not mine or "evaluator" in caller.roles,
            after=position(cursor, datetime, str),
            limit=limit + 1,
        )
        return Json(page(found, limit, lambda row: [row["check_due_at"], row["case_id"]]))

    @routes.get("/cases", tags=["cases"], response_model=CasePage)
    async def cases(
        status: Status | None = None,
        outcome: CaseOutcome | None = None,
        area: InArea = None,
        unit: OfUnit = None,
        category: OfCategory = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Cases, newest first; `since` and `until` are about the filing."""
        found = await queries.cases(
            runtime.database,
            status=status,
            outcome=outcome,
            area=area,
            unit=unit,
            category=category,
            since=since,
            until=until,
            before=_text(cursor),
            limit=limit + 1,
        )
        return Json(page(found, limit, lambda row: [row["case_id"]]))

    @routes.get("/cases/{case_id}", tags=["cases"], response_model=CaseShown)
    async def case(case_id: CaseId) -> Any:
        """One case with its assignments and ratings."""
        found = await queries.case(runtime.database, case_id)
        if found is None:
            raise NotFound(f"there is no case {case_id}")
        return Json(found, headers={"ETag": f'"{found.pop("version")}"'})


def _add_indicators(routes: APIRouter, runtime: Runtime) -> None:
    def question(
        by: By = "unit",
        level: Annotated[Level, Query(description="What `by=area` groups by.")] = "street",
        unit: OfUnit = None,
        area: InArea = None,
        category: OfCategory = None,
        since: Since = None,
        until: Until = None,
        as_of: Annotated[
            ClaimedInstant | None,
            Query(description="What had happened by then counts; `until` if absent, but never later than now."),
        ] = None,
    ) -> Question:
        now = runtime.clock()
        since, until = since or BEGINNING, until or now
        if until < since:
            raise Unusable("until", "lies before since")
        if as_of is not None and as_of > now:
            raise Unusable("as_of", "lies in the future, of which nothing is known")
        return Question(since, until, as_of or min(until, now), by, level, unit, area, category)

    @routes.get("/indicators", tags=["indicators"], response_model=IndicatorPage)
    async def figures(asked: Annotated[Question, Depends(question)], limit: Limit = 50, cursor: Cursor = None) -> Any:
        """The indicators of a period, by unit, area or category; each number with the list of cases behind it."""
        found = await indicators.groups(runtime.database, asked, after=_text(cursor), limit=limit + 1)
        items = [{"key": group["key"], "indicators": _figures(asked, group)} for group in found]
        return Json(
            {
                "by": asked.by,
                "level": asked.level,
                "since": asked.since,
                "until": asked.until,
                "as_of": asked.as_of,
                **page(items, limit, lambda group: [group["key"]]),
            }
        )

    @routes.get("/indicators/cases", tags=["indicators"], response_model=CasePage)
    async def behind(
        asked: Annotated[Question, Depends(question)],
        population: Annotated[Population, Query(description="Whose members are to be listed.", examples=["due"])],
        key: Annotated[Name, Query(description="Of the group.", examples=["dept:water"])],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """The cases behind one number of the indicators, newest first."""
        found = await indicators.behind(runtime.database, asked, population, key, before=_text(cursor), limit=limit + 1)
        return Json(page(found, limit, lambda row: [row["case_id"]]))

    @routes.get("/formulas", tags=["indicators"], response_model=FormulaPage)
    async def formulas() -> Any:
        """Every formula by name and version, in words; all on one page."""
        items = [
            {
                "formula": one.id,
                "name": one.name,
                "version": one.version,
                "about": one.about,
                "measure": one.measure,
                "definition": one.definition,
            }
            for one in FORMULAS
        ]
        return Json({"items": items, "next": None})


def _person(caller: Caller) -> Person:
    return Person(caller.subject, caller.unit, caller.areas, "evaluator" in caller.roles)


def _verdict(case: Case, events: Sequence[Event[Any]]) -> tuple[int, Any]:
    event = next(event for event in events if isinstance(event.data, Evaluated))
    given: Evaluated = event.data
    return 200, {
        "case_id": event.subject,
        "status": case.standing.status,
        "verdict": given.verdict,
        "outcome": given.outcome,
        "failed": given.failed,
        "reworks": given.reworks,
        "event_id": event.id,
    }


def _figures(asked: Question, group: Row) -> Row:
    return {
        name: {
            "formula": figure.formula.id,
            "value": indicators.value_of(figure, group),
            "of": group[figure.of] or 0,
            "cases": _link(asked, figure.of, group["key"]),
            "part": group[figure.part] or 0 if figure.part else None,
            "part_cases": _link(asked, figure.part, group["key"]) if figure.part else None,
        }
        for name, figure in FIGURES.items()
    }


def _link(asked: Question, population: Population, key: str) -> str:
    asked_for = {
        "population": population,
        "key": key,
        "by": asked.by,
        "level": asked.level,
        "unit": asked.unit,
        "area": asked.area,
        "category": asked.category,
        "since": instant(asked.since),
        "until": instant(asked.until),
        "as_of": instant(asked.as_of),
    }
    return "/indicators/cases?" + urlencode({name: value for name, value in asked_for.items() if value is not None})


def _text(cursor: str | None) -> str | None:
    found = position(cursor, str)
    return None if found is None else found[0]
