"""Each kind of violation is planted in a history that keeps every promise, and found by the rule it belongs to."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.status import SERVICES
from tests.chaos.__main__ import main
from tests.chaos.checker import DECIDING, READS, RULES, judge
from tests.chaos.history import Command, History, Parked, Record, Said, Stored, said

JUNK = "digest of junk"


def whole() -> History:
    """Case `a` over HTTP, `b` by the partner's topic with a wrong request and an unreadable record beside it."""
    history = History(seed=1, junk=[JUNK])
    for case in ("a", "b"):
        way = "http" if case == "a" else "topic"
        assignment = f"{case}.1.1"
        put(history, "intake", "ReportFiled", case, "new", 1, cause="" if way == "http" else f"{case}-report")
        put(history, "triage", "Assigned", case, "dispatched", 1, cause=f"{case}-intake-1")
        put(history, "dispatch", "to.bench", case, "assigned", 1, cause=f"{case}-triage-1", assignment=assignment)
        put(
            history,
            "dispatch",
            "Progressed",
            case,
            "acknowledged",
            2,
            cause=f"{case}-acknowledge",
            assignment=assignment,
        )
        put(history, "dispatch", "Resolved", case, "fixed", 3, cause=f"{case}-resolve", assignment=assignment)
        put(history, "feedback", "Evaluated", case, "closed", 1, cause=f"{case}-dispatch-3")
        history.commands += [
            Command(f"{case}-report", "report", way, case, status="acknowledged"),
            Command(f"{case}-acknowledge", "acknowledge", way, case, assignment, status="acknowledged"),
            Command(f"{case}-resolve", "resolve", way, case, assignment, status="acknowledged"),
        ]
    put(history, "intake", "to.bench", "b", "accepted", 2, answers="b-report")
    put(history, "dispatch", "to.bench", "b", "accepted", 4, answers="b-acknowledge")
    put(history, "dispatch", "to.bench", "b", "accepted", 5, answers="b-resolve")
    put(history, "dispatch", "to.bench", "b", "refused", 6, answers="b-wrong")
    history.commands.append(Command("b-wrong", "resolve", "topic", "b", "b.9.9", "acknowledged", wrong=True))
    for kind in ("report", "acknowledge", "resolve", "wrong"):
        asked = Said("/partners/bench", f"b-{kind}", "b", None, kind="resolve" if kind == "wrong" else kind)
        history.records.append(Record("from.bench", 0, len(history.records), f"digest of b-{kind}", asked))
    history.records.append(Record("from.bench", 0, len(history.records), JUNK, Said()))
    history.parked = [Parked("intake", history.records[-1].at, JUNK, "invalid", "no JSON")]
    history.logged = list(history.records)
    for service, (topics, kinds) in READS.items():
        for record in history.records:
            asked = record.topic == "from.bench" and record.said.kind in kinds and record.said.id != "b-wrong"
            if record.topic in topics or asked:
                history.stored.append(stored(service, record, own=False))
    history.states = {name: {"a": "closed, fixed", "b": "closed, fixed"} for name in SERVICES}
    return history


def put(history: History, service: str, topic: str, case: str, kind: str, sequence: int, **more: str) -> None:
    """A fact, on its topic and in its service's store."""
    if kind == "new":
        more["title"] = f"report of {case}"
    event_id = f"{case}-{service}-{sequence}"
    event = Said(f"/services/{service}", event_id, case, sequence, kind=kind, **more)
    record = Record(topic, 0, len(history.records), f"digest of {event_id}", event)
    history.records.append(record)
    history.stored.append(stored(service, record, own=True))


def stored(service: str, record: Record, *, own: bool) -> Stored:
    """That record in a store."""
    event = record.said
    return Stored(service, event.case, record.offset, own, record.topic, event.id, event.sequence, record.digest)


def again(history: History, event_id: str, **changes: Any) -> None:
    """A fact comes a second time with these changes: on its topic, in its store and in the log."""
    record = next(one for one in history.records if one.said.id == event_id)
    other = replace(record, offset=len(history.records), said=replace(record.said, **changes))
    history.records.append(other)
    history.logged.append(other)
    history.stored.append(stored(record.said.source.rpartition("/")[2], other, own=True))


