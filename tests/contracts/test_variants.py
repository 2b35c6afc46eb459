"""Each kind of step, notice and request has exactly its own fields: a wrong combination cannot be built."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.export.examples import scenario
from contracts.homes import DECIDERS
from contracts.progress import PUBLISHERS, STEPS
from contracts.wire import TYPES

_TELL = "each kind needs an example in contracts/export/examples.py or other_cases.py"
UNIONS = [name for name in TYPES if name not in ("Resolved", "Evaluated")]
KINDS: dict[str, dict[type[Any], Any]] = {name: {} for name in UNIONS}
"""Type -> model -> what an example says."""
for _example in scenario():
    if _example.type in KINDS:
        KINDS[_example.type].setdefault(type(_example.event.data), _example.event.data)


def foreign() -> Iterator[tuple[str, Any, str, Any]]:
    """(test id, fact, a field of another kind, a value that is right there)."""
    for name, kinds in KINDS.items():
        values = {field: getattr(data, field) for data in kinds.values() for field in type(data).model_fields}
        for model, data in kinds.items():
            for field in sorted(values.keys() - model.model_fields.keys()):
                yield f"{name}.{model.__name__}-{field}", data, field, values[field]


FOREIGN = list(foreign())


@pytest.mark.parametrize(("data", "field", "value"), [row[1:] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_a_field_of_another_kind_is_refused(data: Any, field: str, value: Any) -> None:
    own = {name: getattr(data, name) for name in type(data).model_fields}
    assert type(data)(**own) == data
    with pytest.raises(ValidationError) as refusal:
        type(data)(**own, **{field: value})
    assert [(fault["type"], fault["loc"]) for fault in refusal.value.errors()] == [("extra_forbidden", (field,))]


@pytest.mark.parametrize("name", UNIONS)
def test_a_kind_cannot_be_called_another(name: str) -> None:
    assert KINDS[name], _TELL
    (tag,) = {"kind", "ruling", "step"}.intersection(*(model.model_fields for model in KINDS[name]))
    for model, data in KINDS[name].items():
        own = {field: getattr(data, field) for field in model.model_fields}
        for other in {getattr(one, tag) for one in KINDS[name].values()} - {getattr(data, tag)}:
            with pytest.raises(ValidationError):
                model(**{**own, tag: other})


@pytest.mark.parametrize("name", UNIONS)
def test_what_was_said_stays_said(name: str) -> None:
    for data in KINDS[name].values():
        with pytest.raises(ValidationError, match="frozen"):
            setattr(data, next(iter(type(data).model_fields)), "other")


def test_every_step_has_a_model_and_somebody_who_says_it() -> None:
    assert set(STEPS.values()) - set(KINDS["Progressed"]) == set(), _TELL
    assert STEPS.keys() == PUBLISHERS.keys()
    for step, model in STEPS.items():
        assert model.model_fields["step"].default == step
        assert PUBLISHERS[step]
        assert PUBLISHERS[step] <= DECIDERS


def test_every_service_that_publishes_says_what_became_of_a_parked_record() -> None:
    assert PUBLISHERS["retried"] == PUBLISHERS["discarded"] == DECIDERS


def test_every_service_that_publishes_says_what_was_forged_in_its_name() -> None:
    assert PUBLISHERS["forged"] == DECIDERS
