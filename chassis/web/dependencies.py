"""What routes ask of a request, without FastAPI's cost for each of it.

FastAPI solves a dependency with all that it depends on each time it is named: some twenty microseconds, twenty to
thirty times in a request of ours. Most of what our routes ask needs the request alone, as do the checks of roles and
parameters. That is asked here, in the same order, each once, in one dependency that stands before all others. FastAPI
is left with what comes from headers, paths, queries and bodies, and with the OpenAPI document.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request as HttpRequest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

_Given = dict[Callable[..., Any], Any]
"""What was asked for already in this request: function -> what it gave."""
_Provide = Callable[[HttpRequest, _Given], Awaitable[Any]]

_GIVEN = "casegrid.given"
_REQUEST = "request_of_route"
"""The name under which a function that does not ask for the request is given it here."""
_ELSEWHERE = (
    *("path_params", "query_params", "header_params", "cookie_params", "body_params"),
    *("websocket_param_name", "http_connection_param_name", "response_param_name", "background_tasks_param_name"),
    *("security_scopes_param_name", "own_oauth_scopes", "scope", "concurrency"),
)
"""What makes a dependency one that FastAPI has to solve."""


def shorten(routes: Iterable[APIRoute]) -> None:
    """Lets these routes be answered as before, with one dependency in place of all that need the request alone."""
    for route in routes:
        dependant = route.dependant
        before = _taken_out(dependant)
        if before:
            dependant.dependencies.insert(0, Dependant(call=_first(before), request_param_name="request"))


def _function(dependant: Dependant) -> Callable[..., Any]:
    assert dependant.call is not None
    return dependant.call


def _of_request_alone(dependant: Dependant) -> bool:
    return (
        iscoroutinefunction(dependant.call)
        and dependant.use_cache
        and not any(getattr(dependant, name) for name in _ELSEWHERE)
        and all(map(_of_request_alone, dependant.dependencies))
    )


def _taken_out(dependant: Dependant) -> list[Dependant]:
    """Those of a dependant's dependencies that need the request alone, its dependencies' included, in FastAPI's order.
    They are not its dependencies any more: it finds what they gave. One that is a generator or runs in a thread stays
    as it is.
    """
    found: list[Dependant] = []
    if not iscoroutinefunction(dependant.call):
        return found
    mine = [one for one in dependant.dependencies if _of_request_alone(one)]
    for one in dependant.dependencies:
        found += [one] if one in mine else _taken_out(one)
    if mine:
        dependant.dependencies = [one for one in dependant.dependencies if one not in mine]
        _find_given(dependant, {one.name: _function(one) for one in mine if one.name is not None})
    return found


def _find_given(dependant: Dependant, names: dict[str, Callable[..., Any]]) -> None:
    """Makes a dependant's function find under these names what those functions gave."""
    function, name = _function(dependant), dependant.request_param_name
    if not names:
        return

    @wraps(function)
    async def finds(**values: Any) -> Any:
        request = values[name] if name is not None else values.pop(_REQUEST)
        given: _Given = request.scope[_GIVEN]
        for parameter, source in names.items():
            values[parameter] = given[source]
        return await function(**values)

    dependant.call = finds
    dependant.request_param_name = name or _REQUEST


def _first(dependants: Iterable[Dependant]) -> Callable[[HttpRequest], Awaitable[None]]:
    """What asks for all of these, before anything else of the route."""
    asked = {_function(one): _provide(one) for one in dependants}

    async def ask(request: HttpRequest) -> None:
        given: _Given = {}
        request.scope[_GIVEN] = given
        for function, provide in asked.items():
            if function not in given:
                given[function] = await provide(request, given)

    return ask


def _provide(dependant: Dependant) -> _Provide:
    function, name = _function(dependant), dependant.request_param_name
    parts = [(one.name, _function(one), _provide(one)) for one in dependant.dependencies]

    async def provide(request: HttpRequest, given: _Given) -> Any:
        values: dict[str, Any] = {} if name is None else {name: request}
        for parameter, source, part in parts:
            if source not in given:
                given[source] = await part(request, given)
            if parameter is not None:
                values[parameter] = given[source]
        return await function(**values)

    return provide
