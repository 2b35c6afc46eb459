"""A service's FastAPI application: its routes, roles and errors, and those that every service has."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi import Request as HttpRequest
from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Depends as DependsOn
from fastapi.responses import Response
from fastapi.routing import APIRoute

from chassis.clock import unmoved
from chassis.web import access, operations, reads
from chassis.web.dependencies import shorten
from chassis.web.errors import Json, handle_errors, problem
from chassis.web.gate import Gate, Rate
from chassis.web.identity import Identity
from chassis.web.openapi import describe
from chassis.web.parameters import check_parameters, parameters_of
from chassis.web.reading import boundless
from chassis.web.requests import Process
from chassis.web.roles import (
    Access,
    Bound,
    Roles,
    require,
    routes_of,
    unlisted,
)
from contracts.roles import STAFF
from contracts.status import SERVICES, shown_by


@dataclass(frozen=True)
class Routes:
    """Routes, with who may use each of them and how it is bound, and their tags in words."""

    router: APIRouter
    roles: Roles
    tags: Mapping[str, str]

    def __or__(self, other: "Routes") -> "Routes":
        """These routes and the others."""
        both = APIRouter()
        both.routes += [*self.router.routes, *other.router.routes]
        return Routes(both, {**self.roles, **other.roles}, {**self.tags, **other.tags})


OPERATIONS = Routes(operations.router, operations.ROLES, operations.TAGS)
READS = Routes(reads.router, reads.ROLES, reads.TAGS)
PARKED = Routes(operations.parked_router, operations.PARKED_ROLES, operations.PARKED_TAGS)


def access_to(roles: Roles) -> Routes:
    """`POST /access` of a service with these routes: for the staff who may read one case there at all."""
    readers = frozenset[str]().union(
        *(
            one.roles
            for (method, _), one in roles.items()
            if method == "GET" and one.bound in (Bound.CASE, Bound.ASSIGNMENT)
        )
    )
    return Routes(access.router, {access.ROUTE: Access(readers & STAFF, Bound.ACCESS)}, access.TAGS)


def build(
    name: str,
    release: str,
    process: Process,
    lifespan: Callable[[FastAPI], Any],
    routes: Routes,
) -> FastAPI:
    """The application of a process, with these routes. Raises `RuntimeError` where one is not declared."""
    every, roles = routes_of(routes.router), routes.roles
    if wrong := unlisted(every, roles):
        raise RuntimeError(f"routes without a declaration of access, or declarations without a route: {wrong}")
    if wrong := boundless(every, roles):
        raise RuntimeError(f"routes that are bound to what their caller may see, and never ask what that is: {wrong}")
    app = FastAPI(
        title=f"Casegrid {name}",
        description=getattr(sys.modules.get(f"services.{name}"), "__doc__", None) or "",
        version=release,
        lifespan=lifespan,
        default_response_class=Json,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would go to whatever host the request names
    )
    app.state.process = process
    checks = [Depends(require(roles)), Depends(check_parameters(parameters_of(every)))]
    for route in every:
        _add(app, route, checks)
    handle_errors(app)
    app.add_exception_handler(404, _no_such_path)
    app.add_exception_handler(405, partial(_other_method, every))
    describe(app, every, roles, routes.tags, shown_by(name) if name in SERVICES else ())
    shorten(route for route in app.routes if isinstance(route, APIRoute))
    app.add_middleware(
        Gate,
        identity=Identity(process.settings, process.registry, process.keys, unmoved(process.clock)),
        rate=Rate(process.settings.requests_per_second),
        failures=Rate(process.settings.failures_per_minute / 60, process.settings.failures_per_minute),
        limit=process.limit,
        arriving=process.arriving,
    )
    return app


def _add(app: FastAPI, route: APIRoute, checks: Sequence[DependsOn]) -> None:
    """Gives the application a route of its own like this one, with these checks before it: `shorten` changes it."""
    app.router.add_api_route(
        route.path,
        route.endpoint,
        response_model=route.response_model,
        status_code=route.status_code,
        tags=route.tags,
        dependencies=[*checks, *route.dependencies],
        summary=route.summary,
        description=route.description,
        response_description=route.response_description,
        responses=route.responses,
        deprecated=route.deprecated,
        methods=route.methods,
        include_in_schema=route.include_in_schema,
        response_class=Json if isinstance(route.response_class, DefaultPlaceholder) else route.response_class,
        name=route.name,
        openapi_extra=route.openapi_extra,
    )


async def _no_such_path(request: HttpRequest, _: Exception) -> Response:
    return problem(404, "Not found", f"there is nothing at {request.url.path}")


async def _other_method(routes: Sequence[APIRoute], request: HttpRequest, fault: Exception) -> Response:
    """The 405 that names every method of the path: the router knows only the first route that has it."""
    found = {method for route in routes if route.path_regex.match(request.url.path) for method in route.methods or ()}
    if not found:
        words, headers = f"{request.url.path} does not take {request.method}", getattr(fault, "headers", None)
    else:
        allowed = ", ".join(sorted(found))
        words, headers = f"{request.url.path} takes {allowed}, not {request.method}", {"Allow": allowed}
    return problem(405, "Method not allowed", words, headers=headers)
