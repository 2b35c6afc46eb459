"""A small service for the tests of the chassis: it counts what it is told of a case.

A new report is answered with a note; a supplement needs its report first (early); a withdrawal for the reason `boom`
meets a defect; a report of category `timed` is overdue an hour after it was seen.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from chassis.commands import Request
from chassis.decider import Decider, Early, Facts, Inputs, Refused, Unfit, Unknown
from chassis.http import answer, command_request
from chassis.identity import ANYONE
from chassis.runtime import Runtime
from chassis.service import Service
from chassis.views import View
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed

SCHEMA = """
CREATE TABLE tallies (
    case_id text PRIMARY KEY, title text NOT NULL, supplements bigint NOT NULL, notes bigint NOT NULL,
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


@dataclass(frozen=True)
class Note:
    text: str


def evolve(state: Tally, event: Event[Any]) -> Tally:
    match event.data:
        case NewReport(title=title, category=category):
            due_at = event.time + timedelta(hours=1) if category == "timed" else None
            return replace(state, title=title, due_at=due_at)
        case Supplement(text=text):
            return replace(state, supplements=state.supplements + 1, texts=(*state.texts, text))
        case Resolved():
            return replace(state, resolved=state.resolved + 1)
        case Progressed(step="note"):
            return replace(state, notes=state.notes + 1)
        case Progressed(step="overdue"):
            return replace(state, due_at=None)
        case _:
            return state


def react(event: Event[Any], state: Tally, inputs: Inputs) -> Facts | Early | Unfit:
    match event.data:
        case NewReport(title=title):
            return [Progressed(step="note", note=title)]
        case Supplement() if state.title is None:
            return Early("no report of this case has come yet")
        case Resolved(unit=unit) if unit == "nobody":
            return Unfit("unit: nobody is not a unit")
        case Resolved() if state.title is None:
            return Early("no report of this case has come yet")
        case Withdrawal(reason="boom"):
            raise ZeroDivisionError("a defect")
        case _:
            return []


def decide(command: Note, state: Tally, inputs: Inputs) -> Facts:
    if state.title is None:
        raise Unknown(f"there is no case {inputs.stream}")
    if state.notes >= 5:
        raise Refused("note.limit", "a case has five notes at most")
    return [Progressed(step="note", note=command.text)]


def lapse(state: Tally, inputs: Inputs) -> Facts:
    if state.due_at is not None and state.due_at <= inputs.now:
        return [Progressed(step="overdue", due_at=state.due_at)]
    return []


DECIDER: Decider[Note, Tally] = Decider(
    initial=Tally(), evolve=evolve, react=react, decide=decide, lapse=lapse, due=lambda state: state.due_at
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


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter()

    @routes.post("/cases/{case_id}/notes")
    async def note(case_id: str, body: dict[str, str], request: Annotated[Request, Depends(command_request)]) -> Any:
        return answer(
            await runtime.commands.execute(
                case_id,
                Note(body["text"]),
                request,
                lambda state, events: (201, {"notes": state.notes, "event": events[0].id}),
            )
        )

    return routes


def admit(event: Event[Any]) -> str | None:
    return "source: /partners/stranger is not registered" if event.source == "/partners/stranger" else None


TALLY = Service(
    name="tally",
    topics=("ReportFiled", "Resolved"),
    decider=DECIDER,
    views=(TALLIES,),
    router=router,
    roles={("POST", "/cases/{case_id}/notes"): ANYONE},
    schema=Path(__file__),
    admit=admit,
)
