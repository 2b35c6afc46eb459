"""Hypothesis strategies for every published fact, read off the models, so that a new field is covered by itself."""

import types
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.dispatch import Resolved
from contracts.envelope import EventId, Traceparent
from contracts.feedback import Evaluated
from contracts.fields import CASE_ID, EARLIEST, FROM, LATEST, CaseId, Filled, IntegerBetween, Name, Written
from contracts.homes import TELLERS
from contracts.progress import PUBLISHERS
from contracts.times import ahead
from contracts.wire import TYPES, Circumstances, build
from tests.support.facts import home_of

Strategy = st.SearchStrategy[Any]

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For laws over whole facts: on a busy machine a large one takes its time, which is no finding."""

_LETTERS = 12
_ITEMS = 2
"""The most in a generated text or list, unless its lower limit asks for more."""


def of(annotation: Any, metadata: Iterable[Any] = ()) -> Strategy:
    """Values of a type as pydantic reads it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    constraints = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    if origin is Annotated:
        return of(arguments[0], [*arguments[1:], *constraints])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([of(argument) for argument in arguments])
    if origin is tuple:
        low, high = _sizes(constraints, _ITEMS)
        return st.lists(of(arguments[0]), min_size=low, max_size=high).map(tuple)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return model(annotation)
    return _scalar(annotation, constraints)


def model(cls: type[BaseModel]) -> Strategy:
    """Instances of a model that keep its validators' rules; optional fields are absent at times."""
    fields = {name: of(field.annotation, field.metadata) for name, field in cls.model_fields.items()}
    required = {name: values for name, values in fields.items() if cls.model_fields[name].is_required()}
    optional = {name: values for name, values in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional).map(partial(_valid, cls))


def facts(name: str) -> Strategy:
    """What an event of that type says, of every kind."""
    return of(TYPES[name])


def instants() -> Strategy:
    """Any instant that a fact may name."""
    return st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC))


@st.composite
def published(draw: st.DrawFn, name: str) -> tuple[str, Any, bytes]:
    """(topic, event, bytes) of a valid event of that type, as its writer builds it."""
    data = draw(facts(name))
    source = draw(st.sampled_from(writers(data)))
    circumstances = draw(_CIRCUMSTANCES)
    if name == "Request" and draw(st.booleans()):
        circumstances["sequence"] = None
    if name != "Request" and ahead(circumstances["time"], circumstances["recorded"]):
        circumstances["time"], circumstances["recorded"] = circumstances["recorded"], circumstances["time"]
    topic = FROM + source.rpartition("/")[2] if name == "Request" else data.topic
    return topic, *build(data, Circumstances(source=source, **circumstances))


def writers(data: Any) -> list[str]:
    """Who may say that."""
    if data.name == "Progressed":
        return sorted(PUBLISHERS[data.step])
    others = {"Request": ["/partners/fire", "/partners/0-9"], "Notice": sorted(TELLERS)}
    return others.get(data.name) or [home_of(data)]


def _scalar(annotation: Any, constraints: list[Any]) -> Strategy:
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        (limits,) = (each for each in constraints if isinstance(each, IntegerBetween))
        return st.integers(limits.least, limits.most)
    if annotation is float:
        low, high = _bound(constraints, Ge, "ge"), _bound(constraints, Le, "le")
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    if annotation is str:
        if written := next((each for each in constraints if isinstance(each, Written)), None):
            most = _bound(constraints, MaxLen, "max_length")
            texts = st.from_regex(written.pattern, fullmatch=True)
            return texts.filter(lambda text: len(text) <= most and written.taken(text))
        pattern = next((found for each in constraints if (found := getattr(each, "pattern", None))), None)
        if pattern == CASE_ID.pattern:
            return st.uuids(version=4).map(str)
        if pattern:
            return st.from_regex(pattern, fullmatch=True).filter(lambda text: not text.endswith("\n"))
        low, high = _sizes(constraints, _LETTERS)
        texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=low, max_size=high)
        return texts.filter(_filled) if Filled in constraints else texts
    if annotation is datetime:
        return instants()
    if annotation is type(None):
        return st.none()
    raise NotImplementedError(f"no strategy for {annotation}")


def _filled(text: str) -> bool:
    """Whether something of it is no white space, whatever counts as such anywhere."""
    return any(not character.isspace() and character not in "\u200b\ufeff" for character in text)


def _sizes(constraints: list[Any], most: int) -> tuple[int, int]:
    low = _bound(constraints, MinLen, "min_length") or 0
    high = _bound(constraints, MaxLen, "max_length")
    return low, min(high if high is not None else most, max(low, most))


def _bound(constraints: list[Any], kind: type, name: str) -> Any:
    return next((getattr(each, name) for each in constraints if isinstance(each, kind)), None)


def _valid(cls: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    if cls is Resolved and values["outcome"] != "fixed":
        values["reason"] = values.get("reason") or "not ours"
    if cls is Evaluated and values["verdict"] == "closed":
        values["outcome"] = values.get("outcome") or "fixed"
    if cls is Evaluated and values["verdict"] == "rework":
        values["failed"] = values.get("failed") or ("019e0a4a-ae58-7000-8000-000000000001.1.1",)
    return cls(**values)


_CIRCUMSTANCES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "event_id": of(EventId),
        "subject": of(CaseId),
        "time": instants(),
        "recorded": instants(),
        "sequence": st.integers(1, 9_999_999_999),
        "cause": of(EventId),
    },
    optional={"actor": of(Name), "traceparent": of(Traceparent)},
)
