"""What may stand in a path and a query: the names that the route has, each once, and values written as JSON has them.

The library that reads values takes `1_0`, `+1` and `１` for numbers and `y` for a flag, which no document of ours says.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from fastapi import Request as HttpRequest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from chassis.engine.commands import Unusable
from chassis.web.roles import Route, route_of

_Rule = tuple[re.Pattern[str], str]
_WRITTEN: Mapping[type, _Rule] = {
    int: (re.compile(r"-?(?:0|[1-9][0-9]*)"), "must be a whole number"),
    bool: (re.compile(r"true|false"), "must be true or false"),
}
"""How the value of a type is written, and that in words."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of a route."""

    query: Mapping[str, _Rule | None]
    """Each name of its query -> how its value is written; None for texts."""
    path: Mapping[str, _Rule]
    """Likewise of its path, without texts."""


def check_parameters(every: Mapping[Route, Parameters]) -> Callable[[HttpRequest], Awaitable[None]]:
    """The dependency that refuses a query parameter which the route does not have, or which is given twice, and a value
    that is not written as its type is: a misspelt filter would return everything, and of two values one would be
    overlooked. It raises `Unusable`.

    It runs before FastAPI reads the query, so the models of queries need not forbid other names themselves.
    """

    async def check(request: HttpRequest) -> None:
        route = route_of(request)
        known = every.get(route, _NONE)
        for name, rule in known.path.items():
            _require(name, request.path_params[name], rule)
        if not request.scope["query_string"]:
            return
        query = request.query_params
        for name in query:
            if name not in known.query:
                takes = ", ".join(known.query) or "none"
                raise Unusable(name, f"is not a parameter of {route[1]}, which takes {takes}")
            if len(query.getlist(name)) > 1:
                raise Unusable(name, "is given twice")
            if (rule := known.query[name]) is not None:
                _require(name, query[name], rule)

    return check


_NONE = Parameters({}, {})


def _require(name: str, value: str, rule: _Rule) -> None:
    pattern, words = rule
    if not pattern.fullmatch(value):
        raise Unusable(name, words)


def parameters_of(routes: Iterable[APIRoute]) -> dict[Route, Parameters]:
    """What these routes take, in the order of the document."""
    return {
        (method, route.path): Parameters(dict(_query(route.dependant)), dict(_path(route.dependant)))
        for route in routes
        for method in route.methods or ()
    }


def _query(dependant: Dependant) -> Iterator[tuple[str, _Rule | None]]:
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_fields.items():
                yield field.alias or name, _written(field.annotation)
        else:
            yield parameter.alias, _written(model)
    for inner in dependant.dependencies:
        yield from _query(inner)


def _path(dependant: Dependant) -> Iterator[tuple[str, _Rule]]:
    for parameter in dependant.path_params:
        if (rule := _written(parameter.field_info.annotation)) is not None:
            yield parameter.alias, rule
    for inner in dependant.dependencies:
        yield from _path(inner)


def _written(annotation: Any) -> _Rule | None:
    """How a value of this type is written; None where it may be any text."""
    if isinstance(annotation, type) and annotation in _WRITTEN:
        return _WRITTEN[annotation]
    if get_origin(annotation) is Annotated:
        return _written(get_args(annotation)[0])
    found = {_written(inner) for inner in get_args(annotation) if inner is not type(None)}
    return found.pop() if len(found) == 1 else None
