"""What every request passes before its route: how many there are at once, trace, body limit, caller, rate, and that its
body is JSON.

And what every answer gets: its trace, its security headers, and, where it is a stream, an end with the caller's token.
"""

import asyncio
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
from chassis.web.arriving import LEAST_BYTES, Arriving
from chassis.web.concurrency import ConcurrencyLimit, Slot
from chassis.web.connections import network_of
from chassis.web.errors import NUL_RULE, TooMany, Unauthenticated, Unready, failed, problem, response_to, unusable
from chassis.web.headers import with_security
from chassis.web.identity import NEEDED, NOBODY, Caller, Identity
from contracts.wire import parse_json

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Of a request, in bytes."""
BODY_SECONDS = 20
"""How long a request's body may take to come."""
_FOR_STRANGERS = frozenset({"/health", "/ready"})
"""What is answered as to a stranger while nobody's credentials can be verified: it says what is wrong."""
_LENGTH = re.compile(r"[0-9]{1,19}")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = re.compile(r"application/([^;]+\+)?json *(;.*)?", re.IGNORECASE)


class Rate:
    """A token bucket per caller: a steady rate, and a burst, by default of two seconds' worth."""

    def __init__(
        self, per_second: float, burst: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_second
        self._burst = burst or per_second * 2
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """0 if the request may pass, else the seconds to wait."""
        wait, tokens, now = self._look(who)
        self._buckets[who] = (tokens - 1 if wait == 0 else tokens, now)
        self._buckets.move_to_end(who)
        if len(self._buckets) > 10_000:
            self._buckets.popitem(last=False)
        return wait

    def wait(self, who: str) -> float:
        """The same of a request that is not counted yet."""
        return self._look(who)[0]

    def _look(self, who: str) -> tuple[float, float, float]:
        """The seconds to wait, the tokens that are left, and the time."""
        now = self._clock()
        tokens, since = self._buckets.get(who, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        return 0.0 if tokens >= 1 else (1 - tokens) / self._rate, tokens, now


class Gate:
    """ASGI middleware. Roles are checked later, by chassis.web.roles, when the route is known.

    No exception leaves it: what no route has answered is answered, or logged, inside the request's span.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        identity: Identity,
        rate: Rate,
        failures: Rate,
        limit: ConcurrencyLimit,
        arriving: Arriving,
    ) -> None:
        """`failures` is how many wrong credentials an address may send."""
        self._app = app
        self._identity = identity
        self._rate = rate
        self._failures = failures
        self._limit = limit
        self._arriving = arriving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        scope.setdefault("state", {})
        started = False
        slot: Slot | None = None
        ends = asyncio.timeout(None)
        with telemetry.server_span(method, scope["path"], headers.get("traceparent")) as span:

            async def traced(message: Message) -> None:
                nonlocal started
                if message["type"] == "http.response.start":
                    if message["status"] < 300 and scope["state"].get("unasked", False):
                        raise RuntimeError("a route about one case answers without having asked who may read it")
                    started = True
                    if (at := self._end_of(message, scope["state"].get("caller", NOBODY))) is not None:
                        ends.reschedule(at)
                    message["headers"] = with_security(
                        [*message["headers"], (b"traceparent", span.traceparent.encode())]
                    )
                    span.ends(method, getattr(scope.get("route"), "path", None), message["status"])
                if slot is not None and _is_worked_off(message):
                    slot.give_up()
                await send(message)  # which waits for as long as the other side reads nothing

            try:
                if scope["path"] not in _FOR_STRANGERS:
                    self._limit.refuse_if_full(lambda: self._is_known(scope))
                receive = _bounded(receive)
                refusal = await self._admit(scope, headers)
                if refusal is None and method in _WITH_BODY:
                    caller: Caller = scope["state"]["caller"]
                    if caller is NOBODY:  # no route that takes a body is for strangers
                        raise Unauthenticated(NEEDED)
                    receive = await self._read(receive, headers.get("content-type", ""), caller.subject)
                if scope["path"] in _FOR_STRANGERS:
                    await (refusal or self._app)(scope, receive, traced)
                    return
                with self._limit.slot() as slot:
                    async with ends:
                        await (refusal or self._app)(scope, receive, traced)
            except _Gone:
                return
            except Exception as fault:
                if ends.expired():
                    await send({"type": "http.response.body", "body": b": the token has expired\n\n"})
                    return
                response = response_to(fault)
                if response is None or started:
                    span.fails(fault)
                    log.exception("a request failed: %s %s", method, scope["path"])
                if not started:  # of an answer that has begun the server closes the connection
                    await (response or failed())(scope, receive, traced)

    def _is_known(self, scope: Scope) -> bool:
        """Whether the request has credentials that were good before."""
        try:
            return self._identity.remembers(_only(scope, b"authorization"), _only(scope, b"x-client-key"))
        except Unauthenticated:
            return False

    async def _admit(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        length = headers.get("content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
            return problem(413, "Too large", f"a request may have {MAX_BODY} bytes at most")
        if "%00" in scope["path"] + scope["query_string"].decode("latin-1") or "\0" in scope["path"]:
            return unusable([{"field": "url", "rule": NUL_RULE}])
        try:
            caller = await self._caller(scope)
        except Unready:
            if scope["path"] not in _FOR_STRANGERS:
                raise
            caller = None
        scope["state"]["caller"] = caller or NOBODY
        who = caller.subject if caller else _address(scope)
        self._count(who)
        return None

    def _end_of(self, start: Message, caller: Caller) -> float | None:
        """When this answer must end, by the loop's clock: a stream with the token that it was asked for with."""
        left = self._identity.seconds_left(caller) if _is_stream(start) else None
        return None if left is None else asyncio.get_running_loop().time() + left

    def _count(self, who: str) -> None:
        """Raises `TooMany`."""
        wait = self._rate.take(who)
        if wait > 0:
            raise TooMany("requests.rate", f"{who} sends more than the rate allows", wait)

    async def _caller(self, scope: Scope) -> Caller | None:
        """The caller; None if they say nothing of who they are.

        Raises `Unauthenticated` and `Unready`, and `TooMany` if their address has sent too many wrong credentials; what
        was valid before passes all the same.
        """
        authorization, client_key = _only(scope, b"authorization"), _only(scope, b"x-client-key")
        if authorization is None and client_key is None:
            return None
        address = _address(scope)
        wait = self._failures.wait(address)
        if wait > 0 and not self._identity.remembers(authorization, client_key):
            raise TooMany("credentials.rate", "too many wrong tokens or client keys came from this address", wait)
        try:
            return await self._identity.caller(authorization, client_key)
        except Unauthenticated as fault:
            if fault.expired:
                self._count(address)
                raise
            self._failures.take(address)
            if self._failures.wait(address) > 0:
                log.warning("too many wrong tokens or client keys come from %s", address)
            raise

    async def _read(self, receive: Receive, content_type: str, who: str) -> Receive:
        """The same request once more, of which the body is known to be I-JSON, as records of topics are.

        Raises `Unusable`, `contracts.wire.Invalid`, `Overloaded`, and the 408 of a body that does not come. FastAPI's
        own reader would overlook the first of two equal names, and answer 400 to some of what it cannot read.
        """
        messages = deque[Message]()
        held = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not messages or messages[-1].get("more_body", False):
                    messages.append(message := await receive())
                    if message["type"] == "http.disconnect":  # what has come may be JSON all the same
                        raise _Gone
                    if message.get("more_body", False):
                        size = max(LEAST_BYTES, len(message.get("body", b"")))
                        self._arriving.take(who, size)
                        held += size
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_SECONDS} seconds") from None
        finally:
            if held:
                self._arriving.give_back(who, held)
        if body := b"".join(message.get("body", b"") for message in messages):
            if not _JSON.fullmatch(content_type):
                raise Unusable("Content-Type", "must be application/json")
            parse_json(body)

        async def again() -> Message:
            return messages.popleft() if messages else await receive()

        return again


class _Gone(Exception):
    """The caller has gone before the request was there: nobody waits for an answer."""


def _only(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may come once. Raises `Unauthenticated`."""
    found = [value.decode("latin-1") for header, value in scope["headers"] if header == name]
    if len(found) > 1:
        raise Unauthenticated(f"the header {name.decode()} is given twice")
    return found[0] if found else None


def _address(scope: Scope) -> str:
    """Where the request comes from."""
    return network_of((scope.get("client") or ("?",))[0])


def _is_worked_off(message: Message) -> bool:
    """Whether all that is left of a request is to send the answer, or a stream has begun, which waits for news."""
    if message["type"] == "http.response.body":
        return not message.get("more_body", False)
    return _is_stream(message)


def _is_stream(start: Message) -> bool:
    kind = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return kind.startswith(b"text/event-stream")


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
