"""The HTTP side of every service: callers and roles, problem+json (RFC 9457), paging, conditional requests, limits."""

import base64
import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import FastAPI, Header, Query
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import telemetry
from chassis.commands import Answer, MatchRequired, Request, Stale, Unusable
from chassis.database import PASSING
from chassis.decider import Refused, Unknown
from chassis.identity import ANYONE, NOBODY, Caller, Forbidden, Identity, Unauthenticated
from contracts.fields import MAX_INTEGER, ClaimedInstant
from contracts.wire import HoldsNul, TooLarge

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Of a request, in bytes."""
PAGE = 200
"""The most items of one page."""

_ETAG = re.compile(r'^(?:W/)?"?([0-9]{1,18})"?$')


_INSTANT: TypeAdapter[datetime] = TypeAdapter(ClaimedInstant)
_NUL = "a text may not contain the character U+0000"


class NotFound(Exception):
    """There is no such thing; the message names it. HTTP 404."""


class Unready(Exception):
    """The service cannot do this now; try again soon. HTTP 503."""


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """An RFC 9457 answer. `type` may be given among `more`; else `about:blank`."""
    kind = more.pop("type", "about:blank")
    headers = more.pop("headers", None)
    body = {"type": kind, "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def answer(given: Answer) -> Response:
    """A command's answer as HTTP, with its ETag."""
    headers = {"ETag": f'"{given.version}"'}
    if given.repeated:
        headers["Idempotency-Replayed"] = "true"
    return Response(given.body, given.status, headers, media_type="application/json")


async def caller_of(request: HttpRequest) -> Caller:
    """FastAPI dependency: who calls (established before the route ran). Async, or it would run in a thread."""
    return request.state.caller


async def command_request(
    request: HttpRequest,
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="The same key and body gives the stored answer.")
    ] = None,
    if_match: Annotated[str | None, Header(description="The ETag of the version that was decided on.")] = None,
) -> Request:
    """FastAPI dependency of every route that executes a command."""
    version = None
    if if_match is not None:
        match = _ETAG.match(if_match)
        if match is None:
            raise Unusable("If-Match", "must be an ETag this service gave")
        version = int(match[1])
    fingerprint = ""
    if idempotency_key is not None:
        body = await request.body()
        fingerprint = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
    return Request(request.state.caller, idempotency_key, fingerprint, version, telemetry.current.get())


