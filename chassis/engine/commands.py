"""A person's command -> facts: decided and appended in one transaction, once per idempotency key.

Commands that come while a transaction runs are executed together in the next one (`chassis.engine.groups`), each as if
it were alone: a group has one command of a case at most, and a refused command leaves nothing. A command that reads
other cases is executed alone. Where one of them meets an error of the database, all are executed alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from chassis import telemetry
from chassis.clock import Clock
from chassis.engine.decider import Facts, Inputs, NotYours, Refused, Unknown, decided
from chassis.engine.groups import Groups, Member
from chassis.engine.model import Model
from chassis.engine.unit_of_work import UnitOfWork, begin
from chassis.retry import NotNow
from chassis.store.database import DATABASE_ERRORS, ROLLED_BACK, TRANSIENT_ERRORS, Connection, Database
from chassis.store.journal import Journal
from chassis.store.streams import Cache, Stream
from chassis.store.transaction import Conflict, Transaction, Write
from chassis.store.watch import Silent
from contracts import actors
from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.progress import Accessed, Disclosed, Noted
from contracts.times import Counted
from contracts.wire import broken

log = logging.getLogger(__name__)

WORDS_A_DAY = 100
"""The most that one caller says in one case within 24 hours, because who reads a case reads all of it, for ever."""
WORDS = (Noted, Supplement, Accessed, Disclosed)
"""Facts that say something and change nothing. What a case waits for is done however much its people have said."""
_TRIES = 8
_TRIES_TOGETHER = 3
_TOGETHER = 64
"""The most commands of one transaction."""
_KINDS = [fact.model_fields["kind" if fact is Supplement else "step"].default for fact in WORDS]
_TOPICS = ["Progressed", "ReportFiled"]
_GIVEN = """
SELECT caller, key, fingerprint, status, body, version FROM idempotency
  JOIN unnest($1::text[], $2::text[]) AS asked (caller, key) USING (caller, key)
