"""The words of each enumeration are those of its values, in their order."""

from typing import Any, get_args

import pytest

from contracts import dispatch, feedback, intake, status, triage
from contracts.reference import Level, UnitKind
from contracts.reference.catalogue import Kind
from contracts.words import WORDS, explained

ENUMERATIONS: list[Any] = [
    *(status.Status, status.Stage, dispatch.Outcome, feedback.Verdict, feedback.CaseOutcome, intake.Channel),
    *(triage.Because, triage.CheckMethod, triage.RejectionReason, Kind, UnitKind, Level),
]


@pytest.mark.parametrize("enumeration", ENUMERATIONS, ids=lambda one: str(get_args(one)[0]))
def test_every_value_is_explained(enumeration: Any) -> None:
    values = get_args(enumeration)
    assert list(values) in [list(words) for words in WORDS]
    assert all(f"`{value}`: " in (explained(values) or "") for value in values)


def test_what_is_not_explained_has_no_words() -> None:
    assert explained(("fixed", "broken")) is None
    assert len({frozenset(words) for words in WORDS}) == len(WORDS)
