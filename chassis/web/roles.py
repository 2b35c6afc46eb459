"""What is checked when the route is known: the caller's roles by the table of routes, and the query's parameters."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from chassis.engine.commands import Unusable
from chassis.web.errors import Forbidden, Unauthenticated
from chassis.web.identity import NOBODY, Caller

ANYONE = frozenset({"*"})
"""The roles of a route that needs no token."""

SIGNED_IN = frozenset({"+"})
"""The roles of a route for every caller who is known."""

Route = tuple[str, str]
"""(method, path) as FastAPI knows it: `("POST", "/reports/{case_id}/withdrawal")`."""
Roles = Mapping[Route, frozenset[str]]
Parameters = Mapping[Route, Sequence[str]]
"""The names that each route takes in its query."""


def require(roles: Roles) -> Callable[[HttpRequest], Awaitable[None]]:
    """The dependency that checks a route's roles. A route that the table does not name is closed to everybody."""

    async def check(request: HttpRequest) -> None:  # async, or FastAPI would run it in a thread
        allowed = roles.get(_route(request), frozenset())
        if allowed == ANYONE:
            return
        caller: Caller = request.state.caller
        if caller is NOBODY:
            raise Unauthenticated("a bearer token or a client key is needed")
        if (lacking := lacking_role(allowed, caller)) is not None:
            raise Forbidden(lacking)

    return check


def lacking_role(allowed: frozenset[str], caller: Caller) -> str | None:
    """Which roles a caller would need for a route of these roles; None if the caller has one of them."""
    if allowed in (ANYONE, SIGNED_IN) or caller.roles & allowed:
        return None
    return f"needs one of the roles {', '.join(sorted(allowed)) or 'none'}"


def refuse_unknown_parameters(parameters: Parameters) -> Callable[[HttpRequest], Awaitable[None]]:
    """The dependency that refuses a query parameter which the route does not have, or which is given twice: a misspelt
    filter would return everything, and of two values one would be overlooked. It raises `Unusable`.

    It runs before FastAPI reads the query, so the models of queries need not forbid other names themselves.
    """

    async def check(request: HttpRequest) -> None:
        route = _route(request)
        known = parameters.get(route, ())
        for name in request.query_params:
            if name not in known:
                raise Unusable(name, f"is not a parameter of {route[1]}, which takes {', '.join(known) or 'none'}")
            if len(request.query_params.getlist(name)) > 1:
                raise Unusable(name, "is given twice")

    return check


def query_parameters(routes: Iterable[APIRoute]) -> Parameters:
    """What these routes take in their queries, in the order of the document."""
    return {
        (method, route.path): list(dict.fromkeys(_names(route.dependant)))
        for route in routes
        for method in route.methods or ()
    }


def _names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (field.alias or name for name, field in model.model_fields.items())
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _names(inner)


def unlisted(routes: Iterable[APIRoute], roles: Roles) -> list[Route]:
    """Routes that the table of roles does not name, and names of the table that are no routes."""
    there = [(method, route.path) for route in routes for method in route.methods or ()]
    return [route for route in there if route not in roles] + [route for route in roles if route not in there]


def routes_of(router: APIRouter) -> list[APIRoute]:
    """Every route of a router. The application itself does not list the routes of the routers that it includes."""
    return [route for route in router.routes if isinstance(route, APIRoute)]


def _route(request: HttpRequest) -> Route:
    return request.method, getattr(request.scope.get("route"), "path", request.url.path)
