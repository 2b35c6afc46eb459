"""The rule of who may read, as routes apply it to their caller; contracts.reading has it.

A route that is about one case asks `Reader.sight` to read it, and gives its command `Reader.permits`; a list asks
`chassis.store.conditions` for the cases of the scope. Exceptional accesses are asked only where the rule refuses.
A route that is bound to what its caller may see and never takes the scope does not start; one about a case that answers
without having asked is stopped by chassis.web.gate.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from fastapi import Request as HttpRequest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import State

from chassis.store import accesses
from chassis.web.errors import Forbidden, NotFound
from chassis.web.identity import Caller
from chassis.web.requests import CallerDep, Process, ProcessDep
from chassis.web.roles import Bound, Roles, Route
from contracts.reading import Matter, Scope, Sight


@dataclass(frozen=True, slots=True)
class Reader:
    """A caller who wants to read or to act, and what they may see through this route."""

    process: Process
    caller: Caller
    scope: Scope
    state: State
    """The request's own; it notes that the rule was asked, without which a route about one case answers nothing."""

    async def sight(
        self,
        case_id: str,
        matter: Matter,
        unknown: str,
        accessed: Callable[[], Awaitable[bool]] | None = None,
    ) -> Sight:
        """What the caller sees of a case: `WHOLE` or `PART`.

        Raises `NotFound` in the words `unknown`, those of a case that does not exist, or `Forbidden`. `accessed` says
        whether the caller has an exceptional access now, in a service that grants none itself.
        """
        self.asked()
        seen = self.scope.sight(matter)
        if seen in _SEEN:
            return seen
        if self.scope.staff and await (accessed or self._accessed(case_id))():
            return Sight.WHOLE
        raise _refusal(seen, matter, unknown)

    def require(self, matter: Matter, unknown: str) -> None:
        """Raises the same where the caller may not act on a case. An exceptional access does not count."""
        self.asked()
        if (seen := self.scope.sight(matter)) not in _SEEN:
            raise _refusal(seen, matter, unknown)

    def require_area(self, area: str | None) -> None:
        """Raises `Forbidden` if a case in that area would not be for the caller."""
        if not self.scope.covers(area):
            raise Forbidden(f"the caller's areas do not include {area or 'a case without an area'}")

    def permits(self, matter_of: Callable[[Any], Matter | None], unknown: str) -> Callable[[Any], None]:
        """`CommandRequest.permits` of this caller; a state without a matter is left to the domain."""

        def check(state: Any) -> None:
            self.asked()
            if (matter := matter_of(state)) is not None:
                self.require(matter, unknown)

        return check

    def asked(self) -> None:
        """Notes that the rule was asked. A route says so itself if its answer is the same whatever the case is."""
        self.state.unasked = False

    def _accessed(self, case_id: str) -> Callable[[], Awaitable[bool]]:
        async def ask() -> bool:
            return await accesses.valid(self.process.database, self.caller.subject, case_id, self.process.clock())

        return ask


_SEEN = (Sight.WHOLE, Sight.PART)


def sees(scope: Scope, matter: Matter) -> bool:
    """Whether the rule shows a case or a part of it."""
    return scope.sight(matter) in _SEEN


def _refusal(seen: Sight, matter: Matter, unknown: str) -> Exception:
    if seen is Sight.HIDDEN:
        return NotFound(unknown)
    return Forbidden(
        f"the caller's areas do not include {matter.area or 'a case without an area'}, nor has the caller's unit work"
        " there; POST /access gives a reason to read it all the same"
    )


async def scope_of_request(request: HttpRequest) -> Scope:
    """What the caller may see through the route; established before it runs."""
    return request.state.scope


ScopeDep = Annotated[Scope, Depends(scope_of_request)]


async def _reader(request: HttpRequest, process: ProcessDep, caller: CallerDep, scope: ScopeDep) -> Reader:
    return Reader(process, caller, scope, request.state)


ReaderDep = Annotated[Reader, Depends(_reader)]


def boundless(routes: Iterable[APIRoute], roles: Roles) -> list[Route]:
    """Routes that are declared to be bound to what their caller may see, and take neither scope nor reader."""
    return [
        (method, route.path)
        for route in routes
        for method in route.methods or ()
        if roles[method, route.path].bound in _BY_SCOPE and not _takes_scope(route.dependant)
    ]


_BY_SCOPE = (Bound.LIST, Bound.CASE, Bound.ASSIGNMENT)


def _takes_scope(dependant: Dependant) -> bool:
    return any(one.call is scope_of_request or _takes_scope(one) for one in dependant.dependencies)