"""
_REMEMBER = """
INSERT INTO idempotency (caller, key, fingerprint, status, body, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::bytea[], $6::bigint[])
ON CONFLICT DO NOTHING RETURNING true
"""
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


@dataclass(frozen=True, slots=True)
class _Task:
    """A command that is to be executed."""

    stream_id: str
    command: Any
    request: CommandRequest
    to_response: ToResponse
    in_transaction: InTransaction | None

    @property
    def reaches_further(self) -> bool:
        """Whether it reads other cases or writes rows that are no part of its own: in a group with others it would not
        see what those do, and a refusal would leave its rows there.
        """
        return self.request.completes is not None or self.in_transaction is not None

    @property
    def key(self) -> "_Key | None":
        """What its answer is remembered by."""
        key = self.request.idempotency_key
        return None if key is None else (self.request.actor, key)


_Key = tuple[str, str]
"""Caller and idempotency key."""


class Commands:
    """Executes commands against one service's streams.

    `cache` is that of the inbox of the same process. A process that only serves HTTP has none: others write its cases.
    """

    def __init__(self, model: Model, database: Database, clock: Clock, cache: Cache[Any] | None = None) -> None:
        self._model = model
        self._database = database
        self._clock = clock
        self._cache = cache
        self._groups: Groups[_Task] = Groups(self._execute, _TOGETHER)

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
        reached. After a transient error, or a cancellation, either nothing has happened or everything; a retry with the
        same idempotency key tells.
        """
        if request.match_required and request.if_match is None:
            raise MatchRequired("send If-Match with the ETag of the version you decided on")
        task = _Task(stream_id, command, request, to_response, in_transaction)
        with telemetry.command_span(type(command).__name__, self._model.name), telemetry.About(stream_id, None):
            distinct = (stream_id, *([task.key] if task.key else ()))
            return await self._groups.submit(task, *distinct, alone=task.reaches_further)

    async def consider(self, stream_id: str, request: CommandRequest) -> tuple[Stream[Any], Inputs]:
        """The stream and the inputs that a command of this request would be decided with now; nothing is written."""

        async def run(transaction: Transaction) -> tuple[Stream[Any], Inputs]:
            work = await begin(self._model, transaction, self._clock(), [stream_id])
            return work.journal.streams[stream_id], self._inputs(work, stream_id, request)

        return await self._database.decide(run)

    async def speechless(self, stream: Stream[Any], actor: str) -> Refused | None:
        """The rule that nobody floods a case, if it forbids the actor to add words to this one now."""
        return await self._database.read(lambda connection: _speechless(connection, stream, actor, self._clock()))

    def _inputs(self, work: UnitOfWork[Any], stream_id: str, request: CommandRequest) -> Inputs:
        return work.inputs(stream_id, actor=request.actor, claimed=request.claimed_at, believed=request.believed)

    async def _execute(self, group: Sequence[Member[_Task]]) -> None:
        """Ends every member, in one transaction; where that fails for a reason that may be one member's, each alone."""
        try:
            for member, outcome in zip(group, await self._transact(group), strict=True):
                member.ends_with(outcome)
        except Exception as fault:
            lost = isinstance(fault, TRANSIENT_ERRORS) and not isinstance(fault, ROLLED_BACK)
            if lost or len(group) == 1:
                for member in group:
                    member.ends_with(fault)
                if isinstance(fault, Silent):  # who waits has waited as long, and would wait as long again
                    self._groups.end_waiting(fault)
                return
            if not isinstance(fault, Conflict):
                log.warning("a group of %d commands failed, executing each alone: %r", len(group), fault)
            for member in group:
                await self._execute([member])

    async def _transact(self, group: Sequence[Member[_Task]]) -> Sequence[Answer | Exception]:
        """What each member ends with. Raises what went wrong with the transaction."""
        for attempt in range(1, _TRIES + 1):
            try:
                outcomes, journal = await self._database.decide(lambda transaction: self._run(transaction, group))
            except Conflict:
                if len(group) > 1 and attempt == _TRIES_TOGETHER:
                    raise
                continue
            if self._cache is not None:
                self._cache.put(journal.streams.values())
            return outcomes
        raise NotNow(f"case {group[0].work.stream_id} keeps being changed by others; try again")

    async def _run(
        self, transaction: Transaction, group: Sequence[Member[_Task]]
    ) -> tuple[Sequence[Answer | Exception], Journal[Any]]:
        alone = group[0].work.reaches_further
        connection = await transaction.begin() if alone else transaction.connection
        streams = [member.work.stream_id for member in group]
        cache = None if alone else self._cache
        work = await begin(self._model, transaction, self._clock(), streams, cache=cache)
        # After the states: who sees what another process has decided with this key finds its answer, too.
        known = await self._given(connection, [member.work.key for member in group if member.work.key])
        outcomes = [await self._outcome(connection, work, member, known) for member in group]
        work.journal.write(transaction)
        self._remember(transaction, [member.work for member in group], outcomes)
        return outcomes, work.journal

    async def _outcome(
        self, connection: Connection, work: UnitOfWork[Any], member: Member[_Task], known: Mapping[_Key, "_Given"]
    ) -> Answer | Exception:
        """The answer to a command, or what it is refused with; then nothing of it is in the journal."""
        task, stream = member.work, work.journal.streams[member.work.stream_id]
        before = work.journal.mark(stream)
        try:
            answered = await asyncio.create_task(self._answer(connection, work, task, known), context=member.context)
        except DATABASE_ERRORS:
            raise
        except Exception as fault:
            work.journal.restore(stream, before)
            return fault
        if task.in_transaction is not None and not answered.repeated:
            await task.in_transaction(connection)
        return answered

    async def _answer(
        self, connection: Connection, work: UnitOfWork[Any], task: _Task, known: Mapping[_Key, "_Given"]
    ) -> Answer:
        request, stream = task.request, work.journal.streams[task.stream_id]
        given = None if task.key is None else known.get(task.key)
        if given is not None and given.fingerprint not in (request.fingerprint, request.former_fingerprint):
            raise Unusable("Idempotency-Key", "was used before with another request")
        # Of a stored answer, too: who may no longer read the case is told no more of it.
        if request.permits is not None:
            request.permits(stream.state)
        if given is not None:
            return given.answer
        inputs = self._inputs(work, task.stream_id, request)
        decide = partial(self._decided, task.command, stream.state, inputs)
        if request.if_match is not None and request.if_match != stream.version:
            _require_theirs(decide)
            raise Stale(f"If-Match is {request.if_match}, but the case is at version {stream.version}")
        if request.completes is not None:
            decide = partial(self._decided, await request.completes(task.command, connection), stream.state, inputs)
        try:
            counted, facts = decide()
        except ValidationError as fault:  # what was asked for would make a fact that breaks its contract
            field, rule = broken(fault.errors(include_url=False, include_input=False))[0]
            raise Unusable(field, rule) from None
        if any(isinstance(fact, WORDS) for fact in facts) and (
            speechless := await _speechless(connection, stream, request.actor, work.journal.now)
        ):
            raise speechless
        events = work.journal.append(task.stream_id, facts, at=counted.at, actor=request.actor)
        status, body = task.to_response(stream.state, events)
        return Answer(status, orjson.dumps(body, option=orjson.OPT_UTC_Z), stream.version)

    def _decided(self, command: Any, state: Any, inputs: Inputs) -> tuple[Counted, Facts]:
        if isinstance(command, Step):
            return Counted(inputs.at), [command.of(state, inputs)]
        return decided(self._model.decider, command, state, inputs)

    async def _given(self, connection: Connection, keys: Sequence[_Key]) -> Mapping[_Key, "_Given"]:
        """The answers given before to these keys."""
        if not keys:
            return {}
        rows = await connection.fetch(_GIVEN, [caller for caller, _ in keys], [key for _, key in keys])
        return {
            (row["caller"], row["key"]): _Given(
                row["fingerprint"], Answer(row["status"], row["body"], row["version"], repeated=True)
            )
            for row in rows
        }

    def _remember(
        self, transaction: Transaction, tasks: Sequence[_Task], outcomes: Sequence[Answer | Exception]
    ) -> None:
        """Writes the answers to commands with a key. Another transaction with one of these keys is waited for; if it
        was committed, this one ends with `Conflict`, and its next attempt finds the answer.
        """
        rows = sorted(
            (*task.key, task.request.fingerprint, outcome.status, outcome.body, outcome.version)
            for task, outcome in zip(tasks, outcomes, strict=True)
            if task.key is not None and isinstance(outcome, Answer) and not outcome.repeated
        )
        transaction.write(Write(_REMEMBER, rows, exactly="answers are the first with their keys"))


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer that was given before, and to which request."""

    fingerprint: str
    answer: Answer


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
