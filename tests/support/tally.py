"""A small service for the tests of the chassis: it counts what it is told of a case.

A new report is answered with a note, and so is a supplement that begins with `note `; a supplement without its report
is unfit; one that begins with `tell ` names other cases that are to hear of it; a withdrawal for the reason `boom`
meets a defect; a report of category `timed` is overdue an hour after it arrived. A partner may file a report and make
remarks on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter

from chassis.engine.decider import Decider, Facts, Inputs, Refused, Unfit, Unknown
from chassis.engine.model import Model
from chassis.engine.partner_requests import PartnerRequests
from chassis.service import Service
from chassis.store.migrations import EVERY, STORE, Migration, read
from chassis.store.views import View
from chassis.web.application import Routes
from chassis.web.requests import CommandRequestDep, CommandsDep, answer
from chassis.web.roles import SIGNED_IN, Access, Bound
from contracts import request as requested
from contracts.dispatch import Resolved
from contracts.fields import Attachment
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.notice import AcceptanceNotice
from contracts.progress import CheckOverdue, Failed, Verified
from contracts.reading import Knows
from contracts.reference import Partner
from contracts.times import Counted, counted

SCHEMA = """
CREATE TABLE tallies (
    case_id text PRIMARY KEY, title text NOT NULL CHECK (title <> 'unbearable'), supplements bigint NOT NULL,
    notes bigint NOT NULL,
    texts text NOT NULL
);
"""


@dataclass(frozen=True)
class Tally:
    title: str | None = None
    supplements: int = 0
    texts: tuple[str, ...] = ()
    resolved: int = 0
    notes: int = 0
    due_at: datetime | None = None
    partner: str | None = None
    told: frozenset[str] = frozenset()
    heard: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Note:
    text: str


@dataclass(frozen=True)
class File:
    title: str
    partner: str


def evolve(state: Tally, event: Any) -> Tally:
    match event.data:
        case NewReport(title=title, category=category, reported_by=partner):
            due_at = event.time + timedelta(hours=1) if category == "timed" else None
            return replace(state, title=title, due_at=due_at, partner=partner)
        case Supplement(text=text):
            return replace(state, supplements=state.supplements + 1, texts=(*state.texts, text))
        case Resolved():
            return replace(state, resolved=state.resolved + 1)
        case Verified(rule=None):
            return replace(state, notes=state.notes + 1)
        case Verified(rule=heard):
            return replace(state, heard=state.heard | {heard or ""})
        case CheckOverdue():
            return replace(state, due_at=None)
        case AcceptanceNotice():
            return replace(state, told=state.told | {event.id})
        case _:
            return state


def react(event: Any, state: Tally, inputs: Inputs) -> Facts | Unfit:
    match event.data:
        case NewReport(title=title):
            return [Verified(note=title)]
        case Supplement() if state.title is None:
            return Unfit("no report of this case has come yet")
        case Supplement(text=text) if text.startswith("note "):
            return [Verified(note=text)]
        case Resolved(unit=unit) if unit == "nobody":
            return Unfit("unit: nobody is not a unit")
        case Withdrawal(reason="boom"):
            raise ZeroDivisionError("a defect")
        case _:
            return []


def decide(command: Note | File, state: Tally, inputs: Inputs) -> Facts:
    match command:
        case File() if state.title is not None:
            raise Refused("report.once", "the case has been reported already")
        case File(title=title, partner=partner):
            return [NewReport(channel="partner", title=title, reported_by=partner)]
        case Note(text="huge"):
            photos = [Attachment(uri="https://photos.example/" + "x" * 1900)] * 50
            return [NewReport(channel="sensor", title="too much", text="水" * 20_000, attachments=tuple(photos))]
        case Note(text="wide"):
            return [Failed(reason="x" * 501)]
        case Note():
            if state.title is None:
                raise Unknown(f"there is no case {inputs.stream}")
            if state.notes >= 5:
                raise Refused("note.limit", "a case has five notes at most")
            return [Verified(note=command.text)]


def when(command: Note | File, state: Tally, inputs: Inputs) -> Counted:
    return counted(inputs.claimed, inputs.at, skew=timedelta(minutes=5))


def on_deadline(state: Tally, inputs: Inputs) -> Facts:
    if state.due_at is not None and state.due_at <= inputs.now:
        return [CheckOverdue(due_at=state.due_at)]
    return []


def propagates_to(event: Any, state: Tally, inputs: Inputs) -> Iterable[tuple[Any, str]]:
    if isinstance(event.data, Supplement) and event.data.text.startswith("tell "):
        return [(event, other) for other in event.data.text.split()[1:]]
    return ()


def on_propagated(event: Any, state: Tally, inputs: Inputs) -> Facts:
    return () if event.id in state.heard else [Verified(rule=event.id, note=f"heard of {event.subject}")]


DECIDER: Decider[Note | File, Tally] = Decider(
    initial=Tally(),
    evolve=evolve,
    react=react,
    decide=decide,
    on_deadline=on_deadline,
    due=lambda state: state.due_at,
    counted=when,
    propagates_to=propagates_to,
    on_propagated=on_propagated,
)

TALLIES: View[Tally] = View(
    "tallies",
    ("case_id",),
    {"case_id": "text", "title": "text", "supplements": "bigint", "notes": "bigint", "texts": "text"},
    lambda case_id, state: (
        [(case_id, state.title, state.supplements, state.notes, "|".join(state.texts))]
        if state.title is not None
        else []
    ),
)


router = APIRouter()


@router.post("/cases/{case_id}/notes", status_code=201)
async def note(case_id: str, body: dict[str, str], commands: CommandsDep, request: CommandRequestDep) -> Any:
    return answer(
        await commands.execute(
            case_id,
            Note(body["text"]),
            request,
            lambda state, events: (201, {"notes": state.notes, "event": events[0].id}),
        )
    )


def command(event: Any, partner: Partner) -> Note | File | None:
    match event.data:
        case requested.FileReport(title=title):
            return File(title, partner.id)
        case requested.Note(note=text):
            return Note(text)
        case _:
            return None


MODEL = Model(
    name="tally",
    topics=("ReportFiled", "Resolved", "from.*"),
    decider=DECIDER,
    views=(TALLIES,),
    parks=("ReportFiled", "Resolved", "from.*"),
    partner_requests=PartnerRequests(
        command=command,
        involved=lambda state, partner: state.partner == partner,
        told=lambda state, partner, event_id: event_id in state.told,
        answered=lambda state, partner: len(state.told),
        answers_unreadable=True,
    ),
)
MIGRATIONS = (*read("every", EVERY), *read("store", STORE), Migration("tally", 1, "0001_tables", SCHEMA))
TALLY = Service(
    model=MODEL,
    routes=Routes(router, {("POST", "/cases/{case_id}/notes"): Access(SIGNED_IN, Bound.NOTHING)}, {}),
    migrations=MIGRATIONS,
    knows=Knows(frozenset(), "CH", categories=True, units=False, filers=False),
    has=None,
)
