"""What a partner's system asks of intake on `from.<partner>`: the commands that people give over HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from chassis.requests import Requests
from contracts import request
from contracts.reference import Partner
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, Command, File, Withdraw


def _file(said: request.FileReport, partner: Partner) -> File:
    return File(
        channel=said.channel,
        title=said.title,
        text=said.text,
        category=said.category,
        place=said.place,
        attachments=said.attachments,
        base_records=said.base_records,
        external_ref=said.external_ref,
        reporter_ref=f"{partner.id}:{said.reporter_ref}" if said.reporter_ref is not None else None,
        partner=partner,
    )


def _supplement(said: request.AddSupplement, partner: Partner) -> AddSupplement:
    return AddSupplement(said.text, said.attachments, partner=partner)


def _withdraw(said: request.Withdraw, partner: Partner) -> Withdraw:
    return Withdraw(said.reason, partner=partner)


COMMANDS: Mapping[type[Any], Callable[[Any, Partner], Command]] = {
    request.FileReport: _file,
    request.AddSupplement: _supplement,
    request.Withdraw: _withdraw,
}
"""Request -> the command it is."""


def _command(event: Any, partner: Partner) -> Command | None:
    make = COMMANDS.get(type(event.data))
    return make(event.data, partner) if make is not None else None


def _involved(state: Case, partner: str) -> bool:
    return state.partner == partner


def _told(state: Case, partner: str, event_id: str) -> bool:
    return event_id in state.told.get(partner, ())


def _answered(state: Case, partner: str) -> int:
    """With the few notices of what became of the report: it needs no count of its own."""
    return len(state.told.get(partner, ()))


REQUESTS: Requests[Case] = Requests(_command, _involved, _told, _answered, answers_unreadable=True)
"""How intake takes them. It is the one service that answers what cannot be read."""
