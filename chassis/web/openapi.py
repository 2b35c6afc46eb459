"""The OpenAPI document of a service, and the page that shows it, with assets that the process itself serves."""

import base64
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from chassis.web.requests import command_request, creating_request
from chassis.web.roles import ANYONE, SIGNED_IN, Roles
from contracts.roles import Role
from contracts.words import explained

_ASSETS = "/docs/assets"
_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token. On a development stack: `make token ROLE=dispatcher`.",
    },
    "clientKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Client-Key",
        "description": "The key of a partner's system, as `make partner` printed it.",
    },
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "An error, as RFC 9457 defines it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "description": "`urn:casegrid:rule:<rule>` where a rule forbids it, else `about:blank`.",
        },
        "title": {"type": "string", "description": "The kind of error, the same for all of its kind."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What was wrong with this request, in words."},
        "rule": {
            "type": "string",
            "description": "Of a 409, of a 429, and of a 503 of a busy process: the short name of the rule.",
        },
        "errors": {
            "type": "array",
            "description": "Of a 422: each field with the rule it breaks.",
            "items": {
                "type": "object",
                "title": "FieldError",
                "required": ["field", "rule"],
                "properties": {
                    "field": {"type": "string", "description": "The field, parameter or header."},
                    "rule": {"type": "string", "description": "The rule that it breaks."},
                },
            },
        },
        "cause": {"type": "string", "description": "Of a 503: what keeps the service from answering."},
        "parts": {
            "type": "object",
            "description": "Of a 503 of `/ready`: each part that is not ready, and why.",
            "additionalProperties": {"type": "string"},
        },
    },
}


