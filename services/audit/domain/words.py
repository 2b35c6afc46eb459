"""An event in words: who did what."""

from typing import Any

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn

_BECAUSE = {
    "first": "for the first time",
    "returned": "again, after a unit returned it",
    "escalated": "again, after an escalation",
    "rework": "for rework",
    "manual": "by hand",
}
_STEPS = {
    "verifying": "has it verified before filing",
    "verified_before_filing": "confirmed it before filing",
    "awaiting_ruling": "leaves it to a person to rule",
    "escalation_failed": "found nobody left to escalate to",
    "acknowledged": "acknowledged",
    "en_route": "is on the way",
    "on_scene": "arrived",
    "note": "noted",
    "urged": "urged",
    "supervised": "put it under supervision",
    "extension_requested": "asked for more time",
    "extended": "granted more time",
    "extension_refused": "refused more time",
    "suspended": "suspended the work",
    "resumed": "resumed the work",
    "nearly_due": "warned that the deadline is near",
    "overdue": "found it overdue",
    "escalated": "escalated",
    "refused": "refused what a rule forbids",
    "checking": "awaits the check",
    "check_overdue": "found the check overdue",
    "verified": "checked it: in order",
    "failed": "checked it: not in order",
    "rated": "rated it",
    "retried": "retried a parked record",
    "discarded": "discarded a parked record",
}
_OUTCOMES = {
    "fixed": "fixed it",
    "returned": "returned it",
    "escalated": "gave it up for escalation",
    "cancelled": "ended it",
}


def who(event: Event[Any]) -> str:
    """Who began the event, else who published it."""
    if event.actor == "clock":
        return f"{event.source.rpartition('/')[2]}'s clock"
    return event.actor or event.source.rpartition("/")[2]


def words(event: Event[Any]) -> str:
    """One line about an event."""
    return " ".join(f"{who(event)} {_what(event.data)}".split())


def _what(data: Any) -> str:
    match data:
        case NewReport():
            where = data.place.area or data.place.address
            return f"reported by {data.channel}: {data.title}" + (f" ({where})" if where else "")
        case Supplement():
            return f"added: {_short(data.text)}"
        case Withdrawal():
            return f"takes the report back: {data.reason}"
        case Dispatched():
            plan = "; ".join(f"{part.unit}{' (lead)' if part.lead else ''}: {part.task}" for part in data.plan)
            why = f"{_BECAUSE[data.because]}, {data.category}, priority {data.priority}"
            return f"dispatched round {data.round} {why}: {plan}"
        case Merged():
            return f"merged it into case {data.into}"
        case Rejected():
            return f"rejected it ({data.why}): {data.reason}"
        case Withdrawn():
            return f"withdrew it: {data.reason}"
        case Resolved():
            return f"{_OUTCOMES[data.outcome]} for {data.unit}" + _said(data.reason or data.note)
        case Evaluated(verdict="closed"):
            checked = f", checked by {data.checked_by}" if data.checked_by else ""
            late = f", late by {data.late_by_seconds} s" if data.late_by_seconds else ""
            return f"closed it as {data.outcome}{checked}{late}" + _said(data.reason)
        case Evaluated():
            return f"sent {', '.join(data.failed)} back for rework" + _said(data.reason)
        case Progressed():
            return _step(data)
        case _:
            return type(data).__name__


def _step(data: Progressed) -> str:
    found = _STEPS[data.step]
    if data.unit is not None:
        found += f" [{data.unit}]"
    if data.level is not None:
        found += f", level {data.level}"
    if data.count is not None:
        found += f", number {data.count}"
    if data.rating is not None:
        found += f", {data.rating} of 5"
    if data.due_at is not None:
        found += f", due {data.due_at:%Y-%m-%d %H:%M:%SZ}"
    return found + _said(data.reason or data.note)


def _said(text: str | None) -> str:
    return f": {_short(text)}" if text else ""


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
