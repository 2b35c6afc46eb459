"""Which sizes of history are measured, what a spike is judged by, and what is printed of both."""

import asyncio
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from rich.console import Console

from deploy.bench import figures, report
from deploy.bench.past import refuse_without_room
from deploy.bench.sizes import Step, plan, sizes
from deploy.bench.spike import kind, recovered
from deploy.stack.problem import Problem

BEFORE = {"rate": 10.0, "p95_seconds": 0.8}


def test_each_size_is_reached_by_what_is_missing_and_what_is_there_comes_first() -> None:
    assert sizes("1000000, 100000") == (100_000, 1_000_000)
    assert list(plan((1_000_000, 100_000), 2_000)) == [Step(0, 0), Step(100_000, 98_000), Step(1_000_000, 900_000)]
    assert list(plan((100_000,), 150_000)) == [Step(0, 0)], "nothing is taken away"
    assert sizes("") == ()
    with pytest.raises(ArgumentTypeError, match="above 0"):
        sizes("0,100")
    with pytest.raises(ArgumentTypeError, match="many: sizes are numbers of cases"):
        sizes("many")


def steadily(rate: float, since: float, until: float) -> list[float]:
    return [since + n / rate for n in range(int((until - since) * rate))]


def test_a_stack_is_back_when_it_closes_as_many_and_answers_as_fast_as_before() -> None:
    ended = steadily(2, 0, 20) + steadily(10, 20, 60)
    answers = [(at, 9.0 if at < 12 else 0.5) for at in steadily(40, 0, 60)]
    assert recovered(ended, answers, 10.0, BEFORE) == 10.0, "its answers are fast before its rate is back"
    slow = [(at, 9.0 if at < 40 else 0.5) for at in steadily(40, 0, 60)]
    assert recovered(ended, slow, 10.0, BEFORE) == 30.0, "or the other way round"


def test_a_stack_that_is_slower_or_answers_later_is_not_back() -> None:
    fast = [(at, 0.5) for at in steadily(40, 0, 60)]
    assert recovered(steadily(8, 0, 60), fast, 0.0, BEFORE) is None
    assert recovered(steadily(10, 0, 60), [(at, 1.7) for at, _ in fast], 0.0, BEFORE) is None
    assert recovered(steadily(10, 0, 60), [(at, 1.5) for at, _ in fast], 0.0, BEFORE) == 0.0, "twice as long at most"
    assert recovered(steadily(10, 0, 60), fast, 58.0, BEFORE) is None, "a window that is not over proves nothing"
    assert recovered([], [], 0.0, BEFORE) is None


def test_history_that_the_disk_has_no_room_for_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"10,000,000,000 cases more take about 560005 GB of disk"):
        refuse_without_room(tmp_path, 10_000_000_000)
    refuse_without_room(tmp_path, 0)


def test_errors_are_counted_by_kind() -> None:
    assert kind(Problem("POST /reports was answered with 500: {}")) == "500"
    assert kind(Problem("POST /reports was put off 60 times")) == "put off to the end"
    assert kind(ConnectionResetError()) == "ConnectionResetError"
    assert kind(asyncio.IncompleteReadError(b"", None)) == "IncompleteReadError"


def size(cases: int, report_us: float) -> dict[str, object]:
    spread = {"p50": 10.0, "p95": 20.0, "p99": 30.0, "max": 40.0}
    asked = [("intake", "/reports/{case}"), ("dispatch", "/cases/{case}")]
    return {
        "cases": cases,
        "database_bytes": cases * 54_000,
        "lifecycle": {"lifecycles_per_second": 60.0, "cpu_us_per_case": 30_000.0, "answer_ms": spread},
        "reads": [
            {"service": name, "path": path, "service_us": report_us, "database_us": 500.0, "answer_ms": spread}
            for name, path in asked
        ],
    }


SPIKE = {
    "offered": 600,
    "offered_per_second": 100.0,
    "seconds": 60.0,
    "before": 10.0,
    "during": 8.0,
    "answer_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0, "max": 40.0},
    "errors": {"500": 2},
    "put_off": 1234,
    "acknowledged": 598,
    "lost": 0,
    "recovered_seconds": 12.0,
    "ending_seconds": 40.0,
    "drained_seconds": None,
}


def test_what_grows_with_history_is_a_ratio() -> None:
    measured = {"1000000": size(1_000_000, 3_000.0), "0": size(2_000, 1_000.0)}
    found = figures.growth(measured)
    assert found["report_at_size"] == pytest.approx(3_500 / 1_500)
    assert found["lifecycle_at_size"] == 1.0
    assert found.keys() <= figures.MEANING.keys()
    assert figures.growth({"0": size(2_000, 1_000.0)}) == {}


def test_each_size_is_a_column_and_the_spike_says_what_was_lost() -> None:
    console = Console(record=True, width=160)
    for table in report.size_tables({"0": size(2_000, 1_000.0), "100000": {**size(100_000, 1_100.0), "spike": SPIKE}}):
        console.print(table)
    said = console.export_text()
    line = next(line for line in said.splitlines() if "intake GET /reports/{case}" in line)
    assert "1000 + 500" in line
    assert "1100 + 500" in line
    for words in ("spike at 100,000 cases", "2 500", "0 of 598", "12 s", "not in the time", "1,234"):
        assert words in said
