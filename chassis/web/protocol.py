"""HTTP on one connection: uvicorn's, with an end to whatever is only half there.

A request has a number of bytes and of seconds for its head and for its body; an answer that is not read, and requests
that are sent before their turn, have a bound. What is over it is answered with a problem+json as far as that can be
said between other answers, and the connection ends. No timer is set for it: the server looks at every connection once
a second.
"""

import math
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chassis.web import connections
from chassis.web.connections import Connections, Refusal

_REST_BYTES = 2 * 1024 * 1024
"""Of a body that nobody reads, because its request was answered; until then a caller may send before it listens."""
_LINGER_SECONDS = 2.0
"""For which a refused caller may go on sending. With bytes unread the system would end the connection with a reset, and
the answer might be lost."""
_LINGERING = 64
"""Who may do so at once; everybody else is cut off."""
_EXCESS = 64
"""Connections beyond the limit of which the request is awaited for a moment, because it may be a probe."""
_PROBES = frozenset({b"/health", b"/ready"})
"""What is answered all the same, or a process with many connections would be taken for a dead one."""


_HEAD, _BODY, _WORK, _END = range(4)
"""What a connection waits for: a request's head (it may have begun), its body, the answer; or, when nothing is read any
more, its end. Numbers, because a member of an enumeration takes longer to look up, ten times in each request.
"""


