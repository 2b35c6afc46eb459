"""What the bodies of all requests and answers have in common."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from chassis.web.errors import NUL_RULE
from contracts.fields import is_list, is_object


class Body(BaseModel):
    """Base of requests: an unknown field is refused, because a misspelt one would be lost; and so is U+0000."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        """Looks through the whole body, because the models of the contracts within leave that to their records."""
        refused = PydanticCustomError("nul", NUL_RULE)
        faults = [InitErrorDetails(type=refused, loc=path, input=text) for path, text in _texts(given) if "\0" in text]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return given


class Answer(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(frozen=True)


def _texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text of a JSON value, with the path that leads there."""
    if isinstance(value, str):
        yield path, value
    elif is_object(value):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif is_list(value):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, number))
