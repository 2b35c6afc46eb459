"""The glossary names what is there, and has every literal of the contracts."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pkgutil import walk_packages
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

import contracts
from contracts import dispatch, feedback, intake, notice, progress, reference, request, status, triage
from contracts.fields import FROM, TO
from contracts.roles import Role
from contracts.wire import TOPICS
from services.dispatch.lights import Light
from tests.docs.pages import page, rows, spans


def literals(union: Any, field: str) -> set[str]:
    return {model.model_fields[field].default for model in get_args(get_args(union)[0])}


LITERALS: Mapping[str, set[str]] = {
    "step": set(progress.STEPS),
    "ruling": literals(triage.Assigned, "ruling"),
    "outcome": {*get_args(dispatch.Outcome), *get_args(feedback.CaseOutcome)},
    "verdict": set(get_args(feedback.Verdict)),
    "report": literals(intake.ReportFiled, "kind"),
    "request": literals(request.Request, "kind"),
    "notice": literals(notice.Notice, "kind"),
    "status": set(get_args(status.Status)),
    "queue": {*get_args(progress.Queue), "verify"},
    "stage": set(get_args(status.Stage)),
    "light": set(get_args(Light)),
    "because": set(get_args(triage.Because)),
    "unclaimed": {"not_acknowledged", "overdue"},
    "forgery": {"unknown", "altered"},
    "check": set(get_args(triage.CheckMethod)),
    "checker": {"grid", "call_centre", "rule"},
    "why": set(get_args(triage.RejectionReason)),
    "channel": set(get_args(intake.Channel)),
    "clock": set(get_args(reference.Clock)),
    "level": set(get_args(reference.Level)),
    "kind": {"component", "event", "dispute", "service"},
    "place": set(get_args(reference.PlaceKind)),
    "unit": set(get_args(reference.UnitKind)),
    "role": set(Role),
    "says": set(get_args(reference.Says)),
    "topic": {*TOPICS, f"{FROM}<partner>", f"{TO}<partner>"},
}
PLAIN = ({"minutes", "hours", "days"}, set(get_args(reference.Scale)))
"""Words that need no row: units of time, and the sizes of the reference district."""
TERMS = list(rows(page("glossary.md")))


def resolve(name: str) -> object:
    """A module, class, field or function by its dotted name. Raises where there is none."""
    parts = name.split(".")
    split = next(n for n in range(len(parts), 0, -1) if is_module(".".join(parts[:n])))
    found: Any = import_module(".".join(parts[:split]))
    for part in parts[split:]:
        fields = {**getattr(found, "model_fields", {}), **getattr(found, "__dataclass_fields__", {})}
        found = fields[part] if part in fields else getattr(found, part)
    return found


def is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row["term"])
def test_what_the_glossary_names_is_there(row: dict[str, str]) -> None:
    assert all(row.values()), row
    for part in row["where"].split("; "):
        kind = part.partition("`")[0].strip()
        for span in spans(part):
            if kind:
                assert span in LITERALS[kind], span
            elif not span.startswith(("GET ", "POST ")):
                resolve(span)


def words_of(annotation: Any) -> Iterator[set[str]]:
    """The sets of words that a type allows."""
    if get_origin(annotation) is Literal:
        yield set(get_args(annotation))
    else:
        for part in get_args(annotation):
            yield from words_of(part)


def choices() -> Iterator[tuple[str, set[str]]]:
    """Each alias and each field in contracts/ that allows several words."""
    for found in walk_packages(contracts.__path__, "contracts."):
        module = import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == found.name:
                for field, told in value.model_fields.items():
                    yield from ((f"{found.name}.{name}.{field}", words) for words in words_of(told.annotation))
            elif get_origin(value) is Literal:
                yield f"{found.name}.{name}", set(get_args(value))


def test_no_choice_of_the_contracts_is_left_out() -> None:
    missing = {
        name: words
        for name, words in choices()
        if len(words) > 1 and words not in PLAIN and not any(words <= known for known in LITERALS.values())
    }
    assert missing == {}, "each needs its entry in LITERALS above and rows in docs/glossary.md"


def test_the_glossary_has_every_literal_of_the_contracts_in_alphabetical_order() -> None:
    for kind, known in LITERALS.items():
        parts = [part for row in TERMS for part in row["where"].split("; ") if part.startswith(f"{kind} ")]
        missing = known - {span for part in parts for span in spans(part)}
        assert missing == set(), f"no row of docs/glossary.md has these under `where`, each as {kind} `...`"
    terms = [re.sub(r"[^a-z ]", "", row["term"].lower()) for row in TERMS]
    assert all(one <= other for one, other in pairwise(terms)), [
        t for t, s in zip(terms, sorted(terms), strict=True) if t != s
    ]
