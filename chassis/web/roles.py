"""What is checked when the route is known: the caller's roles, by the table of routes.

The table says of each route who may use it, and how what it shows is bound to the caller; contracts.reading has the
rule. The roles that count for the rule are those which the route is for.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.routing import APIRoute

from chassis.web.errors import Forbidden, Unauthenticated
from chassis.web.identity import NEEDED, NOBODY, Caller
from chassis.web.requests import Process
from contracts.homes import publisher_of
from contracts.reading import Scope, scope_of
from contracts.roles import Sees

ANYONE = frozenset({"*"})
"""The roles of a route that needs no token."""

SIGNED_IN = frozenset({"+"})
"""The roles of a route for every caller who is known."""

Route = tuple[str, str]
"""(method, path) as FastAPI knows it: `("POST", "/reports/{case_id}/withdrawal")`."""


class Bound(StrEnum):
    """How a route is bound to what its caller may see."""

    NOTHING = "nothing"
    """It tells of no case that was there before."""
    LIST = "list"
    """It lists or counts the cases that the caller may see, and leaves out all others."""
    CASE = "case"
    """It is about one case, which the caller must be allowed to see."""
    ASSIGNMENT = "assignment"
    """It is about one assignment, which the caller must be allowed to see."""
    ACCESS = "access"
    """It asks to read one case beyond the rule, which becomes a step of the case."""
    OWN = "own"
    """It is about the caller, or about a person whom the route's own rule names."""
    WHOLE = "whole"
    """It is for callers who may see every case: district-wide roles whose token names no areas."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route, and how it is bound."""

    roles: frozenset[str]
    bound: Bound
    by: Sees = ~Sees(0)
    """What the route shows cases by, of all that the caller's roles and the service see them by."""


Roles = Mapping[Route, Access]
_CLOSED = Access(frozenset(), Bound.NOTHING)


def require(roles: Roles) -> Callable[[HttpRequest], Awaitable[None]]:
    """The dependency that checks a route's roles. A route that the table does not name is closed to everybody."""

    async def check(request: HttpRequest) -> None:  # async, or FastAPI would run it in a thread
        access = roles.get(route_of(request), _CLOSED)
        caller: Caller = request.state.caller
        request.state.scope = scope = scope_on(access, caller, request.app.state.process)
        request.state.unasked = access.bound in (Bound.CASE, Bound.ASSIGNMENT)
        if access.roles == ANYONE:
            return
        if caller is NOBODY:
            raise Unauthenticated(NEEDED)
        if (lacking := lacking_role(access.roles, caller)) is not None:
            raise Forbidden(lacking)
        if access.bound is Bound.WHOLE and not scope.whole:
            raise Forbidden("this spans all cases, and the caller may not see all of them")

    return check


def scope_on(access: Access, caller: Caller, process: Process) -> Scope:
    """What the caller may see through a route."""
    units: Iterable[str] = {caller.unit} if caller.unit else ()
    if caller.source is not None:
        partner = process.registry.partners.by_id.get(publisher_of(caller.source))
        units = partner.units if partner is not None else ()
    return scope_of(caller.roles & access.roles, caller.areas, units, process.knows, access.by)


def lacking_role(allowed: frozenset[str], caller: Caller) -> str | None:
    """Which roles a caller would need for a route of these roles; None if the caller has one of them."""
    if allowed in (ANYONE, SIGNED_IN) or caller.roles & allowed:
        return None
    return f"needs one of the roles {', '.join(sorted(allowed)) or 'none'}"


def unlisted(routes: Iterable[APIRoute], roles: Roles) -> list[Route]:
    """Routes of which the table does not say who may use them and how they are bound, and names that are no routes."""
    there = [(method, route.path) for route in routes for method in route.methods or ()]
    undeclared = [route for route in there if not isinstance(roles.get(route), Access)]
    return undeclared + [route for route in roles if route not in there]


def routes_of(router: APIRouter) -> list[APIRoute]:
    """Every route of a router. The application itself does not list the routes of the routers that it includes."""
    return [route for route in router.routes if isinstance(route, APIRoute)]


def route_of(request: HttpRequest) -> Route:
    """The route that a request has come to."""
    return request.method, getattr(request.scope.get("route"), "path", request.url.path)
