"""What a partner's system asks on `from.<partner>` -> the command a unit's person gives over HTTP."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from contracts import request
from contracts.reference import Partner
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    By,
    Command,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
)
from services.dispatch.domain.state import Case, Told

COMMANDS: Mapping[type, type[Any]] = {
    request.Acknowledge: Acknowledge,
    request.SetOut: SetOut,
    request.Arrive: Arrive,
    request.Note: Note,
    request.RequestExtension: RequestExtension,
    request.HandOn: HandOn,
    request.Return: Return,
    request.Resolve: Resolve,
}
"""Request -> command. Their fields bear the same names."""


def command(event: Any, partner: Partner) -> Command | None:
    """The command that a partner's event is; None of a report, which intake takes."""
    kind = COMMANDS.get(type(event.data))
    if kind is None:
        return None
    given = {one.name: getattr(event.data, one.name) for one in fields(kind) if one.name != "by"}
    if "handled_by" in given:
        given["handled_by"] = tuple(f"{partner.id}:{name}" for name in given["handled_by"])
    return kind(by=By(frozenset(partner.units), partner=partner.id), **given)


def involved(case: Case, partner: str) -> bool:
    """Whether the partner was told of an assignment of the case."""
    return case.told.get(partner, Told()).involved


def answered(case: Case, partner: str) -> int:
    """How many requests of the partner the case holds an answer to."""
    return case.told.get(partner, Told()).answers


def told(case: Case, partner: str, event_id: str) -> bool:
    """Whether that is a notice of dispatch to that partner on the case."""
    return event_id in case.told.get(partner, Told()).notices
