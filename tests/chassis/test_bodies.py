"""A body names each field that cannot be stored, however deep it lies."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from chassis.web.bodies import Body
from contracts.fields import Attachment, Line

PHOTO = "https://photos.example/7.jpg"


class Inner(Body):
    """A body within a body."""

    text: Line


class Outer(Body):
    """A body with a model of the contracts, a body and a list within."""

    line: Line = "x"
    inner: Inner | None = None
    photos: Annotated[tuple[Attachment, ...], Field(max_length=2)] = ()
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"line": "\0"}, [("line",)]),
        ({"inner": {"text": "a\0"}, "line": "\0b"}, [("inner", "text"), ("line",)]),
        (
            {"photos": [{"uri": PHOTO}, {"uri": f"{PHOTO}\0", "media_type": "\0"}]},
            [("photos", 1, "uri"), ("photos", 1, "media_type")],
        ),
        ({"names": ["a", "\0"]}, [("names", 1)]),
    ],
)
def test_every_field_with_a_nul_is_named(given: dict[str, object], places: list[tuple[str | int, ...]]) -> None:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(given)
    assert [error["loc"] for error in refused.value.errors()] == places
    assert {error["msg"] for error in refused.value.errors()} == {"a text may not contain the character U+0000"}


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Outer.model_validate({"lines": "x"})


def test_what_can_be_stored_is_taken_as_it_is() -> None:
    given = {"line": "水", "inner": {"text": "b"}, "photos": [{"uri": PHOTO}], "names": ["\x01"]}
    assert Outer.model_validate(given).model_dump(exclude_unset=True) == {
        **given,
        "photos": ({"uri": PHOTO},),
        "names": ("\x01",),
    }