def without(history: History, *ids: str) -> None:
    """These events were never there."""
    history.records = [one for one in history.records if one.said.id not in ids]
    history.logged = [one for one in history.logged if one.said.id not in ids]
    history.stored = [one for one in history.stored if one.id not in ids]


def swap_sequences(history: History, one: str, other: str) -> None:
    """Two facts of one topic and case were numbered the other way round."""
    numbers = {event.id: event.sequence for event in history.stored if event.own}
    swapped = {one: numbers[other], other: numbers[one]}

    def changed(record: Record) -> Record:
        number = swapped.get(record.said.id, record.said.sequence)
        return replace(record, said=replace(record.said, sequence=number))

    history.records = [changed(record) for record in history.records]


def command(history: History, name: str) -> Command:
    return next(one for one in history.commands if one.id == name)


def set_bytes(history: History, name: str, where: str) -> None:
    """An event has other bytes in one place."""
    rows: list[Any] = getattr(history, where)
    place = next(n for n, one in enumerate(rows) if (one.id if where == "stored" else one.said.id) == name)
    rows[place] = replace(rows[place], digest="others")


Plant = Callable[[History], Any]
PLANTED: dict[str, tuple[str, Plant]] = {
    "a report that was acknowledged over HTTP is nowhere": (
        "lost",
        lambda h: h.commands.append(Command("x", "report", "http", "x", status="acknowledged")),
    ),
    "an acknowledged step has no effect": (
        "lost",
        lambda h: without(h, "a-dispatch-3"),
    ),
    "a request that the broker acknowledged is gone": ("lost", lambda h: without(h, "b-resolve")),
    "an accepted request has no effect": ("lost", lambda h: without(h, "b-intake-1")),
    "a step was taken twice": ("doubled", lambda h: again(h, "a-dispatch-3", id="a-dispatch-4", sequence=4)),
    "a ruling was made twice": ("doubled", lambda h: again(h, "b-triage-1", id="b-triage-2", sequence=2)),
    "one cause has two notices": (
        "doubled",
        lambda h: again(h, "a-dispatch-1", id="a-dispatch-4", sequence=4),
    ),
    "one report became two cases": (
        "doubled",
        lambda h: again(h, "a-intake-1", id="c-intake-1", case="c"),
    ),
    "a case was reported twice": ("doubled", lambda h: again(h, "a-intake-1", id="a-intake-2", sequence=2)),
    "a right step was refused over HTTP": ("refused", lambda h: setattr(command(h, "a-resolve"), "status", "refused")),
    "a right request was refused": (
        "refused",
        lambda h: setattr(command(h, "b-wrong"), "wrong", False),
    ),
    "a wrong request was accepted": ("refused", lambda h: setattr(command(h, "b-resolve"), "wrong", True)),
    "a wrong step was accepted over HTTP": ("refused", lambda h: setattr(command(h, "a-resolve"), "wrong", True)),
    "a refusal is silent": ("unanswered", lambda h: without(h, "b-dispatch-6")),
    "a request has two answers": (
        "unanswered",
        lambda h: again(h, "b-dispatch-6", id="b-dispatch-7", sequence=7),
    ),
    "a number is missing": ("sequence", lambda h: without(h, "b-dispatch-1")),
    "a number was given twice": ("sequence", lambda h: again(h, "b-dispatch-1", id="other", cause="other")),
    "the store lacks a number": (
        "sequence",
        lambda h: h.stored.remove(next(one for one in h.stored if one.id == "b-dispatch-1")),
    ),
    "facts of a case changed places": (
        "reordered",
        lambda h: swap_sequences(h, "b-dispatch-4", "b-dispatch-5"),
    ),
    "the topic has other bytes": ("altered", lambda h: set_bytes(h, "a-triage-1", "records")),
    "a store has other bytes": ("altered", lambda h: set_bytes(h, "a-triage-1", "stored")),
    "audit has other bytes": ("not logged", lambda h: set_bytes(h, "a-triage-1", "logged")),
    "a fact was stored and never published": (
        "unpublished",
        lambda h: h.records.remove(next(one for one in h.records if one.said.id == "a-dispatch-3")),
    ),
    "a fact was published and is not stored": (
        "unpublished",
        lambda h: h.stored.remove(next(one for one in h.stored if one.own and one.id == "a-feedback-1")),
    ),
    "a service lacks what it must have read": (
        "not taken in",
        lambda h: h.stored.remove(next(one for one in h.stored if not one.own and one.service == "feedback")),
    ),
    "a fact took effect twice": (
        "not taken in",
        lambda h: h.stored.append(next(one for one in h.stored if not one.own)),
    ),
    "audit lacks a record": ("not logged", lambda h: h.logged.pop(3)),
    "audit has a record twice": ("not logged", lambda h: h.logged.append(h.logged[3])),
    "audit has a record that is on no topic": (
        "not logged",
        lambda h: h.logged.append(replace(h.logged[3], offset=99)),
    ),
    "a case is open at one service": ("open", lambda h: h.states["triage"].update(a="dispatched, None")),
    "a service does not know a case": ("open", lambda h: h.states["audit"].pop("a")),
    "two services disagree": ("disagreeing", lambda h: h.states["intake"].update(a="closed, rejected")),
    "a record is parked that nobody planted": (
        "parked",
        lambda h: h.parked.append(Parked("triage", "Assigned/0@1", "d", "failed", "lock time-out")),
    ),
    "an unreadable record vanished": ("parked", lambda h: h.parked.clear()),
    "audit's report says incomplete": (
        "incomplete",
        lambda h: h.completeness.append("1 events whose cause is missing"),
    ),
    "a service ended by itself": ("ended", lambda h: h.ended.append("triage ended by itself with status 1")),
    "a caller got a server error": ("odd answer", lambda h: h.odd.append("/reports: 500")),
}


