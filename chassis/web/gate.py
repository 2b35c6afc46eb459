"""What every request passes before its route: trace, body limit, caller, rate, and that its body is JSON."""

import logging
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import telemetry
from chassis.engine.commands import Unusable
from chassis.web.errors import NUL_RULE, failed, problem, response_to, unusable
from chassis.web.identity import NOBODY, Identity
from contracts.wire import parse_json

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Of a request, in bytes."""
_LENGTH = re.compile(r"[0-9]{1,19}")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = re.compile(r"application/([^;]+\+)?json *(;.*)?", re.IGNORECASE)


class Rate:
    """A token bucket per caller: a steady rate, and a burst of two seconds' worth."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """0 if the request may pass, else the seconds to wait."""
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
    """ASGI middleware. Roles are checked later, by chassis.web.roles, when the route is known.

    No exception leaves it: what no route has answered is answered, or logged, inside the request's span.
    """

    def __init__(self, app: ASGIApp, *, identity: Identity, rate: Rate) -> None:
        self._app = app
        self._identity = identity
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        started = False
        with telemetry.server_span(method, scope["path"], headers.get("traceparent")) as span:

            async def traced(message: Message) -> None:
                nonlocal started
                if message["type"] == "http.response.start":
                    started = True
                    message["headers"] = [*message["headers"], (b"traceparent", span.traceparent.encode())]
                    span.ends(method, getattr(scope.get("route"), "path", None), message["status"])
                await send(message)

            try:
                receive = _bounded(receive)
                refusal = await self._admit(scope, headers)
                if refusal is None and method in _WITH_BODY:
                    receive = await _read(receive, headers.get("content-type", ""))
                await (refusal or self._app)(scope, receive, traced)
            except Exception as fault:
                response = response_to(fault)
                if response is None or started:
                    span.fails(fault)
                    log.exception("a request failed: %s %s", method, scope["path"])
                if not started:  # of an answer that has begun the server closes the connection
                    await (response or failed())(scope, receive, traced)

    async def _admit(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        length = headers.get("content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
            return problem(413, "Too large", f"a request may have {MAX_BODY} bytes at most")
        if "%00" in scope["path"] + scope["query_string"].decode("latin-1") or "\0" in scope["path"]:
            return unusable([{"field": "url", "rule": NUL_RULE}])
        caller = await self._identity.caller(headers.get("authorization"), headers.get("x-client-key"))
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


async def _read(receive: Receive, content_type: str) -> Receive:
    """The same request once more, of which the body is known to be I-JSON, as records of topics are.

    Raises `Unusable` and `contracts.wire.Invalid`. FastAPI's own reader would overlook the first of two equal names,
    and answer 400 to some of what it cannot read.
    """
    messages = deque[Message]()
    while not messages or messages[-1].get("more_body", False):
        messages.append(await receive())
    if body := b"".join(message.get("body", b"") for message in messages):
        if not _JSON.fullmatch(content_type):
            raise Unusable("Content-Type", "must be application/json")
        parse_json(body)

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return again