def _problem(status: int, title: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


_NEEDS = "a bearer token or a client key is needed"
_CHANGED = "If-Match is 3, but the case is at version 4"
_MATCH = "send If-Match with the ETag of the version you decided on"
_LIMIT = "limit: must be 200 or less"
_ERRORS = [{"field": "limit", "rule": "must be 200 or less"}]
_CAUSE = "the database has not been reached yet"
_RATE = {"type": "urn:casegrid:rule:requests.rate", "rule": "requests.rate"}
_RULE = {"type": "urn:casegrid:rule:case.closed", "rule": "case.closed"}
_RESPONSES: Mapping[int, tuple[str, str, dict[str, Any]]] = {
    400: (
        "Malformed",
        "What came is not an HTTP/1.1 request, or its body is not framed as its headers say.",
        _problem(400, "Bad request", "this is not an HTTP/1.1 request"),
    ),
    401: ("Unauthenticated", "No valid token or client key came.", _problem(401, "Unauthenticated", _NEEDS)),
    403: (
        "Forbidden",
        "The caller's roles, areas or units do not allow it.",
        _problem(403, "Forbidden", "needs one of the roles dispatcher, shift_leader"),
    ),
    404: ("NotFound", "There is no such thing.", _problem(404, "Not found", "there is no case of that id")),
    408: (
        "TooSlow",
        "The request's headers or its body did not come in time.",
        _problem(408, "Request timeout", "the body did not come within 20 seconds"),
    ),
    409: (
        "Refused",
        "A rule forbids it; `rule` is its name.",
        _problem(409, "A rule forbids it", "the case was closed as fixed") | _RULE,
    ),
    412: (
        "Changed",
        "The case has changed since the version in If-Match.",
        _problem(412, "Precondition failed", _CHANGED),
    ),
    413: (
        "TooLarge",
        "The request has more bytes than a request may have.",
        _problem(413, "Too large", "a request may have 1048576 bytes at most"),
    ),
    414: ("LongUrl", "The URL has more than 16 KiB.", _problem(414, "URI too long", "the URL is too long")),
    422: (
        "BadInput",
        "A field, parameter or header breaks a rule; each is named.",
        _problem(422, "Bad input", _LIMIT, errors=_ERRORS),
    ),
    428: ("MatchRequired", "If-Match is missing.", _problem(428, "Precondition required", _MATCH)),
    429: (
        "TooMany",
        "The caller sends more than the rate allows, or has too many streams open; Retry-After says when to try again.",
        _problem(429, "Too many requests", "li sends more than the rate allows") | _RATE,
    ),
    431: (
        "LargeHead",
        "The request has more than 100 headers, or more than 32 KiB of them.",
        _problem(431, "Headers too large", "the request's headers are too many or too large"),
    ),
    500: (
        "Failed",
        "The request failed; its trace id names it in the logs.",
        _problem(500, "Internal error", "the request failed; its trace id names it in the logs"),
    ),
    503: (
        "NotReady",
        "The service cannot answer now; Retry-After says when to try again. `rule` is there where the process is ready,"
        " but has as much to do as it may at once: `requests.at_once`, `bodies.at_once`, `connections.at_once`,"
        " `connections.address`.",
        _problem(503, "Not ready", "the service cannot do this now; try again", cause=_CAUSE),
    ),
}
"""Status -> the name of its component, what it means, an example."""
GATE_STATUSES = (400, 401, 408, 413, 414, 422, 429, 431, 500, 503)
"""What every operation can answer with: a bad token, a body that is too large, a parameter that it does not have ..."""


def describe(
    app: FastAPI, routes: Sequence[APIRoute], roles: Roles, tags: Mapping[str, str], statuses: Collection[str]
) -> None:
    """Gives the application its document (`/openapi.json`) and its page (`/docs`).

    It describes the `tags`, and those `statuses` of a case that the service shows.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routes, roles, tags, statuses)
        return app.openapi_schema

    app.openapi = openapi  # FastAPI's documented way to extend the document
    app.mount(_ASSETS, _Assets(directory=str(files("fastapi_offline") / "static")), name="docs assets")
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url=f".{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f".{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f".{_ASSETS}/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page


class _Assets(StaticFiles):
    """Files of the page, which a browser may keep if it asks whether they changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        found = await super().get_response(path, scope)
        found.headers["Cache-Control"] = "no-cache"
        return found


def _policy(page: bytes) -> str:
    """What the page of the API may load: its own files, and the scripts that stand in it, by their hashes."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {' '.join(hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _document(
    app: FastAPI, routes: Sequence[APIRoute], roles: Roles, tags: Mapping[str, str], statuses: Collection[str]
) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        contact={"name": "Casegrid", "url": "https://casegrid.example"},
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "Where this document was served."}],
    )
    found["tags"] = [{"name": name, "description": words} for name, words in tags.items()]
    components = found.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    used: set[int] = set()
    for route in routes:
        for method in route.methods or ():
            operation = found["paths"][route.path][method.lower()]
            used |= _complete(route, operation, roles[method, route.path].roles)
    _explain(found, statuses)
    components["responses"] = {_RESPONSES[status][0]: _response(status) for status in sorted(used)}
    return found


def _explain(document: dict[str, Any], statuses: Collection[str]) -> None:
    """Puts the meaning of each value behind the description of every field and parameter that names none itself.

    Of the statuses of a case only those are explained that the service shows.
    """
    schemas = document["components"]["schemas"]
    described = [(field, field) for schema in schemas.values() for field in schema.get("properties", {}).values()]
    described += [
        (parameter, parameter["schema"])
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
    ]
    for named, schema in described:
        values, words = list(_values(schema)), named.get("description", "")
        if (meanings := explained(values, shown=statuses)) is not None and not any(
            f"`{value}`" in words for value in values
        ):
            named["description"] = f"{words} {meanings}".strip()


def _values(schema: Mapping[str, Any]) -> Iterator[str]:
    """The values of the enumeration that a schema holds, be it itself, its items or the names of its fields."""
    yield from schema.get("enum", ())
    for inner in (*schema.get("anyOf", ()), schema.get("items"), schema.get("propertyNames")):
        if inner is not None:
            yield from _values(inner)


def _complete(route: APIRoute, operation: dict[str, Any], allowed: frozenset[str]) -> set[int]:
    """Adds to an operation who may use it, and every error it can answer with; which of these it refers to.

    A route declares in `responses` what cannot be seen from its signature: `{428: {}}` where If-Match must be there.
    A test fails if a service answers it with a status that is not declared.
    """
    secured = allowed != ANYONE
    operation["operationId"] = route.name
    operation["summary"] = route.name.replace("_", " ").capitalize()
    if secured:
        partners = allowed == SIGNED_IN or Role.PARTNER in allowed
        operation["security"] = [{"token": []}, {"clientKey": []}] if partners else [{"token": []}]
        listed = "all" if allowed == SIGNED_IN else ", ".join(f"`{role}`" for role in sorted(allowed))
        operation["description"] = f"{operation.get('description', '')}\n\nRoles: {listed}.".strip()
    responses = operation["responses"]
    if "422" in responses and "HTTPValidationError" in str(responses["422"]):
        del responses["422"]
    declared = {int(status) for status in responses if int(status) in _RESPONSES}
    described = {status for status in declared if "content" in responses[str(status)]}
    referred = (declared | set(_statuses(route, secured))) - described
    for status in sorted(referred):
        responses[str(status)] = {"$ref": f"#/components/responses/{_RESPONSES[status][0]}"}
    return referred


def _statuses(route: APIRoute, secured: bool) -> Iterator[int]:
    yield from GATE_STATUSES
    if secured:
        yield 403
    if "{" in route.path:
        yield 404
    calls = list(_calls(route.dependant))
    if creating_request in calls:
        yield 409
    if command_request in calls:
        yield 412


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def _response(status: int) -> dict[str, Any]:
    _, words, example = _RESPONSES[status]
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    found: dict[str, Any] = {"description": words, "content": {"application/problem+json": content}}
    if status in (429, 503):
        found["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}, "example": 1}
        }
    return found
