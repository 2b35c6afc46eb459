"""A person's command -> facts: loaded fresh, decided, appended in one transaction, once per idempotency key."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from chassis import telemetry
from chassis.clock import Clock
from chassis.engine.decider import Facts, Inputs, NotYours, Refused, Unknown, decided
from chassis.engine.model import Model
from chassis.engine.unit_of_work import UnitOfWork, begin
from chassis.retry import NotNow
from chassis.store.database import Conflict, Connection, Database
from chassis.store.streams import Stream
from contracts import actors
from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.progress import Accessed, Disclosed, Noted
from contracts.times import Counted
from contracts.wire import broken

WORDS_A_DAY = 100
"""The most that one caller says in one case within 24 hours, because who reads a case reads all of it, for ever."""
WORDS = (Noted, Supplement, Accessed, Disclosed)
"""Facts that say something and change nothing. What a case waits for is done however much its people have said."""
_TRIES = 8
_KINDS = [fact.model_fields["kind" if fact is Supplement else "step"].default for fact in WORDS]
_TOPICS = ["Progressed", "ReportFiled"]
_SAID = """
SELECT count(*)
  FROM events, LATERAL (SELECT convert_from(body, 'UTF8')::json AS event) AS read
 WHERE stream_id = $1 AND own AND topic = ANY($4::text[]) AND event->>'actor' = $2
   AND (event->>'recordedtime')::timestamptz > $3 AND coalesce(event->'data'->>'step', event->'data'->>'kind') = ANY($5)
"""


class Stale(Exception):
    """`If-Match` names another version than the current one. HTTP 412."""


class MatchRequired(Exception):
    """The request must say in `If-Match` which version it was decided on. HTTP 428."""


class Unusable(Exception):
    """A part of the request cannot be used: `field` and the rule it breaks. HTTP 422."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """What a command knows of the request it came in: the actor, the headers that matter, the claimed time."""

    actor: str = actors.NOBODY
    believed: bool = True
    """Whether the actor's own times may count in a retrospective case."""
    idempotency_key: str | None = None
    fingerprint: str = ""
    """Of method, path and body: the same key with another fingerprint is refused."""
    former_fingerprint: str = ""
    """The same as it was made before fingerprints had a key: rows of then keep it."""
    if_match: int | None = None
    match_required: bool = False
    claimed_at: datetime | None = None
    """When it happened, in the words of the caller, if not now. The domain says whether that counts."""
    permits: Callable[[Any], None] | None = None
    """Raises where the actor may not act on a case in that state, before anything else is said of it."""
    completes: Callable[[Any, Connection], Awaitable[Any]] | None = None
    """Gives the command what it needs of other cases. It reads and locks them in the command's transaction, before the
    command is decided."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response: status, body, and the case's version after it (the ETag); `repeated` if it was given before."""

    status: int
    body: bytes
    version: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A command that means the same in every service, whatever its domain: the step it is. It may raise `Refused`."""

    of: Callable[[Any, Inputs], Fact]


ToResponse = Callable[[Any, Sequence[Any]], tuple[int, Any]]
"""(state after, events) -> (HTTP status, JSON-able body)."""
InTransaction = Callable[[Connection], Awaitable[None]]
"""Awaited in the command's transaction, for rows that are no part of the case."""


