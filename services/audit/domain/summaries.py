"""An event in one line: who did what."""

from collections.abc import Mapping
from typing import Any

from contracts import actors
from contracts.dispatch import Resolved
from contracts.envelope import AnyEvent
from contracts.feedback import Evaluated
from contracts.fields import coordinates
from contracts.homes import partner_subject
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.progress import Discarded, Forged, Offered, Refused, Retried
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn

_BECAUSE = {
    "first": "for the first time",
    "returned": "again, after a unit returned it",
    "rework": "for rework",
    "manual": "by hand",
}
_STEPS: Mapping[str, str] = {
    "disclosed": "read who the reporter is",
    "verifying": "asked for verification before filing",
    "verified_before_filing": "confirmed it before filing",
    "awaiting_ruling": "left the ruling to a person",
    "ruling_overdue": "found the ruling overdue",
    "acknowledged": "acknowledged",
    "en_route": "set out",
    "on_scene": "arrived",
    "note": "noted",
    "extension_requested": "asked for more time",
    "extended": "granted more time",
    "extension_refused": "refused more time",
    "urged": "urged",
    "supervised": "put it under supervision",
    "handed_on": "handed it on",
    "nearly_due": "warned that the deadline is near",
    "overdue": "found it overdue",
    "escalated": "told a superior that it is overdue",
    "offered": "offered it because nobody acknowledged it",
    "escalation_failed": "found nobody left to escalate to",
    "joined": "counted another report of the same matter",
    "supplemented": "received a supplement to a merged report",
    "checking": "waits for the check",
    "check_overdue": "found the check overdue",
    "verified": "checked it: in order",
    "failed": "checked it: not in order",
    "refused": "refused a request",
    "retried": "retried a parked record",
    "discarded": "discarded a parked record",
    "forged": "found a record in its name that is not its own",
    "accessed": "was let read it by exception",
}
"""Step -> what was done."""
_REQUESTS: Mapping[str, str] = {
    "report": "asks to file a report",
    "supplement": "asks to add a supplement",
    "withdrawal": "asks to withdraw the report",
    "rating": "asks to rate it",
    "reopening": "asks to have it reopened",
    "acknowledge": "asks to acknowledge",
    "en_route": "asks to set out",
    "on_scene": "asks to report its arrival",
    "note": "asks to add a note",
    "request_extension": "asks for more time",
    "hand_on": "asks to hand it on",
    "return": "asks to return it",
    "resolve": "asks to report it fixed",
}
"""A request's kind -> what is asked. The answer says whether it was done."""
_NOTICES: Mapping[str, str] = {
    "assigned": "of an assignment",
    "changed": "that another report was merged",
    "cancelled": "that the assignment was cancelled",
    "case_closed": "that the case was closed",
    "urged": "that it was urged",
    "supervised": "that it is under supervision",
    "extended": "that it has more time",
    "extension_refused": "that it does not get more time",
    "supplement": "of a supplement",
    "ruled": "of the ruling on its report",
    "closed": "of the outcome of its report",
    "accepted": "that its request was accepted",
    "refused": "that its request was refused",
}
"""A notice's kind -> what it tells the partner."""
_OUTCOMES = {"fixed": "fixed it", "returned": "returned it", "cancelled": "cancelled it"}


def author(event: AnyEvent) -> str:
    """Who began the event, else who published it. People of a partner are named with it: `water:chen`, `partner:water`.

    The author of a notice or refusal is the service that published it, whoever began it.
    """
    publisher = event.publisher
    if event.data.name == "Notice" or isinstance(event.data, Refused):
        return publisher
    if event.data.name == "Request":
        return f"{publisher}:{event.actor}" if event.actor else partner_subject(publisher)
    if event.actor == actors.CLOCK:
        return f"{publisher}'s clock"
    return event.actor or publisher


def summary(event: AnyEvent) -> str:
    """One line about an event."""
    return " ".join(f"{author(event)} {_action(event.data)}".split())


