"""What routes ask of a request and of the process that serves it, as FastAPI dependencies.

The dependencies are async, or FastAPI would run each of them in a thread.
"""

import hashlib
import hmac
import re
from dataclasses import replace
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Header, Response
from fastapi import Request as HttpRequest
from pydantic import Field

from chassis.clock import Clock
from chassis.engine.commands import Answer, CommandRequest, Commands, Unusable
from chassis.engine.inbox import Inbox
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.store.changes import Changes
from chassis.store.database import Database
from chassis.web.arriving import Arriving
from chassis.web.concurrency import ConcurrencyLimit
from chassis.web.errors import Forbidden
from chassis.web.identity import Caller
from chassis.web.keys import Keys
from chassis.web.streams import Streams
from contracts.fields import ClaimedInstant
from contracts.homes import publisher_of
from contracts.reading import Knows
from contracts.reference import Partner, Says

When = Annotated[
    ClaimedInstant | None,
    Field(
        description="When it happened, if not now, with any offset. The time of arrival counts, except in a case"
        " entered long after the fact.",
        examples=["2026-05-09T09:10:00+08:00"],
    ),
]
"""A field of bodies; the command's `claimed_at`."""

_KEY = re.compile(r"^[!-~]([ -~]{0,198}[!-~])?$")
_ETAG = re.compile(r'^(?:W/)?"?([0-9]{1,18})"?$')


class Process(Protocol):
    """What routes need of the process that serves them."""

    settings: Settings
    database: Database
    clock: Clock
    changes: Changes
    registry: Registry
    keys: Keys
    limit: ConcurrencyLimit
    arriving: Arriving
    streams: Streams
    reference: Any
    """What the service knows of its district."""

    @property
    def knows(self) -> Knows:
        """What the service knows of what the rule of reading asks."""
        ...

    def health(self) -> dict[str, Any]:
        """How each part is, without asking anything outside the process."""
        ...

    async def faults(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when ready."""
        ...

    def warnings(self) -> dict[str, str]:
        """Part -> what will make it fail, though it is ready now."""
        ...


class DecidingProcess(Process, Protocol):
    """The same of a service that decides."""

    commands: Commands
    inbox: Inbox

    def has(self, state: Any) -> bool:
        """Whether the service knows of a case in that state."""
        ...


async def process_of(request: HttpRequest) -> Process:
    """The process that serves the request."""
    return request.app.state.process


async def _database(request: HttpRequest) -> Database:
    return (await process_of(request)).database


async def _clock(request: HttpRequest) -> Clock:
    return (await process_of(request)).clock


async def _registry(request: HttpRequest) -> Registry:
    return (await process_of(request)).registry


async def deciding_process_of(request: HttpRequest) -> DecidingProcess:
    """The process, in a route that only deciding services have."""
    return cast(DecidingProcess, request.app.state.process)


async def _commands(request: HttpRequest) -> Commands:
    return (await deciding_process_of(request)).commands


async def reference_of(request: HttpRequest) -> Any:
    """What the service knows of its district; services annotate it with their own type."""
    return (await process_of(request)).reference


async def _caller(request: HttpRequest) -> Caller:
    return request.state.caller


async def creating_request(
    request: HttpRequest,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key with the same body gets the stored answer.",
            examples=["a1"],
            json_schema_extra={"pattern": _KEY.pattern},
        ),
    ] = None,
) -> CommandRequest:
    """What a command that begins a case knows of the request. Raises `Unusable` where the key is none."""
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise Unusable("Idempotency-Key", "must be 1 to 200 printable characters of ASCII, with no space at either end")
    fingerprint = former = ""
    if idempotency_key is not None:
        text = f"{request.method} {request.url.path}\n".encode() + await request.body()
        # Keyed, because a body may name a person: whoever reads the table could otherwise test guesses of it.
        secret = (await process_of(request)).settings.pseudonym_key.encode()
        fingerprint = hmac.new(secret, text, hashlib.sha256).hexdigest()
        former = hashlib.sha256(text).hexdigest()
    caller: Caller = request.state.caller
    return CommandRequest(caller.subject, caller.believed, idempotency_key, fingerprint, former)


async def command_request(
    request: Annotated[CommandRequest, Depends(creating_request)],
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="The ETag of the version that the decision is based on: the version's number in quotes. If the"
            " case is at another version, the answer is 412.",
            examples=['"2"'],
        ),
    ] = None,
) -> CommandRequest:
    """The same of a command on a case that is there. Raises `Unusable` where a header is not what it must be."""
    if if_match is None:
        return request
    match = _ETAG.match(if_match)
    if match is None:
        raise Unusable("If-Match", 'must be the number of a version in quotes, as in an ETag: "2"')
    return replace(request, if_match=int(match[1]))


ProcessDep = Annotated[Process, Depends(process_of)]
DecidingProcessDep = Annotated[DecidingProcess, Depends(deciding_process_of)]
DatabaseDep = Annotated[Database, Depends(_database)]
ClockDep = Annotated[Clock, Depends(_clock)]
RegistryDep = Annotated[Registry, Depends(_registry)]
CommandsDep = Annotated[Commands, Depends(_commands)]
CallerDep = Annotated[Caller, Depends(_caller)]
"""Who calls; established before the route runs."""
CommandRequestDep = Annotated[CommandRequest, Depends(command_request)]
"""Of every route that executes a command on a case that is there."""
CreatingRequestDep = Annotated[CommandRequest, Depends(creating_request)]
"""Of a route that begins a case, which has no version yet."""


def etag(version: int) -> str:
    """The ETag of a case's version; If-Match takes it."""
    return f'"{version}"'


def answer(given: Answer) -> Response:
    """A command's answer as HTTP, with its ETag."""
    headers = {"ETag": etag(given.version)}
    if given.repeated:
        headers["Idempotency-Replayed"] = "true"
    return Response(given.body, given.status, headers, media_type="application/json")


def partner_behind(caller: Caller, registry: Registry, right: Says) -> Partner | None:
    """The partner whose system calls; None for a person. Raises `Forbidden` if the partner lacks this right."""
    if caller.source is None:
        return None
    partner = registry.partners.by_id.get(publisher_of(caller.source))
    if partner is None or right not in partner.says:
        raise Forbidden(f"{caller.source} is not registered for {right}")
    return partner
