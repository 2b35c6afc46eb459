"""What the benchmark makes of what it measured: differences, ratios, what is printed, kept and drawn."""

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from deploy.bench import chart, figures, history, phases, report
from deploy.bench.meter import Counters, between
from deploy.bench.usage import served
from deploy.stack.problem import Problem

BARE = {
    "kafka_produced_per_second": 20_000.0,
    "kafka_produced_cpu_us": 50.0,
    "kafka_consumed_per_second": 200_000.0,
    "kafka_consumed_cpu_us": 10.0,
    "postgres_copied_per_second": 60_000.0,
    "postgres_copied_cpu_us": 20.0,
    "loop_per_second": 900.0,
    "loop_cpu_us": 1_000.0,
    "empty_handler_per_second": 4_000.0,
    "empty_handler_cpu_us": 200.0,
}
SPREAD = {"p50": 10.0, "p95": 20.0, "p99": 30.0, "max": 40.0}
PHASE = {
    "cases_per_second": 250.0,
    "cpu_us_per_case": 8_000.0,
    "filed_to_assigned_ms": SPREAD,
    "filed_to_audited_ms": SPREAD,
    "commits_per_case": 0.5,
    "wal_bytes_per_case": 60_000.0,
    "rows_per_case": {"inserted": 30.0, "updated": 10.0, "hot": 2.0, "deleted": 3.0, "stored": 20.0},
    "records_per_case": 16.0,
    "deliveries_per_case": 20.0,
    "deliveries_per_commit": 40.0,
    "postgres_us_per_case": {"audit": 500.0},
    "cases": 10,
}


def reading(at: float, **changed: object) -> Counters:
    values = {
        "cpu": {"kafka": at},
        "backends": {},
        "commits": int(at),
        "wal_bytes": int(at) * 100,
        "statements": None,
        "rows": {},
    }
    return Counters(seconds=at, **{**values, **changed})  # pyright: ignore[reportArgumentType]


def test_a_process_that_was_started_again_is_no_figure() -> None:
    with pytest.raises(Problem, match="dispatch was started again"):
        between(reading(1, pids={"dispatch": 7, "kafka": 1}), reading(3, pids={"dispatch": 8, "kafka": 1}))


def test_what_was_spent_lies_between_two_readings_and_counts_by_case() -> None:
    zero, one = ({"inserted": n, "updated": 2 * n, "hot": n, "deleted": 0} for n in (10, 30))
    before = reading(1, rows={("audit", "log"): zero}, records=5, deliveries=7)
    after = reading(3, rows={("audit", "log"): one, ("audit", "cases"): one}, records=25, deliveries=47)
    cost = between(before, after)
    assert (cost.seconds, cost.cpu_seconds, cost.commits, cost.statements) == (2, 2, 2, None)
    assert cost.rows_by_kind == {"inserted": 50, "updated": 100, "hot": 50, "deleted": 0, "stored": 20}
    a_case = cost.per(20)
    assert a_case["cpu_us_per_case"] == 100_000
    assert (a_case["records_per_case"], a_case["deliveries_per_case"], a_case["deliveries_per_commit"]) == (1, 2, 20)
    assert a_case["statements_per_case"] is None, "what is not counted is not 0"


def test_a_process_that_came_later_counts_whole() -> None:
    after = reading(2, cpu={"kafka": 2.0, "postgres": 0.5})
    assert between(reading(1), after).cpu == {"kafka": 1.0, "postgres": 0.5}


def test_ratios_are_of_the_work_that_was_done() -> None:
    found = figures.ratios(
        PHASE,
        {"10": {**PHASE, "cpu_us_per_case": 40_000.0}},
        {"32": {**PHASE, "cpu_us_per_case": 80_000.0}, "filing": {"service_us": 2_600.0}},
        BARE,
    )
    assert found == {
        "case_over_bare_work": pytest.approx(8_000 / (16 * 50 + 20 * 10 + 20 * 20)),
        "rate_10_over_loop": pytest.approx(2.0),
        "rate_10_over_record_loop": pytest.approx(40_000 / (PHASE["records_per_case"] * BARE["loop_cpu_us"])),
        "http_32_over_bare_work": pytest.approx(80_000 / (16 * 50 + 20 * 10 + 20 * 20)),
        "http_32_over_case": pytest.approx(10.0),
        "post_over_empty_handler": pytest.approx(13.0),
    }
    assert found.keys() <= figures.MEANING.keys()


