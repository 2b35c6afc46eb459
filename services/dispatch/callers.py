"""Who calls dispatch over HTTP: what they may see, on whose behalf they act, and how their commands are executed."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Response

from chassis.engine.commands import CommandRequest
from chassis.engine.decider import Refused
from chassis.store.database import Database
from chassis.web.filters import require_area, require_unit
from chassis.web.reading import Reader, ReaderDep, sees
from chassis.web.requests import (
    CallerDep,
    CommandRequestDep,
    DecidingProcess,
    DecidingProcessDep,
    RegistryDep,
    answer,
    partner_behind,
)
from chassis.web.roles import Access, Bound, scope_on
from contracts import actors
from contracts.fields import case_of
from contracts.reading import Matter, Scope, Sight
from contracts.roles import Role
from services.dispatch import queries
from services.dispatch.bodies import UnitFilters
from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import Command, Urge
from services.dispatch.domain.permissions import By
from services.dispatch.reference import District
from services.dispatch.views import item, with_light

UNITS = frozenset({Role.HANDLING_UNIT, Role.GRID_MEMBER, Role.PARTNER})
CENTRE = frozenset({Role.DISPATCHER, Role.SHIFT_LEADER})
WATCHERS = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})
URGERS = CENTRE | {Role.ACCEPTOR}
READERS = UNITS | URGERS | WATCHERS | {Role.EVALUATOR}
PEOPLE = READERS - {Role.PARTNER}


async def _by(caller: CallerDep, registry: RegistryDep) -> By:
    """On whose behalf the caller acts. Raises `Forbidden` for a partner that is not registered for steps."""
    partner = partner_behind(caller, registry, "steps")
    if partner is not None:
        return By(frozenset(partner.units), partner=partner.id)
    units = frozenset({caller.unit} if caller.unit else ())
    return By(units, bool(caller.roles & CENTRE), Role.ACCEPTOR in caller.roles)


ByDep = Annotated[By, Depends(_by)]


@dataclass(frozen=True, slots=True)
class Reading:
    """A caller's request to read an assignment or a case."""

    process: DecidingProcess
    reader: Reader

    @property
    def scope(self) -> Scope:
        """What the caller may see."""
        return self.reader.scope

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
        """The assignment, and the version of its case. Raises `Unknown` or `NotFound`, or `Forbidden` if it is not for
        the caller.
        """
        found, version = await queries.assignment(self.database, assignment_id, self.now)
        shown = found.shown
        await self.reader.sight(shown["case_id"], found.matter, f"there is no assignment {assignment_id}")
        return shown, version

    async def case(self, case_id: str) -> tuple[dict[str, Any], int]:
        """The case with those of its assignments that the caller may see, and its version. Raises the same."""
        case, found, version = await queries.case(self.database, case_id, self.now)
        units = frozenset[str]().union(*(one.matter.units for one in found))
        working = frozenset[str]().union(*(one.matter.working for one in found))
        matter = Matter(case["area"], case["category"], units, working)
        sight = await self.reader.sight(case_id, matter, f"there is no case {case_id}")
        seen = [one.shown for one in found if sight is Sight.WHOLE or sees(self.scope, one.matter)]
        return {**case, "assignments": seen}, version


@dataclass(frozen=True, slots=True)
class Action:
    """A caller's request to act on an assignment, and the process that executes it."""

    process: DecidingProcess
    reader: Reader
    by: By
    request: CommandRequest

    async def execute(self, command: Command, at: datetime | None) -> Response:
        """Executes the command; answers with the assignment. Raises `NotFound`, or `Forbidden` if it is not for the
        caller.
        """
        name, process, powers = command.assignment_id, self.process, Powers(self.reader)
        permitted = self.reader.permits(partial(matter_of, name), f"there is no assignment {name}")

        def permits(state: Case) -> None:
            permitted(state)
            matter = matter_of(name, state)
            if matter is not None and (by := powers.on(command.by, matter)) != command.by:
                raise _Less(by)

        case_id, request = case_of(name), replace(self.request, claimed_at=at, permits=permits)
        district: District = process.reference

        def to_response(state: Case, _: Sequence[Any]) -> tuple[int, Any]:
            shown = item(case_id, state.assignments[name], district.rules.clock)
            return 200, with_light(shown, shown["yellow_at"], shown["red_at"], process.clock())

        while True:
            try:
                return answer(await process.commands.execute(case_id, command, request, to_response))
            except _Less as less:
                command = replace(command, by=less.by)

    async def urge_for_reporter(self, reason: str | None, assignment_id: str) -> None:
        """Lets a private person urge, if they may. Whether they could, and what is urged, they are not told.

        An idempotency key has no meaning here: all private persons are one actor.
        """
        request = replace(
            self.request, actor=actors.PRIVATE_PERSON, believed=False, idempotency_key=None, if_match=None
        )
        command = Urge(assignment_id, By(reporter=True), reason)
        with suppress(Refused):
            await self.process.commands.execute(case_of(assignment_id), command, request, lambda _, __: (202, None))


class _Less(Exception):
    """The caller acts on this case with less power than was assumed."""

    def __init__(self, by: By) -> None:
        super().__init__(by)
        self.by = by


@dataclass(frozen=True, slots=True)
class Powers:
    """For whom a caller acts on a case: for the centre only by a role of the centre that sees the case itself. Another
    role of theirs may show it to them, as that of a unit which has it somewhere else.
    """

    reader: Reader

    def on(self, by: By, matter: Matter) -> By:
        """The same caller, without the power that their role does not have on this case."""
        return replace(
            by,
            centre=by.centre and self._sees(CENTRE, matter),
            acceptor=by.acceptor and self._sees(frozenset({Role.ACCEPTOR}), matter),
        )

    def _sees(self, roles: frozenset[Role], matter: Matter) -> bool:
        return sees(scope_on(Access(roles, Bound.ASSIGNMENT), self.reader.caller, self.reader.process), matter)


def matter_of(assignment_id: str, state: Case) -> Matter | None:
    """What the rule asks of an assignment that is acted on; None if there is no such assignment."""
    assignment = state.assignments.get(assignment_id)
    if assignment is None:
        return None
    # Who was offered it and came too late hears that it is taken.
    return Matter(state.area, state.category, frozenset(assignment.candidates_ever), frozenset(assignment.workers))


async def _reading(process: DecidingProcessDep, reader: ReaderDep) -> Reading:
    return Reading(process, reader)


async def _action(process: DecidingProcessDep, reader: ReaderDep, by: ByDep, request: CommandRequestDep) -> Action:
    return Action(process, reader, by, request)


ReadingDep = Annotated[Reading, Depends(_reading)]
ActionDep = Annotated[Action, Depends(_action)]
