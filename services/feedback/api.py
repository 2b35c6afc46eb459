"""Feedback over HTTP: the check queue, verdicts, and the figures of a period.

GET  /checks                          cases that wait for their check
POST /cases/{case_id}/check           what a check found
POST /cases/{case_id}/forced-closing  the shift leader closes a case that no check can close
GET  /cases, /cases/{case_id}         cases with their assignments, verdicts and ratings
GET  /cases/{case_id}/actions         what the caller may do with a case now
GET  /indicators, /indicators/cases   the figures of a period, and the cases behind each of them
GET  /formulas                        how every score and every figure is computed
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from chassis.engine.commands import CommandRequest
from chassis.engine.decider import Unknown
from chassis.web.actions import ActionList, Actions, actions_answer
from chassis.web.errors import Json
from chassis.web.filters import require_area, require_categories, require_status, require_unit
from chassis.web.reading import ReaderDep, ScopeDep
from chassis.web.requests import (
    CallerDep,
    ClockDep,
    CommandRequestDep,
    CommandsDep,
    DatabaseDep,
    answer,
    etag,
    reference_of,
)
from chassis.web.roles import ANYONE, Access, Bound, Route
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import CASE_ID
from contracts.reading import Matter, Sight
from contracts.roles import Role, Sees
from services.feedback import bodies, indicator_bodies, indicators, queries
from services.feedback.domain.case import Case, units_at_work, units_of
from services.feedback.domain.commands import Action, By, FailCheck, ForceClose, PassCheck, actions
from services.feedback.domain.formulas import FORMULAS
from services.feedback.examples import CASE
from services.feedback.indicators import Period
from services.feedback.reference import District

CHECKERS = frozenset({Role.GRID_MEMBER, Role.EVALUATOR})
CENTRE = frozenset({Role.DISPATCHER, Role.SHIFT_LEADER, Role.EVALUATOR, Role.AUDITOR, Role.ADMINISTRATOR})
READERS = CENTRE | {Role.ACCEPTOR, Role.GRID_MEMBER, Role.HANDLING_UNIT}

ROLES: dict[Route, Access] = {
    ("GET", "/checks"): Access(CHECKERS | CENTRE, Bound.LIST, Sees.PLACED),  # nobody checks what their unit handled
    ("POST", "/cases/{case_id}/check"): Access(CHECKERS, Bound.CASE, Sees.PLACED),
    ("POST", "/cases/{case_id}/forced-closing"): Access(frozenset({Role.SHIFT_LEADER}), Bound.CASE),
    ("GET", "/cases"): Access(READERS, Bound.LIST),
    ("GET", "/cases/{case_id}"): Access(READERS, Bound.CASE),
    ("GET", "/cases/{case_id}/actions"): Access(READERS, Bound.CASE),
    ("GET", "/indicators"): Access(READERS, Bound.LIST),
    ("GET", "/indicators/cases"): Access(READERS, Bound.LIST),
    ("GET", "/formulas"): Access(ANYONE, Bound.NOTHING),
}
TAGS = {
    "checks": "Work that is done is checked by somebody who did not do it.",
    "cases": "Cases with their assignments and verdicts.",
    "indicators": "The figures of a period, the cases behind them, and their formulas.",
}
_OPERATIONS: Mapping[Action, str] = {"check": "check_case", "force_closing": "force_closing"}
"""What may be done with a case -> the route that does it."""

CasePath = Annotated[
    str, Path(pattern=CASE_ID.pattern, description="The case, as filing its report gave it.", examples=[CASE])
]
DistrictDep = Annotated[District, Depends(reference_of)]

router = APIRouter()


async def _by(caller: CallerDep) -> By:
    return By(caller.subject, caller.unit, evaluator=Role.EVALUATOR in caller.roles)


ByDep = Annotated[By, Depends(_by)]


@router.get("/checks", tags=["checks"], response_model=bodies.CheckPage)
async def list_checks(
    filters: Annotated[bodies.CheckFilters, Query()],
    caller: CallerDep,
    scope: ScopeDep,
    database: DatabaseDep,
    clock: ClockDep,
    district: DistrictDep,
) -> Response:
    """Lists the cases that wait for their check, the earliest due first.

    A case waits once all of its assignments have ended, what came back was given out anew, and the lead's work is
    fixed; cases that are checked by rule only if the rule did not pass them. Callers see the cases of their areas, not
    those that their unit works on elsewhere, which it may not check. `mine=true` leaves out all that the caller may not
    check.
    """
    require_area(filters.area, district.areas.by_path)
    return Json(await queries.checks(database, filters, caller, scope, clock()))


@router.post("/cases/{case_id}/check", tags=["checks"], response_model=bodies.VerdictDetail)
async def check_case(
    case_id: CasePath,
    body: bodies.CheckBody,
    by: ByDep,
    reader: ReaderDep,
    request: CommandRequestDep,
    commands: CommandsDep,
) -> Response:
    """Says what a check found: the case is closed as fixed, or sent back for rework.

    The case must wait for its check (`check.not_ready`, `case.closed`). Neither whoever handled it nor anybody else of
    the units that did checks it (`check.separation`). A call back takes an evaluator (`check.by`). Assignments that
    failed must be work that counts for the case now (`check.failed`). After a failed check triage gives the work out
    anew.
    """
    if body.reason is None:
        command = PassCheck(by, body.note, body.evidence)
    else:
        command = FailCheck(by, body.reason, body.note, body.evidence, body.failed)
    request = replace(request, claimed_at=body.at, permits=reader.permits(matter, _unknown(case_id)))
    return answer(await commands.execute(case_id, command, request, _verdict))


@router.post("/cases/{case_id}/forced-closing", tags=["cases"], response_model=bodies.VerdictDetail)
async def force_closing(
    case_id: CasePath,
    body: bodies.ForcedClosingBody,
    by: ByDep,
    reader: ReaderDep,
    request: CommandRequestDep,
    commands: CommandsDep,
) -> Response:
    """Closes a case that no check can close.

    Its outcome is `forced`. The case must be open (`case.closed`). Neither whoever handled it nor anybody else of the
    units that did closes it (`closing.separation`).
    """
    command = ForceClose(by, body.reason)
    request = replace(request, claimed_at=body.at, permits=reader.permits(matter, _unknown(case_id)))
    return answer(await commands.execute(case_id, command, request, _verdict))


@router.get("/cases", tags=["cases"], response_model=bodies.CasePage)
async def list_cases(
    filters: Annotated[bodies.CaseFilters, Query()], scope: ScopeDep, database: DatabaseDep, district: DistrictDep
) -> Response:
    """Lists cases, the latest filed first; a case that was never filed stands where it was closed.

    Callers see the cases that they may read. A status that feedback does not show is refused, and the error names those
    that it shows. Dispatchers, shift leaders and evaluators look at those whose reporter asks to reopen them
    (`reopening_requested=true`): what must go on is filed anew.
    """
    _require_known(filters, district)
    require_status(filters.status, "feedback")
    return Json(await queries.cases(database, filters, scope))


@router.get("/cases/{case_id}", tags=["cases"], response_model=bodies.CaseDetail)
async def get_case(case_id: CasePath, reader: ReaderDep, database: DatabaseDep) -> Response:
    """Shows a case with its assignments, its verdict and its ratings.

    Who sees the case only because their unit works on it sees only the assignments that the unit was given or had, as
    far as feedback has heard, and of those who handled the case only their own. Of the scores they see their unit's,
    and of the lead nothing unless their unit leads; who checked the case, why it ended, what its reporter says of it,
    and which case it was merged into, they do not see; in lists, too.

    The ETag is what If-Match may name in a check or a forced closing.
    """
    found, asked, version = await queries.case(database, case_id)
    if await reader.sight(case_id, asked, _unknown(case_id)) is Sight.PART:
        found = queries.part_of(found, reader.scope.units)
    return Json(found, headers={"ETag": etag(version)})


@router.get("/cases/{case_id}/actions", tags=["cases"], response_model=ActionList)
async def list_actions(case_id: CasePath, reader: ReaderDep, by: ByDep, commands: CommandsDep) -> Response:
    """Lists what may be done with a case, and for each action whether the caller may take it now, or else the rule.

    Whoever may read the case may ask. The commands themselves are decided by
    the same rules. Rules about what is entered are not asked.
    """
    stream, inputs = await commands.consider(case_id, CommandRequest(reader.caller.subject))
    asked = matter(stream.state)
    if asked is None:
        raise Unknown(_unknown(case_id))
    await reader.sight(case_id, asked, _unknown(case_id))
    offered = Actions(router, ROLES, reader)
    found = actions(by, stream.state, inputs)
    items = [offered.item(_OPERATIONS[action], refused, asked, case_id=case_id) for action, refused in found.items()]
    return actions_answer(case_id, stream.version, items)


@router.get("/indicators", tags=["indicators"], response_model=indicator_bodies.IndicatorPage)
async def list_indicators(
    filters: Annotated[indicator_bodies.IndicatorFilters, Query()],
    scope: ScopeDep,
    database: DatabaseDep,
    clock: ClockDep,
    district: DistrictDep,
) -> Response:
    """Shows the figures of a period, by unit, area or category.

    Each number names its formula and the lists of the cases behind it. Of a district-wide role the cases in the areas
    of the token count, or all; of an area role those in the areas; of a unit's people those that the unit answers for.
    Cases that the caller may not read today do not count. The period is half-open, and what had happened by `as_of`
    counts: name it to get the same answer on any day, except for cases that are entered long after the fact, and of
    those that turn out to be what the caller may not read.
    """
    _require_known(filters, district)
    return Json(await indicators.figures(database, filters, Period.of(filters, clock()), scope))


@router.get("/indicators/cases", tags=["indicators"], response_model=bodies.CasePage)
async def list_indicator_cases(
    filters: Annotated[indicator_bodies.BehindFilters, Query()],
    scope: ScopeDep,
    database: DatabaseDep,
    clock: ClockDep,
    district: DistrictDep,
) -> Response:
    """Lists the cases behind one number of the figures, as they are now, the latest first.

    `cases` and `part_cases` of an indicator are these lists: follow them as they are. Numbers and lists leave out the
    same cases: those that the caller may not read today. A case stands in the list once, however often it counts.
    """
    _require_known(filters, district)
    return Json(await indicators.behind(database, filters, Period.of(filters, clock()), scope))


@router.get("/formulas", tags=["indicators"], response_model=indicator_bodies.FormulaPage)
async def list_formulas() -> Response:
    """Lists every formula by name and version, in words.

    All stand on one page. What a version means never changes.
    """
    return Json({"items": [{"formula": one.id, **asdict(one)} for one in FORMULAS], "next": None})


def matter(state: Case) -> Matter | None:
    """What the rule of reading asks of a case; None if feedback knows of none, or only of ends and extensions."""
    return Matter(state.area, state.category, units_of(state), units_at_work(state)) if state.known else None


def _unknown(case_id: str) -> str:
    return f"there is no case {case_id}"


def _require_known(filters: bodies.CaseFilters | indicator_bodies.IndicatorFilters, district: District) -> None:
    """Raises `Unusable` if a filter names what the district does not have."""
    require_area(filters.area, district.areas.by_path)
    require_unit(filters.unit, district.units.by_id)
    require_categories(filters.category, district.catalogue)


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