class Commands:
    """Executes commands against one service's streams."""

    def __init__(self, model: Model, database: Database, clock: Clock) -> None:
        self._model = model
        self._database = database
        self._clock = clock

    async def execute(
        self,
        stream_id: str,
        command: Any,
        request: CommandRequest,
        to_response: ToResponse,
        in_transaction: InTransaction | None = None,
    ) -> Answer:
        """Decides and appends; when it returns, the facts are durable and will be published.

        Raises `Refused`, `Stale`, `MatchRequired`, `Unusable`, and one of `TRANSIENT_ERRORS` if the database cannot be
        reached. After a transient error either nothing has happened or everything; a retry with the same idempotency
        key tells.
        """
        if request.match_required and request.if_match is None:
            raise MatchRequired("send If-Match with the ETag of the version you decided on")
        ending = _Ending(to_response, in_transaction)
        with telemetry.command_span(type(command).__name__, self._model.name), telemetry.About(stream_id, None):
            for _ in range(_TRIES):
                try:
                    return await self._database.transact(
                        lambda connection: self._run(connection, stream_id, command, request, ending)
                    )
                except Conflict:
                    continue
        raise NotNow(f"case {stream_id} keeps being changed by others; try again")

    async def consider(self, stream_id: str, request: CommandRequest) -> tuple[Stream[Any], Inputs]:
        """The stream and the inputs that a command of this request would be decided with now; nothing is written."""

        async def run(connection: Connection) -> tuple[Stream[Any], Inputs]:
            work = await begin(self._model, connection, self._clock(), [stream_id])
            return work.journal.streams[stream_id], self._inputs(work, stream_id, request)

        return await self._database.transact(run)

    async def speechless(self, stream: Stream[Any], actor: str) -> Refused | None:
        """The rule that nobody floods a case, if it forbids the actor to add words to this one now."""
        return await self._database.read(lambda connection: _speechless(connection, stream, actor, self._clock()))

    def _inputs(self, work: UnitOfWork[Any], stream_id: str, request: CommandRequest) -> Inputs:
        return work.inputs(stream_id, actor=request.actor, claimed=request.claimed_at, believed=request.believed)

    async def _run(
        self, connection: Connection, stream_id: str, command: Any, request: CommandRequest, ending: "_Ending"
    ) -> Answer:
        given = await self._given(connection, request) if request.idempotency_key is not None else None
        work = await begin(self._model, connection, self._clock(), [stream_id])
        stream = work.journal.streams[stream_id]
        # Of a stored answer, too: who may no longer read the case is told no more of it.
        if request.permits is not None:
            request.permits(stream.state)
        if given is not None:
            return given
        inputs = self._inputs(work, stream_id, request)
        decide = partial(self._decided, command, stream.state, inputs)
        if request.if_match is not None and request.if_match != stream.version:
            _require_theirs(decide)
            raise Stale(f"If-Match is {request.if_match}, but the case is at version {stream.version}")
        if request.completes is not None:
            decide = partial(self._decided, await request.completes(command, connection), stream.state, inputs)
        try:
            counted, facts = decide()
        except ValidationError as fault:  # what was asked for would make a fact that breaks its contract
            field, rule = broken(fault.errors(include_url=False, include_input=False))[0]
            raise Unusable(field, rule) from None
        if any(isinstance(fact, WORDS) for fact in facts) and (
            speechless := await _speechless(connection, stream, request.actor, work.journal.now)
        ):
            raise speechless
        events = work.journal.append(stream_id, facts, at=counted.at, actor=request.actor)
        if ending.in_transaction is not None:
            await ending.in_transaction(connection)
        await work.journal.write(connection)
        status, body = ending.to_response(stream.state, events)
        answer = Answer(status, orjson.dumps(body, option=orjson.OPT_UTC_Z), stream.version)
        if request.idempotency_key is not None:
            await self._remember(connection, request, answer)
        return answer

    def _decided(self, command: Any, state: Any, inputs: Inputs) -> tuple[Counted, Facts]:
        if isinstance(command, Step):
            return Counted(inputs.at), [command.of(state, inputs)]
        return decided(self._model.decider, command, state, inputs)

    async def _given(self, connection: Connection, request: CommandRequest) -> Answer | None:
        """The answer given before to this key. The first request takes the key; a second one waits for its outcome."""
        taken = await connection.fetchval(
            "INSERT INTO idempotency (caller, key, fingerprint) VALUES ($1, $2, $3)"
            " ON CONFLICT (caller, key) DO NOTHING RETURNING true",
            request.actor,
            request.idempotency_key,
            request.fingerprint,
        )
        if taken:
            return None
        row = await connection.fetchrow(
            "SELECT fingerprint, status, body, version FROM idempotency WHERE caller = $1 AND key = $2",
            request.actor,
            request.idempotency_key,
        )
        if row is None:
            raise Conflict("the first request with this key was rolled back meanwhile")
        if row["fingerprint"] not in (request.fingerprint, request.former_fingerprint):
            raise Unusable("Idempotency-Key", "was used before with another request")
        return Answer(row["status"], row["body"], row["version"], repeated=True)

    async def _remember(self, connection: Connection, request: CommandRequest, answer: Answer) -> None:
        await connection.execute(
            "UPDATE idempotency SET status = $3, body = $4, version = $5 WHERE caller = $1 AND key = $2",
            request.actor,
            request.idempotency_key,
            answer.status,
            answer.body,
            answer.version,
        )


async def _speechless(connection: Connection, stream: Stream[Any], actor: str, now: datetime) -> Refused | None:
    """The rule that nobody floods a case, if the actor has added all the words that a day allows. Most cases are too
    short for it.
    """
    if stream.version < WORDS_A_DAY:
        return None
    since = now - timedelta(hours=24)
    if await connection.fetchval(_SAID, stream.stream_id, actor, since, _TOPICS, _KINDS) < WORDS_A_DAY:
        return None
    return Refused("case.daily_cap", f"one caller adds {WORDS_A_DAY} remarks to a case within 24 hours at most")


def _require_theirs(decide: Callable[[], object]) -> None:
    """Raises `Unknown` or `NotYours` if the decision does: then nothing is told of the case, not even its version."""
    try:
        decide()
    except (Unknown, NotYours):
        raise
    except (Refused, ValidationError):
        pass


@dataclass(frozen=True, slots=True)
class _Ending:
    """What happens after the decision."""

    to_response: ToResponse
    in_transaction: InTransaction | None
