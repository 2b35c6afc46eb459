"""A partner's request on `from.<partner>` -> a command -> facts, and exactly one answer on `to.<partner>`.

The command is decided by the same function as a person's. A refusal names the rule. It is a step of the case if the
partner filed the case or works in it; otherwise it has a subject of its own, so that nobody writes into another's case.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from chassis.engine.decider import Decider, Facts, Inputs, Refused, decided
from chassis.kafka.records import Record
from contracts.fields import CASE_ID, LINE, Fact
from contracts.homes import partner_subject
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import Refused as RefusedStep
from contracts.reference import Partner, Partners
from contracts.states import altered
from contracts.times import Counted
from contracts.wire import explain, partner_of

log = logging.getLogger(__name__)

S = TypeVar("S")

LONGEST_NAME = 200
"""Of an actor, in characters, as `contracts.fields.Name` has it."""
_OF_THE_REQUEST = ("partner.says", "request.invalid", "request.too_large")
"""Rules about the request alone: even a stranger to the case may be told them."""


@dataclass(frozen=True)
class PartnerRequests(Generic[S]):
    """How a service takes partners' requests."""

    command: Callable[[Any, Partner], Any]
    """(event, partner) -> the command, or None if another service takes this request."""
    involved: Callable[[S, str], bool]
    """(state, partner id) -> whether the partner filed the case or works, or worked, in it."""
    told: Callable[[S, str, str], bool]
    """(state, partner id, event id) -> whether that event is a notice of this service to the partner on this case."""
    answered: Callable[[S, str], int]
    """(state, partner id) -> how many answers to that partner the case holds."""
    answers_unreadable: bool = False
    """Whether this service answers unreadable records; one service does so for all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What follows from a request. `apart`: under a subject of its own, not as a step of the case it names."""

    facts: Facts
    counted: Counted
    apart: bool = False


@dataclass(frozen=True, slots=True)
class PartnerRequest:
    """A request with what it takes to decide it."""

    event: Any
    partner: Partner
    command: Any


def request_in(requests: PartnerRequests[Any], partners: Partners, record: Record, event: Any) -> PartnerRequest | None:
    """The request in an event; None if another service takes it, or if its partner was never registered."""
    partner = partners.by_id.get(partner_of(record.topic) or "")
    command = requests.command(event, partner) if partner is not None else None
    return PartnerRequest(event, partner, command) if partner is not None and command is not None else None


def actor_of(request: PartnerRequest) -> str:
    """Who acts, as facts name them: a partner's people are its own.

    A name that is too long is never cut, because two people could share it then: what is asked for is refused, and the
    refusal has the partner's system for its actor.
    """
    if request.event.actor is None or not _fits(request):
        return partner_subject(request.partner.id)
    return _person(request)


def _person(request: PartnerRequest) -> str:
    return f"{request.partner.id}:{request.event.actor}"


def _fits(request: PartnerRequest) -> bool:
    return len(_person(request)) <= LONGEST_NAME


def reply_to(
    request: PartnerRequest,
    requests: PartnerRequests[S],
    decider: Decider[Any, S],
    state: S,
    inputs: Inputs,
    arrived: datetime,
) -> Reply:
    """The facts that follow; the answer is the last of them."""
    event, partner = request.event, request.partner
    inputs = altered(inputs, at=arrived, actor=actor_of(request), claimed=event.time, believed=partner.retrospective)
    try:
        _admit(request)
        counted, facts = decided(decider, request.command, state, inputs)
        _answers(request, requests, state)
    except Refused as refusal:
        return refused(request, requests, state, refusal.rule, str(refusal), arrived)
    except ValidationError as fault:  # what was asked for would make a fact that breaks its contract
        log.warning("a request of %s would make a fact that breaks its contract", partner.id, exc_info=fault)
        return refused(request, requests, state, "request.invalid", explain(fault), arrived)
    return Reply([*facts, AcceptanceNotice(to=partner.id, request=event.id)], counted)


def refused(
    request: PartnerRequest, requests: PartnerRequests[S], state: S, rule: str, words: str, arrived: datetime
) -> Reply:
    """The answer that names the rule."""
    event, partner = request.event, request.partner
    if not requests.involved(state, partner.id):
        if rule not in _OF_THE_REQUEST and not event.data.begins:
            # a stranger may not learn whether there is such a case, nor what became of it
            rule, words = "unknown", "there is no such case of yours"
        notice = RefusalNotice(to=partner.id, request=event.id, case_id=event.subject, rule=rule, reason=words[:LINE])
        return Reply([notice], Counted(arrived), apart=True)
    notice = RefusalNotice(to=partner.id, request=event.id, rule=rule, reason=words[:LINE])
    step = RefusedStep(
        partner=partner.id,
        rule=rule,
        reason=words[:LINE],
        assignment_id=getattr(event.data, "assignment_id", None),
    )
    return Reply([step, notice], Counted(arrived))


def unreadable(record: Record, partners: Partners, rule: str, words: str) -> Fact | None:
    """The answer to an unreadable record; None if its key is no case id."""
    partner, key = partner_of(record.topic), record.stream_id
    if partner is None or partner not in partners.by_id or key is None or not CASE_ID.fullmatch(key):
        return None
    return RefusalNotice(
        to=partner,
        case_id=key,
        rule=f"record.{rule}",
        reason=words[:LINE],
        partition=record.partition,
        offset=record.offset,
    )


def _admit(request: PartnerRequest) -> None:
    """Raises `Refused` where the partner is not registered for this kind of request, or its actor has no name."""
    partner = request.partner
    right = request.event.data.right
    if right not in partner.says:
        said = " and ".join(partner.says) or "nothing any more"
        raise Refused("partner.says", f"{partner.id} is registered for {said}, not for {right}")
    if request.event.actor is not None and not _fits(request):
        longest = LONGEST_NAME - len(partner.id) - 1
        raise Refused("request.invalid", f"actor: must have {longest} characters at most, after {partner.id}:")


def _answers(request: PartnerRequest, requests: PartnerRequests[S], state: S) -> None:
    """Every request except a report answers a notice. Checked last, because the command's own rules say more."""
    event, partner = request.event, request.partner
    if event.data.begins:
        if event.causationid is not None:
            raise Refused("cause.unknown", "a report begins a case: causationid must be absent")
        return
    if event.causationid is None or not requests.told(state, partner.id, event.causationid):
        raise Refused("cause.unknown", "causationid must be the id of a notice to you on this case, by who takes this")
