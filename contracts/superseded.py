"""What was published in a form that nobody writes any more, and is still read: stores, logs and topics hold it."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from contracts.fields import Attachment, Fact, is_object

Attributes = dict[str, Any]

UPCASTERS: Mapping[str, Callable[[Attributes], Attributes]] = {}
"""Superseded type -> a function that turns the `data` of that version into the next; empty while all are v1."""


def _as_rating(attributes: Attributes) -> Attributes:
    """Feedback published ratings as its own step `rated`, before intake took them, which knows who filed."""
    said = attributes["data"]
    data = {"kind": "rating", "verdict_id": attributes["causationid"], "rating": said["rating"]}
    if (said.get("comment") or "").strip():
        data["comment"] = said["comment"]
    return {**attributes, "type": "casegrid.ReportFiled.v1", "data": {**data, "time_doubtful": said["time_doubtful"]}}


MOVED: Mapping[tuple[Any, Any, Any], Callable[[Attributes], Attributes]] = {
    ("casegrid.Progressed.v1", "/services/feedback", "rated"): _as_rating,
}
"""Type, source and step that the source says no more -> a function that turns the attributes into those of the fact
that says the same now, which may be of another type.
"""


def is_moved(attributes: Attributes) -> bool:
    """Whether an event says what its source says otherwise now."""
    return _move(attributes) is not None


def upcast(name: str, kind: str, attributes: Attributes, type_of: Callable[[str], str]) -> tuple[str, Attributes]:
    """A superseded event, brought up to date: the name of its type, and its attributes. `type_of` gives the current
    type of a name. Raises `ValueError`, which names the field and the rule.
    """
    move = _move(attributes)
    if move is None and (kind not in UPCASTERS or kind.rpartition(".v")[0] != f"casegrid.{name}"):
        raise ValueError(f"type: {kind[:100]} is not known here; expected {type_of(name)}")
    try:
        if move is not None:
            attributes = move(attributes)
            kind = attributes["type"]
            name = kind.split(".")[1]
        while kind != type_of(name):
            attributes["data"] = UPCASTERS[kind](attributes["data"])
            base, _, version = kind.rpartition(".v")
            attributes["type"] = kind = f"{base}.v{int(version) + 1}"
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"data: is not what {kind} says: {fault!r}") from None
    return name, attributes


def without_old_links(data: Fact) -> Fact:
    """The fact without the attachments that were kept from before there was a rule for them, and break it."""
    for name in _links(type(data)):
        links: tuple[Attachment, ...] = getattr(data, name)
        if not all(one.lasts for one in links):
            data = data.model_copy(update={name: tuple(one for one in links if one.lasts)})
    return data


@cache
def _links(kind: type[Fact]) -> tuple[str, ...]:
    return tuple(name for name in ("attachments", "evidence") if name in kind.model_fields)


def _move(attributes: Attributes) -> Callable[[Attributes], Attributes] | None:
    data = attributes.get("data")
    if not is_object(data) or not isinstance(step := data.get("step"), str):  # only steps are said otherwise now
        return None
    names = (attributes.get("type"), attributes.get("source"), step)
    return MOVED.get(names) if all(isinstance(name, str) for name in names) else None
