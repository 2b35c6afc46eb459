"""How the examples are told: who says what, when and why; and the records that come of it, always the same.

Everything is told case by case and recorded in order of time. Ids and times are fixed, so the files never change. An
id is made of what the event is in its own case, so one more event leaves the ids of all others as they are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from contracts.causes import kind as kind_of
from contracts.fields import Claimed, Fact
from contracts.homes import partner_source, publisher_of, service_source, topic_from
from contracts.notice import AcceptanceNotice
from contracts.wire import VERSION, Circumstances, build

_LOCAL = timezone(timedelta(hours=8))
_WRITES = timedelta(milliseconds=35)
"""From what happens to its record."""
_TRAVELS = timedelta(seconds=1)
"""From a partner's request to the fact that follows."""


@dataclass(frozen=True)
class Example:
    """One event of the story: its type and topic, what it is called, the event and its bytes."""

    type: str
    topic: str
    name: str
    event: Any
    raw: bytes

    @property
    def file_name(self) -> str:
        """`<Type>.<kind>[-<which one>].v1.json`."""
        return f"{self.type}.{self.name}.v{VERSION}.json"


@dataclass(frozen=True)
class Case:
    """A case, or the subject of an answer that belongs to none; `name` tells its examples from those of others."""

    id: str
    name: str

    def assignment(self, number: str) -> str:
        """The id of assignment `<round>.<number>`."""
        return f"{self.id}.{number}"


@dataclass(frozen=True)
class Said:
    """Something that was said, by its id and the circumstances that others need."""

    id: str
    source: str
    case: Case
    at: datetime
    data: Fact
    cause: str | None
    actor: str | None
    name: str = ""

    @property
    def partner(self) -> str:
        """Whose request it is."""
        return publisher_of(self.source)


@dataclass
class Story:
    """What was said, case by case; `examples` puts it in order."""

    _told: list[Said] = field(default_factory=list)
    _names: Counter[str] = field(default_factory=Counter)
    _facts: Counter[str] = field(default_factory=Counter)

    def case(self, name: str, when: str) -> Case:
        """A case that begins in one of the services."""
        return Case(_uuid7(at(when), name), name)

    def fact(
        self,
        when: str | datetime,
        service: str,
        case: Case,
        data: Fact,
        *,
        cause: Said | None = None,
        actor: str | None = None,
    ) -> Said:
        """A service's own event."""
        moment = at(when) if isinstance(when, str) else when
        because = cause.id if cause else None
        event_id = _uuid7(moment + _WRITES, self._place(service, case, data))
        return self._tell(Said(event_id, service_source(service), case, moment, data, because, actor))

    def request(
        self, when: str, partner: str, case: Case, data: Fact, *, cause: Said | None = None, actor: str
    ) -> Said:
        """What a partner's system says; its ids are made from its own numbers."""
        source = partner_source(partner)
        event_id = str(uuid5(NAMESPACE_URL, f"{source}/{self._place(partner, case, data)}"))
        return self._tell(Said(event_id, source, case, at(when), data, cause.id if cause else None, actor))

    def take(self, request: Said, service: str, *facts: Fact) -> Said:
        """A request that is accepted: the facts that follow, then the answer. Returns the first fact."""
        moment, actor = request.at + _TRAVELS, f"{request.partner}:{request.actor}"
        told: list[Said] = []
        for fact in (*facts, AcceptanceNotice(to=request.partner, request=request.id)):
            claim = {"claimed_at": request.at} if isinstance(fact, Claimed) else {}
            made = fact.model_copy(update=claim)
            cause = told[0] if told else request
            told.append(self.fact(moment, service, request.case, made, cause=cause, actor=actor))
        return told[0]

    def examples(self) -> Sequence[Example]:
        """All of it in order of time, each source's events of a case numbered without a gap."""
        sequences: Counter[tuple[str, str]] = Counter()
        made: list[Example] = []
        for said in sorted(self._told, key=lambda said: said.at):
            sequences[said.source, said.case.id] += 1
            made.append(_example(said, sequences[said.source, said.case.id]))
        return made

    def _tell(self, said: Said) -> Said:
        named = replace(said, name=self._name(said.data, said.case))
        self._told.append(named)
        return named

    def _name(self, data: Fact, case: Case) -> str:
        """The first of its kind has the kind's name; later ones the case's, too, and from the second on a number."""
        kind = kind_of(data)
        self._names[f"{data.name}.{kind}"] += 1
        if self._names[f"{data.name}.{kind}"] == 1:
            return kind
        self._names[f"{data.name}.{kind}-{case.name}"] += 1
        number = self._names[f"{data.name}.{kind}-{case.name}"]
        return f"{kind}-{case.name}" + (f"-{number}" if number > 1 else "")

    def _place(self, who: str, case: Case, data: Fact) -> str:
        """What tells an event from all others: who says what in which case, and for which time."""
        what = f"{case.name}/{who}/{data.name}.{kind_of(data)}"
        self._facts[what] += 1
        return f"{what}-{self._facts[what]}"


def at(words: str) -> datetime:
    """`09:12:07` on 9 May 2026 in local time, or `10 09:12:07` on the 10th, as an instant in UTC."""
    day, _, clock = words.rpartition(" ")
    hour, minute, second = map(int, clock.split(":"))
    return datetime(2026, 5, int(day or 9), hour, minute, second, tzinfo=_LOCAL).astimezone(UTC)


def _uuid7(moment: datetime, what: str) -> str:
    """A version 7 UUID (RFC 9562) whose random bits are a digest of what it names."""
    milliseconds = int(moment.timestamp() * 1000)
    random = int.from_bytes(sha256(what.encode()).digest()[:10])
    return str(UUID(int=milliseconds << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1))


def _example(said: Said, sequence: int) -> Example:
    event, raw = build(
        said.data,
        Circumstances(
            event_id=said.id,
            source=said.source,
            subject=said.case.id,
            time=said.at,
            recorded=said.at + _WRITES,
            sequence=sequence,
            cause=said.cause,
            actor=said.actor,
        ),
    )
    if said.data.name == "Request":
        return Example("Request", topic_from(said.partner), said.name, event, _in_local_time(raw, said))
    return Example(said.data.name, said.data.topic, said.name, event, raw)


def _in_local_time(raw: bytes, said: Said) -> bytes:
    """As a partner's system writes it: its times have the offset of its clock."""
    times = {"time": said.at, "recordedtime": said.at + _WRITES}
    local = {name: moment.astimezone(_LOCAL).isoformat(timespec="milliseconds") for name, moment in times.items()}
    return orjson.dumps(orjson.loads(raw) | local)