class _Over(Exception):
    """Raised within the parser, to end its work."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `look` must be called every second or so."""

    def __init__(self, counted: Connections, **more: Any) -> None:
        """`more` is what uvicorn gives its protocol."""
        super().__init__(**more)
        self.url = b""
        self._counted = counted
        self._limits = counted.limits
        self._host = ""
        self._phase = _HEAD
        self._until = math.inf
        """When this phase must have ended, by the loop's clock."""
        self._received = 0
        """Bytes since this phase began; what came with the end of the phase before it is not among them."""
        self._chunk = 0
        """Bytes that came last."""
        self._most = self._limits.head_bytes
        self._over: Refusal | None = None
        """Why the parser's work was ended."""
        self._unsent = (0, 0.0)
        """How many bytes of answers had not left at the last look, and since when they do not become less."""
        self._waiting: Refusal | None = None
        """What is to be said when the requests before it have been answered."""
        self._lingers = False
        self._excess: Refusal | None = None
        """Why this connection is one too many."""

    def connection_made(self, transport: Any) -> None:
        """Refuses the connection if there are too many, as soon as it is known that it is no probe."""
        super().connection_made(transport)
        self._host = self.client[0] if self.client else "?"
        self._begin(_HEAD, self._limits.head_seconds)
        if (refusal := self._counted.opened(self._host)) is None:
            return
        if self._counted.excess >= _EXCESS:
            self._refuse(refusal)
            return
        self._excess = refusal
        self._counted.excess += 1
        self._until = self.loop.time() + _LINGER_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        self._counted.closed(self._host)
        self._counted.lingering -= self._lingers
        self._counted.excess -= self._excess is not None

    def data_received(self, data: bytes) -> None:
        """Reads on, unless the connection is to end."""
        self._chunk = len(data)
        self._received += self._chunk
        if self._phase == _END:
            if self._received > self._most:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)  # pyright: ignore[reportOptionalMemberAccess]  None when it is closed only
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # what follows is no HTTP any more, as the parser sees it
        except httptools.HttpParserError:
            self._refuse(self._over or connections.MALFORMED)
            return
        if self._phase == _BODY and self._until == math.inf:
            self._until = self.loop.time() + self._limits.body_seconds
        if self._received > self._most:
            if self._phase != _BODY:
                long = len(self.url) > self._limits.url_bytes
                self._refuse(connections.LONG_URL if long else connections.LARGE_HEAD)
            elif self.cycle.response_complete:
                self._refuse(connections.LARGE_BODY)

    def on_headers_complete(self) -> None:
        """Raises `_Over` for a head that is too large, and for a request too many."""
        limits = self._limits
        if len(self.url) > limits.url_bytes:
            self._over = connections.LONG_URL
        elif len(self.headers) > limits.headers or (
            (self._received > limits.head_bytes or self._chunk > limits.head_bytes)
            and sum(len(name) + len(value) for name, value in self.headers) > limits.head_bytes
        ):
            self._over = connections.LARGE_HEAD
        elif len(self.pipeline) >= limits.pipelined:
            self._over = connections.PIPELINED
        elif self._excess is not None and self.url.partition(b"?")[0] not in _PROBES:
            self._over = self._excess
        if self._over is not None:
            raise _Over
        super().on_headers_complete()
        self._phase, self._until, self._received, self._most = _BODY, math.inf, 0, _REST_BYTES

    def on_message_complete(self) -> None:
        """A request has come as a whole."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._begin(_HEAD, self._limits.head_seconds)
        else:
            self._phase, self._until, self._received, self._most = _WORK, math.inf, 0, self._limits.head_bytes

    def on_response_complete(self) -> None:
        """A request has been answered."""
        last = not self.pipeline
        super().on_response_complete()
        if self._waiting is not None and last and not self.transport.is_closing():
            self._end(self._waiting)
        if self._phase == _WORK and self.cycle.response_complete:
            self._phase, self._until = _HEAD, self.loop.time() + self._limits.head_seconds

    def look(self, now: float) -> None:
        """Ends what has stood still for too long; `now` is by the loop's clock."""
        unsent, (before, since) = self.transport.get_write_buffer_size(), self._unsent
        if unsent == 0 or unsent < before or before == 0:
            self._unsent = (unsent, now)
        elif now - since > self._limits.unread_seconds:
            self._counted.refused(connections.UNREAD, self._host)
            self.transport.abort()
            return
        else:
            self._unsent = (unsent, since)
        if now < self._until or self.transport.is_closing():
            return
        if self._phase == _END:
            self.transport.abort()
        elif self._excess is not None and self._phase == _HEAD:
            self._refuse(self._excess)
        elif self.flow.read_paused:  # the process does not read on
            self._until = now + self._limits.head_seconds
        elif self._phase == _BODY:
            self._refuse(connections.SLOW_BODY)
        else:
            self._refuse(connections.SLOW_HEAD if self._received else connections.IDLE)

    def _begin(self, phase: int, seconds: float) -> None:
        self._phase = phase
        self._until = self.loop.time() + seconds
        self._received = 0
        self._most = _REST_BYTES if phase == _BODY else self._limits.head_bytes

    def _refuse(self, refusal: Refusal) -> None:
        """Reads nothing any more. Requests before this one are answered before it is."""
        self._counted.refused(refusal, self._host)
        phase, newest = self._phase, self.cycle
        self._begin(_END, math.inf)
        self._most = _REST_BYTES
        if newest is None or newest.response_complete:
            self._end(refusal if phase != _BODY else connections.LARGE_BODY)
        elif phase != _BODY:
            self._waiting = refusal
        elif self.pipeline:
            self.pipeline.popleft()  # this one itself, the last that came
            self._waiting = refusal
        elif newest.response_started:
            self.transport.close()
        else:
            newest.disconnected = True
            newest.message_event.set()
            self._end(refusal)

    def _end(self, refusal: Refusal) -> None:
        """Sends the answer, and waits a moment until the other side has read it."""
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write(refusal.answer(self.server_state.default_headers))
        if self._counted.lingering >= _LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._counted.lingering += 1
        self._lingers = True
        self._until = self.loop.time() + _LINGER_SECONDS
        self.transport.write_eof()


def counted_by(counted: Connections) -> Any:
    """What uvicorn takes for its setting `http`: this protocol, with those who count its connections."""
    return partial(HttpProtocol, counted)