def test_a_spread_names_what_most_cases_stayed_under() -> None:
    found = phases.spread([float(n) for n in range(101)])
    assert found == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


@pytest.mark.parametrize(
    ("title", "who"),
    [
        ("postgres: audit casegrid 127.0.0.1(60018) idle in transaction", "audit"),
        ("postgres: walwriter ", "walwriter"),
        ("postgres: autovacuum launcher", "autovacuum launcher"),
    ],
)
def test_a_process_of_postgres_is_named_by_whom_it_serves(title: str, who: str) -> None:
    assert served(title) == who


def summary() -> dict[str, object]:
    return {
        "cores": 2,
        "cases_per_second": 245.04,
        "cpu_us_per_case": 8_000.4,
        "ratios": {"case_over_bare_work": 0.4, "post_over_empty_handler": 13.0},
        "saturation": PHASE,
        "rates": {
            "10": {**PHASE, "offered_per_second": 10.0, "kept_up": True},
            "half": {**PHASE, "offered_per_second": 125.0, "kept_up": False},
        },
        "http": {"32": {**PHASE, "callers": 2, "records_per_case": 9.0}, "filing": {"service_us": 1.0}},
        "bare": BARE,
        "processes": {"kafka": {"cpu_us_per_case": 380.0, "memory_mib": 300.0}},
    }


def test_ratios_are_printed_first_beside_those_of_the_last_kept_run() -> None:
    console = Console(record=True, width=160)
    report.show(console, summary(), {"case_over_bare_work": 0.8})
    said = console.export_text()
    assert said.index("ratios") < said.index("per case") < said.index("bare limits")
    line = next(line for line in said.splitlines() if figures.MEANING["case_over_bare_work"] in line)
    assert "0.40" in line
    assert "0.80" in line
    assert "-50%" in line


def test_a_phase_says_what_was_offered_whether_the_stack_kept_up_and_how_many_records_a_case_has() -> None:
    console = Console(record=True, width=160)
    report.show(console, {**summary(), "saturation": {**PHASE, "postgres_us_per_case": {"ended": 50.0}}}, {})
    said = console.export_text()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    phases_of = {row[0]: row[1:4] for row in rows if len(row) == 12}
    assert phases_of["10 / s"] == ["10", "250", "16"]
    assert phases_of["half"] == ["125 !", "250", "16"]
    assert phases_of["http, 2 callers"] == ["", "250", "9"], "as many as there were, not as were wanted"
    assert "!: the stack did not keep up with what was offered" in said
    assert "postgres: sessions and autovacuum workers that ended meanwhile" in said


def test_a_stack_keeps_up_where_the_last_case_is_closed_soon_after_it_was_filed() -> None:
    assert phases.kept_pace(100, 10.0, 11.0)
    assert not phases.kept_pace(100, 10.0, 13.0)
    assert phases.kept_pace(100, None, 1_000.0), "all at once is no rate"


def test_a_kept_run_is_compared_with_the_one_before_it(tmp_path: Path) -> None:
    file = tmp_path / "bench" / "history.jsonl"
    assert history.read(file) == []
    assert history.comparison({"case_over_bare_work": 0.4}, []) == {}
    kept = history.entry(summary(), datetime(2026, 5, 10, tzinfo=UTC), "abc1234")
    history.append(file, kept)
    history.append(file, {**kept, "ratios": {"case_over_bare_work": 0.3}})
    assert history.read(file)[0] == kept
    compared = history.comparison({"case_over_bare_work": 0.4, "post_over_empty_handler": 9.0}, history.read(file))
    assert compared == {"case_over_bare_work": 0.3}


def test_the_chart_has_a_bar_for_each_ratio_of_the_last_run_and_a_mark_for_the_first() -> None:
    first = history.entry(summary(), datetime(2026, 5, 10, tzinfo=UTC), "abc1234")
    last = {**first, "ratios": {"case_over_bare_work": 0.2, "post_over_empty_handler": 4.0}}
    drawn = ElementTree.fromstring(chart.svg([first, last]))
    tag = "{http://www.w3.org/2000/svg}"
    bars, marks = drawn.findall(f"{tag}rect"), drawn.findall(f"{tag}path")
    assert len(bars) == len(marks) == 2
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[0] < widths[1]
    assert "prefers-color-scheme:dark" in (drawn.findtext(f"{tag}style") or "")
