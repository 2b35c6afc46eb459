"""Judges a history: what was promised and did not happen, happened twice, or is told differently in two places. Pure.

Every rule takes the history and yields what breaks it; its name in `RULES` is what such a violation is called.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from contracts.fields import FROM, TO
from contracts.homes import service_source
from contracts.status import SERVICES
from tests.chaos.history import Command, History, Record

DECIDING = tuple(name for name in SERVICES if name != "audit")
EFFECT: Mapping[str, tuple[str, str]] = {
    "report": ("ReportFiled", "new"),
    "acknowledge": ("Progressed", "acknowledged"),
    "resolve": ("Resolved", "fixed"),
}
"""What was asked for -> the topic and the kind of the fact that it becomes."""
ONCE = {*EFFECT.values(), ("Assigned", "dispatched"), ("Evaluated", "closed")}
"""What a case, or an assignment, takes once."""
READS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "intake": (("Assigned", "Evaluated"), ("report",)),
    "triage": (("ReportFiled", "Resolved", "Evaluated"), ()),
    "dispatch": (("Assigned", "Evaluated"), ("acknowledge", "resolve")),
    "feedback": (("Assigned", "Resolved"), ()),
}
"""Service -> topics of which it must have taken in every event, and kinds of requests."""


@dataclass(frozen=True)
class Violation:
    """`rule` is a name in `RULES`."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def judge(history: History) -> list[Violation]:
    """All violations; none, if every promise was kept."""
    return [Violation(name, what) for name, rule in RULES.items() for what in rule(history)]


def lost(history: History) -> Iterator[str]:
    """An acknowledged command that has not become a fact."""
    there = {(one.topic, one.said.kind, one.said.assignment or one.said.case) for one in _facts(history)}
    accepted = {one.said.answers for one in _notices(history, "accepted")}
    sent = {one.said.id for one in _requests(history)}
    for command in history.commands:
        if command.status != "acknowledged" or command.wrong:
            continue
        if command.way == "topic" and command.id not in sent:
            yield f"{_named(command)} is not on its topic, though the broker has acknowledged it"
        elif command.way == "topic" and command.id not in accepted:
            continue  # `refused` and `unanswered` speak of it
        elif (*EFFECT[command.kind], command.assignment or command.case) not in there:
            yield f"{_named(command)} was acknowledged and has no effect"


def doubled(history: History) -> Iterator[str]:
    """Facts with different ids of one report, of a step that is taken once, or of one cause."""
    titled: dict[str, set[str]] = defaultdict(set)
    once: dict[tuple[str, ...], set[str]] = defaultdict(set)
    caused: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for record in _facts(history):
        event = record.said
        if (record.topic, event.kind) == EFFECT["report"]:
            titled[event.title].add(event.case)
        if (record.topic, event.kind) in ONCE:
            once[record.topic, event.kind, event.assignment or event.case].add(event.id)
        elif event.cause:
            caused[record.topic, event.kind, event.case, event.cause, event.assignment].add(event.id)
    yield from (f"one report became {sorted(cases)}" for cases in titled.values() if len(cases) > 1)
    for (topic, kind, name), ids in once.items():
        if len(ids) > 1:
            yield f"{name} has {len(ids)} facts {kind} on {topic}"
    for (topic, kind, case, cause, _), ids in caused.items():
        if len(ids) > 1:
            yield f"{case} has {len(ids)} facts {kind} on {topic} of the cause {cause}"


def refused(history: History) -> Iterator[str]:
    """A right command that was refused, or a wrong one that was accepted."""
    said = {one.said.answers: one.said for one in _notices(history)}
    for command in history.commands:
        answer = said.get(command.id)
        no = command.status == "refused" or (answer is not None and answer.kind == "refused")
        yes = (answer is not None and answer.kind == "accepted") or (command.way == "http" and _acknowledged(command))
        if no and not command.wrong:
            yield f"{_named(command)}: {answer.reason if answer is not None else command.said}"
        if yes and command.wrong:
            yield f"{_named(command)} is wrong and was accepted"


def unanswered(history: History) -> Iterator[str]:
    """A partner's request without an answer, or with several."""
    answers: dict[str, set[str]] = defaultdict(set)
    for notice in _notices(history):
        answers[notice.said.answers].add(notice.said.id)
    for event_id in sorted({one.said.id for one in _requests(history)}):
        if (number := len(answers[event_id])) != 1:
            yield f"request {event_id} has {number} answers"


def sequences(history: History) -> Iterator[str]:
    """Numbers of a source in a case that are missing, or given twice."""
    for where, records in (("the topics", history.records), ("audit's log", history.logged)):
        events = ((one.said.source, one.said.case, one.said.sequence, one.said.id) for one in _by_services(records))
        yield from _numbering(where, events)
    own = ((service_source(one.service), one.case, one.sequence, one.id) for one in history.stored if one.own)
    yield from _numbering("its store", own)


def _numbering(where: str, events: Iterable[tuple[str, str, int | None, str]]) -> Iterator[str]:
    ids: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for source, case, sequence, event_id in events:
        ids[source, case][sequence or 0].add(event_id)
    for (source, case), numbers in ids.items():
        if gaps := sorted(set(range(1, max(numbers) + 1)) - numbers.keys()):
            yield f"{source} lacks {gaps} of {case} in {where}"
        if reused := sorted(number for number, found in numbers.items() if len(found) > 1):
            yield f"{source} has used {reused} of {case} again in {where}"