Limit = Annotated[int, Query(ge=1, le=PAGE, description=f"Items of a page, {PAGE} at most.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]


def page(items: list[Any], limit: int, key: Callable[[Any], list[Any]]) -> dict[str, Any]:
    """A page of `items`, of which the caller fetched one more than `limit`; `key` gives the position of an item."""
    more = len(items) > limit
    items = items[:limit]
    return {"items": items, "next": encode_cursor(key(items[-1])) if more else None}


def encode_cursor(key: list[Any]) -> str:
    """A position in a list, opaque to the caller."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def position(cursor: str | None, *kinds: type[datetime] | type[str] | type[int]) -> Any:
    """The position behind a cursor, a tuple of instants, texts and numbers, as `kinds` say; None without a cursor.

    Raises `Unusable` where it is none of ours.
    """
    if cursor is None:
        return None
    try:
        key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list):
            raise TypeError
        return tuple(_part(part, kind) for part, kind in zip(key, kinds, strict=True))
    except (TypeError, ValueError, OverflowError):
        raise Unusable("cursor", "is not one this service gave") from None


def _part(part: Any, kind: type[Any]) -> Any:
    """One part of a position. Raises `TypeError` or `ValueError` where it cannot be."""
    if kind is datetime:
        return _INSTANT.validate_python(part)
    if type(part) is not kind:
        raise TypeError
    if (isinstance(part, int) and not 0 <= part <= MAX_INTEGER) or (isinstance(part, str) and "\0" in part):
        raise ValueError
    return part


class Rate:
    """A token bucket per caller: a steady rate, and a burst of two seconds' worth."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """0 where the request may pass, else the seconds to wait."""
        now = self._clock()
        tokens, since = self._buckets.get(who, (self._rate * 2, now))
        tokens = min(self._rate * 2, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[who] = (tokens - 1 if wait == 0 else tokens, now)
        self._buckets.move_to_end(who)
        if len(self._buckets) > 10_000:
            self._buckets.popitem(last=False)
        return wait


class Gate:
    """ASGI middleware: trace, body limit, caller, rate. Roles are checked by `require`, once the route is known."""

    def __init__(self, app: ASGIApp, *, identity: Identity, rate: Rate) -> None:
        self._app = app
        self._identity = identity
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with telemetry.serving(f"{scope['method']} {scope['path']}", headers.get("traceparent")) as traceparent:
            refusal = await self._admit(scope, headers)
            if refusal is not None:
                await refusal(scope, receive, send)
                return

            async def traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"traceparent", traceparent.encode())]
                await send(message)

            await self._app(scope, _bounded(receive), traced)

    async def _admit(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return problem(413, "Too large", f"a request may have {MAX_BODY} bytes at most")
        if "%00" in scope["path"] + scope["query_string"].decode("latin-1") or "\0" in scope["path"]:
            return problem(422, "Bad input", _NUL, errors=[{"field": "url", "rule": _NUL}])
        try:
            caller = await self._identity.caller(headers.get("authorization"), headers.get("x-client-key"))
        except Unauthenticated as fault:
            return problem(401, "Unauthenticated", str(fault), headers={"WWW-Authenticate": "Bearer"})
        scope.setdefault("state", {})["caller"] = caller or NOBODY
        who = caller.subject if caller else (scope.get("client") or ("?",))[0]
        wait = self._rate.take(who)
        if wait > 0:
            return problem(
                429,
                "Too many requests",
                f"{who} sends more than the rate allows",
                headers={"Retry-After": str(max(1, round(wait)))},
            )
        return None


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                raise HTTPException(413, f"a request may have {MAX_BODY} bytes at most")
        return message

    return bounded


def require(app: FastAPI, roles: Mapping[tuple[str, str], frozenset[str]]) -> Callable[[HttpRequest], Awaitable[None]]:
    """The dependency that checks a route's roles. A route that the table does not name is closed to all."""

    async def check(request: HttpRequest) -> None:  # async, or FastAPI would run it in a thread
        route = request.scope.get("route")
        path = getattr(route, "path", request.url.path)
        allowed = roles.get((request.method, path), frozenset())
        if allowed == ANYONE:
            return
        caller: Caller = request.state.caller
        if caller is NOBODY:
            raise Unauthenticated("a bearer token or a client key is needed")
        if not caller.roles & allowed:
            raise Forbidden(f"needs one of the roles {', '.join(sorted(allowed)) or 'none'}")

    return check


def unlisted(app: FastAPI, roles: Mapping[tuple[str, str], frozenset[str]]) -> list[tuple[str, str]]:
    """Routes that the table of roles does not name."""
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            found += [(method, route.path) for method in route.methods or () if (method, route.path) not in roles]
    return found


def handle_errors(app: FastAPI) -> None:
    """Turns every expected exception into its problem+json."""

    def on(kind: type[Exception], make: Callable[[Any], Response]) -> None:
        async def handler(_: HttpRequest, fault: Exception) -> Response:
            return make(fault)

        app.add_exception_handler(kind, handler)

    on(Unknown, lambda f: problem(404, "Not found", str(f)))
    on(Refused, lambda f: problem(409, "A rule forbids it", str(f), type=f"urn:casegrid:rule:{f.rule}", rule=f.rule))
    on(Stale, lambda f: problem(412, "Precondition failed", str(f)))
    on(MatchRequired, lambda f: problem(428, "Precondition required", str(f)))
    on(Unauthenticated, lambda f: problem(401, "Unauthenticated", str(f), headers={"WWW-Authenticate": "Bearer"}))
    on(Forbidden, lambda f: problem(403, "Forbidden", str(f)))
    on(NotFound, lambda f: problem(404, "Not found", str(f)))
    on(Unready, _unready)
    on(Unusable, lambda f: _unusable([{"field": f.field, "rule": f.rule}]))
    on(TooLarge, lambda f: _unusable([{"field": "data", "rule": str(f)}]))
    on(HoldsNul, lambda f: _unusable([{"field": "body", "rule": _NUL}]))
    on(RequestValidationError, _invalid)
    for kind in (asyncpg.UntranslatableCharacterError, asyncpg.CharacterNotInRepertoireError):
        on(kind, lambda f: _unusable([{"field": "body", "rule": _NUL}]))
    on(HTTPException, lambda f: problem(f.status_code, str(f.detail), str(f.detail), headers=f.headers))
    for kind in PASSING:
        on(kind, _unready)
    on(Exception, lambda f: problem(500, "Internal error", "the request failed; its trace id names it in the logs"))


def _unready(fault: Exception) -> Response:
    log.warning("a request could not be served now: %r", fault)
    return problem(
        503, "Not ready", "the service cannot do this now; try again", headers={"Retry-After": "1"}, cause=str(fault)
    )


def _invalid(fault: RequestValidationError) -> Response:
    found = [
        {"field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), "rule": item["msg"]}
        for item in fault.errors()
    ]
    return _unusable(found)


def _unusable(errors: list[dict[str, str]]) -> Response:
    words = "; ".join(f"{item['field']}: {item['rule']}" for item in errors[:5])
    return problem(422, "Bad input", words, errors=errors)


class Json(JSONResponse):
    """JSON by orjson: instants in RFC 3339 with Z."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
