"""A partner's request on `from.<partner>` as the command that a person of the unit gives over HTTP."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from contracts import request
from contracts.envelope import AnyEvent
from contracts.reference import Partner
from services.dispatch.domain import commands
from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import Command
from services.dispatch.domain.permissions import By

COMMANDS: Mapping[type, type[Any]] = {
    request.Acknowledge: commands.Acknowledge,
    request.SetOut: commands.SetOut,
    request.Arrive: commands.Arrive,
    request.Note: commands.Note,
    request.RequestExtension: commands.RequestExtension,
    request.HandOn: commands.HandOn,
    request.Return: commands.Return,
    request.Resolve: commands.Resolve,
}
"""Request -> command, with fields of the same names."""


def command(event: AnyEvent, partner: Partner) -> Command | None:
    """The command in a partner's event; None if intake takes it."""
    data: object = event.data
    kind = COMMANDS.get(type(data))
    if kind is None:
        return None
    given = {one.name: getattr(data, one.name) for one in fields(kind) if one.name != "by"}
    if "handled_by" in given:
        given["handled_by"] = tuple(f"{partner.id}:{name}" for name in given["handled_by"])
    return kind(by=By(frozenset(partner.units), partner=partner.id), **given)


def involved(case: Case, partner: str) -> bool:
    """Whether the partner was told of an assignment of the case."""
    return case.record_of(partner).involved


def answered(case: Case, partner: str) -> int:
    """How many of the partner's requests the case holds an answer to."""
    return case.record_of(partner).answers


def told(case: Case, partner: str, event_id: str) -> bool:
    """Whether that event is a notice of dispatch to the partner on the case."""
    return event_id in case.record_of(partner).notices
