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
from chassis.web.reading import Reader, ReaderDep
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
from contracts.reading import Matter, Scope, Sight
from contracts.roles import Role
from services.dispatch import queries
from services.dispatch.bodies import UnitFilters
from services.dispatch.domain.assignment import REPORTER
from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import Command, Urge
from services.dispatch.domain.permissions import By
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
        matter = Matter(case["area"], case["category"], units)
        sight = await self.reader.sight(case_id, matter, f"there is no case {case_id}")
        seen = [one.shown for one in found if sight is Sight.WHOLE or self.scope.units & one.matter.units]
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
        name, process = command.assignment_id, self.process
        permits = self.reader.permits(partial(matter_of, name), f"there is no assignment {name}")
        case_id, request = case_of(name), replace(self.request, claimed_at=at, permits=permits)
        district: District = process.reference

        def to_response(state: Case, _: Sequence[Any]) -> tuple[int, Any]:
            shown = item(case_id, state.assignments[name], district.rules.clock)
            return 200, with_light(shown, shown["yellow_at"], shown["red_at"], process.clock())

        return answer(await process.commands.execute(case_id, command, request, to_response))

    async def urge_for_reporter(self, reason: str | None, assignment_id: str) -> None:
        """Lets a private person urge, if they may. Whether they could, and what is urged, they are not told.

        An idempotency key has no meaning here: all private persons are one actor.
        """
        request = replace(self.request, actor=REPORTER, believed=False, idempotency_key=None, if_match=None)
        command = Urge(assignment_id, By(reporter=True), reason)
        with suppress(Refused):
            await self.process.commands.execute(case_of(assignment_id), command, request, lambda _, __: (202, None))


def matter_of(assignment_id: str, state: Case) -> Matter | None:
    """What the rule asks of an assignment that is acted on; None if there is no such assignment."""
    assignment = state.assignments.get(assignment_id)
    if assignment is None:
        return None
    # Who was offered it and came too late hears that it is taken.
    return Matter(state.area, state.category, frozenset(assignment.candidates_ever))


async def _reading(process: DecidingProcessDep, reader: ReaderDep) -> Reading:
    return Reading(process, reader)


async def _action(process: DecidingProcessDep, reader: ReaderDep, by: ByDep, request: CommandRequestDep) -> Action:
    return Action(process, reader, by, request)


ReadingDep = Annotated[Reading, Depends(_reading)]
ActionDep = Annotated[Action, Depends(_action)]
