"""A partner's request on `from.<partner>` -> the command that people give over HTTP, and what a case knows of partners.

A category that the catalogue does not have is taken here, because no person is there to choose another one: triage
classifies by the words. Over HTTP it is refused (services.intake.api).
"""

from typing import Any

from contracts import request
from contracts.envelope import Event
from contracts.reference import Partner
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, By, Command, File, Rate, Reopen, Withdraw


def command(event: Event[Any], partner: Partner) -> Command | None:
    """The command in a request; None if another service takes the request."""
    match event.data:
        case request.FileReport() as asked:
            return _file(asked, partner)
        case request.AddSupplement() as asked:
            return AddSupplement(asked.text, asked.attachments, by=By.of(partner))
        case request.Withdraw() as asked:
            return Withdraw(asked.reason, by=By.of(partner))
        case request.Rate() as asked:
            return Rate(asked.rating, asked.comment, by=By.of(partner))
        case request.Reopen() as asked:
            return Reopen(asked.reason, by=By.of(partner))
        case _:
            return None


def involved(state: Case, partner: str) -> bool:
    """Whether the partner filed the case."""
    return state.partner == partner


def told(state: Case, partner: str, event_id: str) -> bool:
    """Whether that event is a notice of intake to the partner on this case."""
    return event_id in state.notices.get(partner, ())


def answered(state: Case, partner: str) -> int:
    """How many answers to the partner the case holds, its few other notices included."""
    return len(state.notices.get(partner, ()))


def _file(asked: request.FileReport, partner: Partner) -> File:
    return File(
        channel=asked.channel,
        title=asked.title,
        text=asked.text,
        category=asked.category,
        place=asked.place,
        attachments=asked.attachments,
        base_records=asked.base_records,
        external_ref=asked.external_ref,
        reporter_ref=f"{partner.id}:{asked.reporter_ref}" if asked.reporter_ref is not None else None,
        by=By.of(partner),
    )
