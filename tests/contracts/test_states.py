"""The next state of a fold: `altered` is `dataclasses.replace`, only cheaper."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from contracts.states import altered


@dataclass(frozen=True)
class Counted:
    of: str
    count: int = 0
    seen: Mapping[str, int] = field(default_factory=dict[str, int])


def test_the_next_state_is_what_replace_makes_and_the_last_stays() -> None:
    before = Counted("water", seen={"a": 1})
    assert altered(before, count=2) == replace(before, count=2) == Counted("water", 2, {"a": 1})
    assert altered(before, count=2, of="fire") == Counted("fire", 2, {"a": 1})
    assert altered(altered(before, count=1), of="gas") == Counted("gas", 1, {"a": 1})
    assert altered(before) == before == Counted("water", 0, {"a": 1})


def test_the_next_state_is_as_frozen_as_the_last() -> None:
    with pytest.raises(AttributeError):
        altered(Counted("water"), count=1).count = 2  # pyright: ignore[reportAttributeAccessIssue]


def test_a_change_of_what_is_no_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="Counted has no field number"):
        altered(Counted("water"), number=2)