def test_a_history_that_keeps_every_promise_has_no_violations() -> None:
    assert judge(whole()) == []


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_found(what: str) -> None:
    rule, plant = PLANTED[what]
    history = whole()
    plant(history)
    assert rule in {one.rule for one in judge(history)}


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _ in PLANTED.values()} == set(RULES)


@pytest.mark.parametrize("service", DECIDING)
def test_what_was_sent_again_with_the_same_id_is_no_violation(service: str) -> None:
    history = whole()
    record = next(one for one in history.records if one.said.source == f"/services/{service}")
    other = replace(record, offset=len(history.records))
    history.records.append(other)
    history.logged.append(other)
    assert judge(history) == []


def test_a_command_without_an_answer_may_have_an_effect_or_none() -> None:
    history = whole()
    history.commands += [Command("x", "report", "http"), Command("y", "resolve", "http", "y", "y.1.1")]
    command(history, "a-report").status = "unknown"
    command(history, "a-report").case = ""
    assert judge(history) == []


def test_a_history_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    history = whole()
    history.faults.append("3.0 s kill triage: over")
    history.write(tmp_path / "1.history.gz")
    assert History.read(tmp_path / "1.history.gz") == history
    assert copy.deepcopy(history) == history


def test_a_history_file_is_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = whole()
    history.write(file := tmp_path / "1.history.gz")
    assert main(["--judge", str(file)]) == 0
    assert "every promise was kept" in capsys.readouterr().out
    history.odd.append("/reports: 500")
    history.write(file)
    assert main(["--judge", str(file)]) == 1
    assert "odd answer: /reports: 500" in capsys.readouterr().out


def test_an_event_is_read_without_the_services_code() -> None:
    event = {
        "source": "/services/dispatch",
        "id": "1",
        "subject": "a",
        "sequence": "0000000003",
        "causationid": "0",
        "data": {"outcome": "fixed", "assignment_id": "a.1.1"},
    }
    assert said(orjson.dumps(event)) == Said("/services/dispatch", "1", "a", 3, "0", "fixed", "a.1.1")
    assert said(b"{") == said(b"[]") == said(None) == said(b'{"data": 1}') == Said()