def reordered(history: History) -> Iterator[str]:
    """Facts of one case that lie in another order than they were numbered."""
    order: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for one in _by_services(history.records):
        order[one.topic, one.said.source, one.said.case].setdefault(one.said.id, one.said.sequence or 0)
    for one in sorted((one for one in history.stored if one.own), key=lambda one: one.version):
        order["its store", service_source(one.service), one.case][one.id] = one.sequence or 0
    for (where, source, case), numbers in order.items():
        if any(later < earlier for earlier, later in pairwise(numbers.values())):
            yield f"{source} says {list(numbers.values())} of {case} on {where}"


def altered(history: History) -> Iterator[str]:
    """One event with different bytes in two places."""
    digests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in (*history.records, *history.logged):
        if one.said.id:
            digests[one.topic, one.said.id].add(one.digest)
    for one in history.stored:
        digests[one.topic, one.id].add(one.digest)
    yield from (f"{event_id} of {topic}" for (topic, event_id), found in digests.items() if len(found) > 1)


def unpublished(history: History) -> Iterator[str]:
    """What a service has stored as its own and not published, or published and not stored."""
    published = {(one.said.source, one.said.id) for one in _by_services(history.records)}
    stored = {(service_source(one.service), one.id) for one in history.stored if one.own}
    yield from (f"{source} has {event_id} in its store alone" for source, event_id in sorted(stored - published))
    yield from (f"{source} has {event_id} on a topic alone" for source, event_id in sorted(published - stored))


def not_taken_in(history: History) -> Iterator[str]:
    """What a service had to read and has not stored, or has stored twice."""
    taken = Counter((one.service, one.id) for one in history.stored if not one.own)
    yield from (
        f"{service} has {event_id} {number} times" for (service, event_id), number in taken.items() if number > 1
    )
    accepted = {one.said.answers for one in _notices(history, "accepted")}
    for service, (topics, requests) in READS.items():
        ids = {one.said.id for one in _facts(history) if one.topic in topics}
        ids |= {one.said.id for one in _requests(history) if one.said.kind in requests and one.said.id in accepted}
        yield from (f"{service} lacks {event_id}" for event_id in sorted(ids) if not taken[service, event_id])


def not_logged(history: History) -> Iterator[str]:
    """Records of the topics that audit's log lacks, has twice or has otherwise, and what only the log has."""
    topics = {one.at: one.digest for one in history.records}
    times = Counter(one.at for one in history.logged)
    logged = {one.at: one.digest for one in history.logged}
    yield from (f"{at} is in the log {number} times" for at, number in times.items() if number > 1)
    yield from (f"{at} is not in the log" for at in topics if at not in logged)
    yield from (f"{at} is in the log alone" for at in logged if at not in topics)
    yield from (f"{at} is other bytes in the log" for at in topics if logged.get(at, topics[at]) != topics[at])


def still_open(history: History) -> Iterator[str]:
    """A case that a service does not know, or does not hold for closed."""
    cases = {one.case for one in history.commands if one.kind == "report" and _acknowledged(one) and not one.wrong}
    cases |= {one.said.case for one in _facts(history) if (one.topic, one.said.kind) == EFFECT["report"]}
    for service in SERVICES:
        states = history.states.get(service, {})
        for case in sorted(cases):
            if not (state := states.get(case, "unknown")).startswith("closed"):
                yield f"{case} is {state} at {service}"


def disagreeing(history: History) -> Iterator[str]:
    """A case of which two services say different things."""
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for service, states in history.states.items():
        for case, state in states.items():
            told[case][service] = state
    yield from (f"{case}: {states}" for case, states in told.items() if len(set(states.values())) > 1)


def parked(history: History) -> Iterator[str]:
    """A record that was set aside and was not planted, or was planted and is nowhere."""
    for one in history.parked:
        if one.digest not in history.junk:
            yield f"{one.service} has parked {one.at}: {one.kind}: {one.reason}"
    aside = {one.digest for one in history.parked}
    for one in history.records:
        if one.digest in history.junk and one.digest not in aside:
            yield f"{one.at} cannot be read, and nobody has parked it"


def _acknowledged(command: Command) -> bool:
    return command.status == "acknowledged"


def _named(command: Command) -> str:
    return f"{command.kind} of {command.assignment or command.case or 'a case'} over {command.way} ({command.id})"


def _by_services(records: Iterable[Record]) -> Iterator[Record]:
    return (one for one in records if one.said.source.startswith("/services/"))


def _facts(history: History) -> list[Record]:
    """What services said, but for answers; a record again counts by its id."""
    return [one for one in _by_services(history.records) if not one.said.answers]


def _requests(history: History) -> list[Record]:
    return [one for one in history.records if one.topic.startswith(FROM) and one.said.id]


def _notices(history: History, kind: str = "") -> list[Record]:
    """Answers to requests."""
    found = (one for one in history.records if one.topic.startswith(TO) and one.said.answers)
    return [one for one in found if not kind or one.said.kind == kind]


RULES: Mapping[str, Callable[[History], Iterable[str]]] = {
    "lost": lost,
    "doubled": doubled,
    "refused": refused,
    "unanswered": unanswered,
    "sequence": sequences,
    "reordered": reordered,
    "altered": altered,
    "unpublished": unpublished,
    "not taken in": not_taken_in,
    "not logged": not_logged,
    "open": still_open,
    "disagreeing": disagreeing,
    "parked": parked,
    "incomplete": lambda history: history.completeness,
    "ended": lambda history: history.ended,
    "odd answer": lambda history: history.odd,
}
"""Name -> what yields violations of it. Audit's report, ended services and odd answers are violations as they are."""
