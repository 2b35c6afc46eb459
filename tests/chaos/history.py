"""What a campaign recorded: commands sent, answers seen, records of the topics, stores, audit's log, states."""

import gzip
import hashlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import orjson

Kind = Literal["report", "acknowledge", "resolve"]


def digest(body: bytes | None) -> str:
    """Tells bodies apart."""
    return hashlib.sha256(body or b"").hexdigest()[:24]


@dataclass(slots=True)
class Command:
    """One thing that somebody asked for. `id` is the request's event id, over HTTP its idempotency key."""

    id: str
    kind: Kind
    way: Literal["http", "topic"]
    case: str = ""
    """Of a report over HTTP known once it is answered."""
    assignment: str = ""
    status: Literal["acknowledged", "refused", "unknown"] = "unknown"
    """Over HTTP what was answered; by a topic `acknowledged` once the broker has it, the answer is a notice."""
    said: str = ""
    """Why it was refused."""
    wrong: bool = False
    """Planted: it must be refused."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an event says of itself; empty where a record is none."""

    source: str = ""
    id: str = ""
    case: str = ""
    sequence: int | None = None
    cause: str = ""
    kind: str = ""
    """Of a report, request or notice; else the step, verdict, ruling or outcome."""
    assignment: str = ""
    answers: str = ""
    """Of a notice: the request."""
    reason: str = ""
    title: str = ""
    """Of a report: no two are called alike."""


def said(body: bytes | None) -> Said:
    """Read without the services' own code."""
    try:
        event = orjson.loads(body or b"")
        data, number = event["data"], event.get("sequence")
        named = (data.get(name) for name in ("kind", "step", "verdict", "ruling", "outcome"))
        return Said(
            event["source"],
            event["id"],
            event["subject"],
            None if number is None else int(number),
            event.get("causationid") or "",
            next((name for name in named if name), ""),
            data.get("assignment_id") or "",
            data.get("request") or "",
            f"{data.get('rule', '')}: {data['reason']}" if data.get("reason") else "",
            data.get("title") or "",
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Said()


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic, as the campaign's reader or audit's log has it."""

    topic: str
    partition: int
    offset: int
    digest: str
    said: Said

    @property
    def at(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Stored:
    """One event of a service's store; `own` are those that it published."""

    service: str
    case: str
    version: int
    own: bool
    topic: str
    id: str
    sequence: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that a service set aside."""

    service: str
    at: str
    digest: str
    kind: str
    reason: str


@dataclass
class History:
    """All of one campaign."""

    seed: int = 0
    faults: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    """Of each partition in the order of offsets."""
    stored: list[Stored] = field(default_factory=list)
    logged: list[Record] = field(default_factory=list)
    """Audit's log, in the order of its indexes."""
    parked: list[Parked] = field(default_factory=list)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    """Service -> case -> its status and outcome there."""
    completeness: list[str] = field(default_factory=list)
    """The reasons of audit's report once what was planted is discarded; none: complete."""
    ended: list[str] = field(default_factory=list)
    """Services that ended by themselves."""
    odd: list[str] = field(default_factory=list)
    """Answers over HTTP that nobody may get, as 500."""
    junk: list[str] = field(default_factory=list)
    """Digests of the planted records that no service can read."""

    def write(self, file: Path) -> None:
        """As compressed JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(orjson.dumps(asdict(self)), 5))

    @classmethod
    def read(cls, file: Path) -> "History":
        """What `write` wrote."""
        found = orjson.loads(gzip.decompress(file.read_bytes()))
        return _built(cls, found)


def _built(kind: type[Any], values: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(**{one.name: _value(hints[one.name], values[one.name]) for one in fields(kind)})


def _value(hint: Any, value: Any) -> Any:
    if hint is Said:
        return _built(Said, value)
    item = next(iter(get_args(hint)), None)
    if isinstance(value, list) and item in (Command, Record, Stored, Parked):
        return [_built(item, one) for one in value]
    return value