def _action(data: Any) -> str:
    match data.name:
        case "Progressed":
            return _step(data)
        case "Request":
            return _REQUESTS[data.kind] + _details(data) + _quoted(_text(data))
        case "Notice":
            return f"tells {data.to} {_NOTICES[data.kind]}" + _details(data) + _quoted(_text(data))
        case _:
            return _fact(data)


def _fact(data: Any) -> str:
    match data:
        case NewReport():
            where = data.place.area or data.place.address
            through = f", through {data.reported_by}" if data.reported_by else ""
            return f"reported by {data.channel}{through}: {data.title}" + (f" ({where})" if where else "")
        case Supplement():
            return f"added: {_short(data.text)}"
        case Withdrawal():
            return f"withdrew the report: {data.reason}"
        case Rating():
            return f"rated it, {data.rating} of 5" + _quoted(data.comment)
        case Reopening():
            return f"asked to reopen it: {data.reason}"
        case Dispatched():
            plan = "; ".join(f"{one.unit}{' (lead)' if one.lead else ''}: {one.task}" for one in data.plan)
            why = f"{_BECAUSE[data.because]}, {data.category}, priority {data.priority}"
            return f"dispatched round {data.round} {why}: {plan}"
        case Merged():
            return f"merged it into case {data.into}"
        case Rejected():
            return f"rejected it ({data.why}): {data.reason}"
        case Withdrawn():
            return f"withdrew it: {data.reason}"
        case Upheld():
            return f"upheld the case although its reporter withdrew the report: {data.reason}"
        case Resolved():
            return f"{_OUTCOMES[data.outcome]} for {data.unit}" + _quoted(data.reason or data.note)
        case Evaluated(verdict="closed"):
            checked = f", checked by {data.checked_by}" if data.checked_by else ""
            late = f", late by {data.late_by_seconds} s" if data.late_by_seconds else ""
            return f"closed it as {data.outcome}{checked}{late}" + _quoted(data.reason)
        case Evaluated():
            return f"sent {', '.join(data.failed)} back for rework" + _quoted(data.reason)
        case _:
            raise TypeError(f"{type(data).__name__} has no summary")


def _step(data: Any) -> str:
    found = _STEPS[data.step]
    match data:
        case Retried() | Discarded():
            where = coordinates(data.parked_topic, data.partition, data.offset)
            return f"{found}, {where} ({_short(data.parked_because)})" + _quoted(data.reason)
        case Forged():
            return f"{found}, {coordinates(data.forged_topic, data.partition, data.offset)} ({data.because})"
        case Refused():
            return f"{found} of {data.partner}, {data.rule}" + _quoted(data.reason)
        case Offered() if data.to:
            found = f"offered it to {', '.join(data.to)} because nobody acknowledged it"
        case _:
            pass
    return found + _details(data) + _quoted(_text(data))


_DETAILS = (
    ("unit", " [{}]"),
    ("case_id", ", case {}"),
    ("by", ", by {}"),
    ("queue", ", {}"),
    ("because", ", {}"),
    ("rule", ", {}"),
    ("ruling", ", {}"),
    ("outcome", ", {}"),
    ("level", ", level {}"),
    ("count", ", number {}"),
    ("joined", ", {} by now"),
    ("rating", ", {} of 5"),
    ("due_at", ", due {:%Y-%m-%d %H:%M:%SZ}"),
    ("resolve_by", ", due {:%Y-%m-%d %H:%M:%SZ}"),
    ("reply_by", ", reply by {:%Y-%m-%d %H:%M:%SZ}"),
    ("until", ", until {:%Y-%m-%d %H:%M:%SZ}"),
)
"""Field of a step, request or notice -> its form in the summary, in this order."""


def _details(data: Any) -> str:
    return "".join(form.format(value) for name, form in _DETAILS if (value := getattr(data, name, None)) is not None)


def _text(data: Any) -> str | None:
    found = (
        getattr(data, name, None) for name in ("task", "title", "reason", "purpose", "note", "comment", "said", "text")
    )
    return next((text for text in found if text), None)


def _quoted(text: str | None) -> str:
    return f": {_short(text)}" if text else ""


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
