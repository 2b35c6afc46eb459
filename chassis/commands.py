"""A person's command -> facts: loaded fresh, decided, appended in one transaction, once per idempotency key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from chassis.clock import Clock
from chassis.database import Conflict, Connection, Database
from chassis.decider import decided
from chassis.deciding import opened
from chassis.identity import NOBODY, Caller
from chassis.service import Service

_TRIES = 8


class Stale(Exception):
    """`If-Match` names another version than the current one. HTTP 412."""


class MatchRequired(Exception):
    """The request must say in `If-Match` which version it was decided on. HTTP 428."""


class Unusable(Exception):
    """A part of the request cannot be taken: `field` and the rule it breaks. HTTP 422."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Request:
    """What a command knows of the request it came in: the caller, the headers that matter, the trace."""

    caller: Caller = NOBODY
    idempotency_key: str | None = None
    fingerprint: str = ""
    if_match: int | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: status, body, and the case's version (the ETag); `repeated` where it was given before."""

    status: int
    body: bytes
    version: int
    repeated: bool = False


Respond = Callable[[Any, Sequence[Any]], tuple[int, Any]]
"""(state after, events) -> (HTTP status, JSON-able body)."""


class Commands:
    """Executes commands against one service's streams."""

    def __init__(self, service: Service, database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._service = service
        self._database = database
        self._clock = clock
        self._wake = wake

    async def execute(
        self,
        stream_id: str,
        command: Any,
        request: Request,
        respond: Respond,
        *,
        at: datetime | None = None,
        also: Callable[[Connection], Any] | None = None,
        match_required: bool = False,
    ) -> Answer:
        """Decides and appends; when it returns, the facts are durable and will be published.

        `at` is when it happened, by the word of the caller, where that was not now: the domain says whether that
        counts, and it is no reason to refuse. `also(connection)` is awaited in the same transaction, for
        rows that are no part of the case (a reporter's name). Raises `Refused`, `Stale`, `MatchRequired`, `Unusable`,
        and one of `PASSING` where the database cannot be reached; then nothing has happened, or all of it, and the
        idempotency key tells.
        """
        if match_required and request.if_match is None:
            raise MatchRequired("send If-Match with the ETag of the version you decided on")
        for _ in range(_TRIES):
            try:
                answer = await self._database.transact(
                    lambda connection: self._run(connection, stream_id, command, request, respond, at, also)
                )
            except Conflict:
                continue
            self._wake()
            return answer
        raise ConnectionError(f"case {stream_id} keeps being changed by others; try again")

    async def _run(
        self,
        connection: Connection,
        stream_id: str,
        command: Any,
        request: Request,
        respond: Respond,
        at: datetime | None,
        also: Callable[[Connection], Any] | None,
    ) -> Answer:
        if request.idempotency_key is not None:
            given = await self._given(connection, request)
            if given is not None:
                return given
        now = self._clock()
        deciding = await opened(self._service, connection, now, [stream_id])
        journal = deciding.journal
        stream = journal.streams[stream_id]
        if request.if_match is not None and request.if_match != stream.version:
            raise Stale(f"If-Match is {request.if_match}, but the case is at version {stream.version}")
        inputs = deciding.inputs(stream_id, actor=request.caller.subject, claimed=at, believed=request.caller.believed)
        try:
            counted, facts = decided(self._service.decider, command, stream.state, inputs)
        except ValidationError as fault:  # what was asked for would make a fact that breaks its contract
            first = fault.errors(include_url=False, include_input=False)[0]
            raise Unusable(".".join(str(part) for part in first["loc"]), first["msg"]) from None
        events = journal.publish(
            stream_id, facts, at=counted.at, actor=request.caller.subject, traceparent=request.traceparent
        )
        if also is not None:
            await also(connection)
        await journal.write(connection)
        status, body = respond(stream.state, events)
        answer = Answer(status, orjson.dumps(body, option=orjson.OPT_UTC_Z), stream.version)
        if request.idempotency_key is not None:
            await self._remember(connection, request, stream_id, answer)
        return answer

    async def _given(self, connection: Connection, request: Request) -> Answer | None:
        """The answer given before to this key; the first to ask takes the key, a second waits for its outcome."""
        taken = await connection.fetchval(
            "INSERT INTO idempotency (caller, key, fingerprint) VALUES ($1, $2, $3)"
            " ON CONFLICT (caller, key) DO NOTHING RETURNING true",
            request.caller.subject,
            request.idempotency_key,
            request.fingerprint,
        )
        if taken:
            return None
        row = await connection.fetchrow(
            "SELECT i.fingerprint, i.status, i.body, s.version FROM idempotency i LEFT JOIN streams s USING (stream_id)"
            " WHERE i.caller = $1 AND i.key = $2",
            request.caller.subject,
            request.idempotency_key,
        )
        if row is None:
            raise Conflict("the key was given up meanwhile")
        if row["fingerprint"] != request.fingerprint:
            raise Unusable("Idempotency-Key", "was used before with another request")
        return Answer(row["status"], row["body"], row["version"] or 0, repeated=True)

    async def _remember(self, connection: Connection, request: Request, stream_id: str, answer: Answer) -> None:
        await connection.execute(
            "UPDATE idempotency SET status = $3, body = $4, stream_id = $5 WHERE caller = $1 AND key = $2",
            request.caller.subject,
            request.idempotency_key,
            answer.status,
            answer.body,
            stream_id,
        )
