"""Errors as problem+json (RFC 9457): one table from exception to status."""

import logging
from collections.abc import Callable
from itertools import groupby
from math import ceil
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from chassis.engine.commands import MatchRequired, Stale, Unusable
from chassis.engine.decider import Refused, Unknown
from chassis.retry import in_short, in_words
from chassis.store.database import TRANSIENT_ERRORS
from contracts.wire import HoldsNul, Invalid, TooLarge, broken

log = logging.getLogger(__name__)

NUL_RULE = "a text may not contain the character U+0000"


class Unauthenticated(Exception):
    """No caller could be established; the message says what was wrong. HTTP 401."""

    def __init__(self, words: str, *, expired: bool = False) -> None:
        """`expired`: it was right once, so nobody guesses."""
        super().__init__(words)
        self.expired = expired


class Forbidden(Exception):
    """The caller is known, but may not do this; the message names what would be needed. HTTP 403."""


class NotFound(Exception):
    """There is no such thing; the message names it. HTTP 404."""


class TooMany(Exception):
    """The caller has as many as one may have at once, or in a time; the rule names of what. HTTP 429."""

    def __init__(self, rule: str, words: str, wait_seconds: float) -> None:
        """After `wait_seconds` it is worth asking again."""
        super().__init__(words)
        self.rule = rule
        self.wait_seconds = wait_seconds


class Unready(Exception):
    """The service cannot do this now; try again soon. The message is for everybody, as `NotNow`'s. HTTP 503."""

    def __init__(self, words: str, retry_after_seconds: int = 1) -> None:
        super().__init__(words)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Exception):
    """The process does as much at once as it may; the rule names of what. HTTP 503."""

    def __init__(
        self,
        wait_seconds: float,
        rule: str = "requests.at_once",
        words: str = "this process works on as many requests as it may at once; ask again later",
    ) -> None:
        """After `wait_seconds` it is worth asking again."""
        super().__init__(words)
        self.rule = rule
        self.wait_seconds = wait_seconds


class Json(JSONResponse):
    """JSON by orjson: instants in RFC 3339 with Z."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """An RFC 9457 response. `type` may be given among `more`, otherwise it is `about:blank`; so may `headers`."""
    kind = more.pop("type", "about:blank")
    headers = more.pop("headers", None)
    body = {"type": kind, "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def unusable(errors: list[dict[str, str]]) -> Response:
    """The 422 that names each field with the rule it breaks."""
    words = "; ".join(f"{item['field']}: {item['rule']}" for item in errors[:5])
    return problem(422, "Bad input", words, errors=errors)


def response_to(fault: Exception) -> Response | None:
    """What the table of errors answers to an exception; None for one that nobody expects."""
    for kind in type(fault).__mro__:
        if (make := _RESPONSES.get(kind)) is not None:
            return make(fault)
    return None


def failed() -> Response:
    """The 500 of an exception that nobody expects. Whoever answers with it logs the exception."""
    return problem(500, "Internal error", "the request failed; its trace id names it in the logs")


def handle_errors(app: FastAPI) -> None:
    """Turns every expected exception of a route into its problem+json; the gate answers to all others."""

    async def handler(_: HttpRequest, fault: Exception) -> Response:
        return response_to(fault) or failed()

    for kind in _RESPONSES:
        app.add_exception_handler(kind, handler)


def _unready(fault: Exception) -> Response:
    cause = str(fault) if isinstance(fault, Unready) else in_short(fault)
    seconds = fault.retry_after_seconds if isinstance(fault, Unready) else 1
    chain = [fault] if fault.__cause__ is None else [fault, fault.__cause__]
    log.warning("a request could not be served now: %s", "; ".join(map(in_words, chain)))
    words = "the service cannot do this now; try again"
    return problem(503, "Not ready", words, headers={"Retry-After": str(seconds)}, cause=cause)


def _later(status: int, title: str, fault: TooMany | Overloaded) -> Response:
    kind, headers = f"urn:casegrid:rule:{fault.rule}", {"Retry-After": str(max(1, ceil(fault.wait_seconds)))}
    return problem(status, title, str(fault), type=kind, rule=fault.rule, headers=headers)


def _invalid(fault: RequestValidationError) -> Response:
    return unusable(
        [
            {"field": field or place, "rule": rule}
            for place, errors in groupby(fault.errors(), lambda item: str(item["loc"][0]))
            for field, rule in broken(errors, 1)
        ]
    )


def _unreadable(fault: Invalid) -> Response:
    """Of a body: it is read like a record of a topic."""
    field, _, rule = str(fault).partition(": ")
    return unusable([{"field": "body" if field == "record" else field, "rule": rule}])


def _holds_nul(_: Exception) -> Response:
    return unusable([{"field": "body", "rule": NUL_RULE}])


_RESPONSES: dict[type, Callable[[Any], Response]] = {
    Unknown: lambda f: problem(404, "Not found", str(f)),
    NotFound: lambda f: problem(404, "Not found", str(f)),
    Refused: lambda f: problem(409, "A rule forbids it", str(f), type=f"urn:casegrid:rule:{f.rule}", rule=f.rule),
    Stale: lambda f: problem(412, "Precondition failed", str(f)),
    MatchRequired: lambda f: problem(428, "Precondition required", str(f)),
    Unauthenticated: lambda f: problem(401, "Unauthenticated", str(f), headers={"WWW-Authenticate": "Bearer"}),
    Forbidden: lambda f: problem(403, "Forbidden", str(f)),
    TooMany: lambda f: _later(429, "Too many requests", f),
    Unusable: lambda f: unusable([{"field": f.field, "rule": f.rule}]),
    TooLarge: lambda f: unusable([{"field": "data", "rule": str(f)}]),
    RequestValidationError: _invalid,
    Invalid: _unreadable,
    HoldsNul: _holds_nul,
    asyncpg.UntranslatableCharacterError: _holds_nul,
    asyncpg.CharacterNotInRepertoireError: _holds_nul,
    HTTPException: lambda f: problem(f.status_code, str(f.detail), str(f.detail), headers=f.headers),
    Unready: _unready,
    Overloaded: lambda f: _later(503, "Busy", f),
    **dict.fromkeys(TRANSIENT_ERRORS, _unready),
}
