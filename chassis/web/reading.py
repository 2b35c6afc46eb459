"""The rule of who may read, as routes apply it to their caller; contracts.reading has it.

A route that is about one case asks `Reader.sight` to read it, and gives its command `Reader.permits`; a list asks
`chassis.store.conditions` for the cases of the scope. Exceptional accesses are asked only where the rule refuses.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from fastapi import Request as HttpRequest

from chassis.store import accesses
from chassis.web.errors import Forbidden, NotFound
from chassis.web.identity import Caller
from chassis.web.requests import CallerDep, Process, ProcessDep
from contracts.reading import Matter, Scope, Sight


@dataclass(frozen=True, slots=True)
class Reader:
    """A caller who wants to read or to act, and what they may see through this route."""

    process: Process
    caller: Caller
    scope: Scope

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
        seen = self.scope.sight(matter)
        if seen in _SEEN:
            return seen
        if self.scope.staff and await (accessed or self._accessed(case_id))():
            return Sight.WHOLE
        raise _refusal(seen, matter, unknown)

    def require(self, matter: Matter, unknown: str) -> None:
        """Raises the same where the caller may not act on a case. An exceptional access does not count."""
        if (seen := self.scope.sight(matter)) not in _SEEN:
            raise _refusal(seen, matter, unknown)

    def require_area(self, area: str | None) -> None:
        """Raises `Forbidden` if a case in that area would not be for the caller."""
        if not self.scope.covers(area):
            raise Forbidden(f"the caller's areas do not include {area or 'a case without an area'}")

    def permits(self, matter_of: Callable[[Any], Matter | None], unknown: str) -> Callable[[Any], None]:
        """`CommandRequest.permits` of this caller; a state without a matter is left to the domain."""

        def check(state: Any) -> None:
            if (matter := matter_of(state)) is not None:
                self.require(matter, unknown)

        return check

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


async def _reader(process: ProcessDep, caller: CallerDep, scope: ScopeDep) -> Reader:
    return Reader(process, caller, scope)


ReaderDep = Annotated[Reader, Depends(_reader)]
