"""Who calls dispatch over HTTP: what they may see, on whose behalf they act, and how their commands are executed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Response

from chassis.engine.commands import CommandRequest
from chassis.store.database import Database
from chassis.web.errors import Forbidden
from chassis.web.filters import require_area, require_unit
from chassis.web.identity import Caller
from chassis.web.requests import (
    CallerDep,
    CommandRequestDep,
    DecidingProcess,
    DecidingProcessDep,
    RegistryDep,
    answer,
    partner_behind,
)
from contracts.fields import case_of
from contracts.roles import Role
from services.dispatch import queries
from services.dispatch.bodies import UnitFilters
from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import Command
from services.dispatch.domain.permissions import By
from services.dispatch.queries import Scope
from services.dispatch.reference import District
from services.dispatch.views import item, with_light

UNITS = frozenset({Role.HANDLING_UNIT, Role.GRID_MEMBER, Role.PARTNER})
CENTRE = frozenset({Role.DISPATCHER, Role.SHIFT_LEADER})
WATCHERS = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})
READERS = UNITS | CENTRE | WATCHERS | {Role.ACCEPTOR, Role.EVALUATOR}
PEOPLE = READERS - {Role.PARTNER}


async def _by(caller: CallerDep, registry: RegistryDep) -> By:
    """On whose behalf the caller acts. Raises `Forbidden` for a partner that is not registered for steps."""
    partner = partner_behind(caller, registry, "steps")
    if partner is not None:
        return By(frozenset(partner.units), partner=partner.id)
    units = frozenset({caller.unit} if caller.unit else ())
    return By(units, bool(caller.roles & CENTRE), Role.ACCEPTOR in caller.roles)


ByDep = Annotated[By, Depends(_by)]


async def _scope(caller: CallerDep, by: ByDep) -> Scope:
    """What the caller may see: a person's areas, a partner's units."""
    return Scope(caller.areas, by.units if by.partner is not None else None)


ScopeDep = Annotated[Scope, Depends(_scope)]


@dataclass(frozen=True, slots=True)
class Reading:
    """A caller's request to read an assignment or a case."""

    process: DecidingProcess
    caller: Caller
    scope: Scope

    @property
    def database(self) -> Database:
        """The service's own."""
        return self.process.database

    @property
    def now(self) -> datetime:
        """The time of reading."""
        return self.process.clock()

    @property
    def district(self) -> District:
        """What dispatch knows of its district."""
        return self.process.reference

    def refuse_unknown(self, filters: UnitFilters) -> None:
        """Raises `Unusable` if a filter names what the district does not have."""
        require_unit(filters.unit, self.district.rules.units.by_id)
        require_area(filters.area, self.district.areas)

    async def assignment(self, assignment_id: str) -> tuple[dict[str, Any], int]:
        """The assignment, and the version of its case. Raises `Unknown`, or `Forbidden` if it is not for the caller."""
        shown, version = await queries.assignment(self.database, assignment_id, self.now)
        self._visible(shown["area"], [shown])
        return shown, version

    async def case(self, case_id: str) -> tuple[dict[str, Any], int]:
        """The case with those of its assignments that the caller may see, and its version. Raises the same."""
        shown, version = await queries.case(self.database, case_id, self.now)
        return {**shown, "assignments": self._visible(shown["area"], shown["assignments"])}, version

    def _visible(self, area: str | None, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of a case's assignments that the caller may see. Raises `Forbidden` if it may see none."""
        self.caller.require_area(area)
        units = self.scope.units
        if units is None:
            return found
        own = [one for one in found if units.intersection((one["unit"], *one["offered_to"]))]
        if not own:
            raise Forbidden(f"no unit of {self.caller.source} has or is offered this")
        return own


@dataclass(frozen=True, slots=True)
class Action:
    """A caller's request to act on an assignment, and the process that executes it."""

    process: DecidingProcess
    caller: Caller
    by: By
    request: CommandRequest

    async def execute(self, command: Command, at: datetime | None) -> Response:
        """Executes the command; answers with the assignment. Raises `Forbidden` outside the caller's areas."""
        name, process = command.assignment_id, self.process
        case_id, request = case_of(name), replace(self.request, claimed_at=at)
        district: District = process.reference
        if self.caller.areas:
            shown, _ = await queries.assignment(process.database, name, process.clock())
            self.caller.require_area(shown["area"])

        def to_response(state: Case, _: Sequence[Any]) -> tuple[int, Any]:
            shown = item(case_id, state.assignments[name], district.rules.clock)
            return 200, with_light(shown, shown["yellow_at"], shown["red_at"], process.clock())

        return answer(await process.commands.execute(case_id, command, request, to_response))


async def _reading(process: DecidingProcessDep, caller: CallerDep, scope: ScopeDep) -> Reading:
    return Reading(process, caller, scope)


async def _action(process: DecidingProcessDep, caller: CallerDep, by: ByDep, request: CommandRequestDep) -> Action:
    return Action(process, caller, by, request)


ReadingDep = Annotated[Reading, Depends(_reading)]
ActionDep = Annotated[Action, Depends(_action)]
