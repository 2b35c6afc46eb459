"""The glossary names what is there, and has every literal of the contracts."""

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, get_args

import pytest

from contracts import dispatch, feedback, intake, notice, progress, reference, request, status, triage
from contracts.fields import FROM, TO
from contracts.roles import Role
from contracts.wire import TOPICS
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
    "because": set(get_args(triage.Because)),
    "check": set(get_args(triage.CheckMethod)),
    "why": set(get_args(triage.RejectionReason)),
    "channel": set(get_args(intake.Channel)),
    "clock": set(get_args(reference.Clock)),
    "level": set(get_args(reference.Level)),
    "unit": set(get_args(reference.UnitKind)),
    "role": set(Role),
    "says": set(get_args(reference.Says)),
    "topic": {*TOPICS, f"{FROM}<partner>", f"{TO}<partner>"},
}
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


def test_the_glossary_has_every_literal_of_the_contracts_in_alphabetical_order() -> None:
    for kind, known in LITERALS.items():
        parts = [part for row in TERMS for part in row["where"].split("; ") if part.startswith(f"{kind} ")]
        missing = known - {span for part in parts for span in spans(part)}
        assert missing == set(), f"no row of docs/glossary.md has these under `where`, each as {kind} `...`"
    terms = [re.sub(r"[^a-z ]", "", row["term"].lower()) for row in TERMS]
    assert all(one <= other for one, other in pairwise(terms)), [
        t for t, s in zip(terms, sorted(terms), strict=True) if t != s
    ]
