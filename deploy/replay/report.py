"""The end of a replay for people and programs: one summary, shown as tables and written as JSON."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.replay import summary
from deploy.replay.play import Play
from deploy.replay.reading import Reading
from deploy.replay.rows import Reject, Report

_CATEGORIES = 12
"""Shown on the terminal; the JSON has all."""
_COLUMNS = ("reported", "filed", "merged", "closed", "late")


@dataclass(frozen=True)
class Findings:
    """What is wrong after a replay, if anything: against audit, parked, or why it got stuck."""

    differences: list[str]
    parked: list[str]
    stuck: str | None


def of(play: Play, reading: Reading, findings: Findings) -> dict[str, Any]:
    """Everything worth knowing of a replay; `equal` only if each row that can be became a case, each case was closed,
    none is parked, and audit agrees.
    """
    reports = [item for item in reading if isinstance(item, Report)]
    rejects = [*(item for item in reading if isinstance(item, Reject)), *play.rejects]
    cases = list(play.cases.values())
    failures = Counter(case.failure for case in cases if case.failure is not None)
    own = {case.case_id for case in cases}
    seen = summary.counts(cases)
    lost = len(reports) - len(play.rejects) - len(cases)
    wrong = findings.differences or findings.parked or findings.stuck or failures or seen["open"] or lost
    return {
        "run": play.run,
        "rows": len(reading.items),
        "lines": reading.account(len(play.rejects)),
        "encoding": reading.encoding,
        "file_notes": list(reading.notes),
        "rejects": len(rejects),
        "rejects_by_rule": summary.rejected(rejects),
        "rejects_by_field": summary.rejected_by_field(rejects),
        "notes": summary.notes(reports),
        **seen,
        "merged_into_cases_of_others": sum(bool(case.merged_into) and case.merged_into not in own for case in cases),
        "seconds": round(play.seconds, 3),
        "closed_per_second": round(seen["closed"] / play.seconds, 1) if play.seconds else None,
        "stuck": findings.stuck,
        "without_answer": lost,
        "failures": dict(failures.most_common()),
        "differences_from_audit": findings.differences,
        "parked": findings.parked,
        "equal": bool(cases) and not wrong,
    }


def say(console: Console, words: str, style: str | None = None) -> None:
    """Prints words as they are: what stands in a file is no markup."""
    console.print(words, style=style, markup=False, highlight=False)


def show_reading(console: Console, name: str, reading: Reading, places: str) -> None:
    """What was read of the file, before anything is filed."""
    account = reading.account()
    parts = ", ".join(f"{count} {what}" for what, count in account.items() if what != "all")
    say(console, f"{name}, {reading.encoding}: {account['all']} lines = {parts}. {places}")
    for note in reading.notes:
        say(console, f"{name}: {note}", "yellow")


def show_rejects(console: Console, rejects: Mapping[str, Mapping[str, Any]]) -> None:
    """How many rows each field rejected, and the first of them."""
    for field, group in rejects.items():
        say(console, f"rows rejected for {field}: {group['rows']}")
        for words in group["first"]:
            say(console, f"  {words}")
        if group["rows"] > len(group["first"]):
            say(console, f"  and {group['rows'] - len(group['first'])} more")


def show(console: Console, found: dict[str, Any]) -> None:
    """The summary as tables, and what is wrong, if anything is."""
    table = Table(title=f"replay {found['run']}")
    table.add_column("what")
    table.add_column("reports", justify="right")
    for name in ("rows", "rejects", *summary.COUNTS):
        table.add_row(name, str(found[name]))
    for outcome, count in found["by_outcome"].items():
        table.add_row(f"closed as {outcome}", str(count))
    if found["closed_per_second"] is not None:
        table.add_row("closed per second", f"{found['closed_per_second']} in {found['seconds']:.1f} s")
    console.print(table)
    _show_categories(console, found["by_category"])
    for title, part in (("noted of rows", "notes"), ("failed", "failures")):
        for words, count in found[part].items():
            say(console, f"{title}: {count} x {words}")
    show_rejects(console, found["rejects_by_field"])
    _show_verdict(console, found)


def _show_verdict(console: Console, found: dict[str, Any]) -> None:
    if found["stuck"]:
        say(console, f"gave up: {found['stuck']}", "red")
    if found["without_answer"]:
        say(console, f"{found['without_answer']} rows were neither filed nor refused", "red")
    for difference in found["differences_from_audit"]:
        say(console, f"differs from audit: {difference}", "red")
    for words in found["parked"]:
        say(console, words, "red")
    if found["rejects"]:
        say(console, f"{found['rejects']} of {found['rows']} rows were rejected and are no cases", "yellow")
    if found["equal"]:
        say(console, "every case is closed, nothing is parked, and audit says the same of each", "green")
    else:
        say(console, "not every case is closed, or something is parked, or audit says otherwise", "red")


def _show_categories(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title="per category")
    table.add_column("category", overflow="fold")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    ranked = sorted(rows, key=lambda row: -row["reported"])
    shown, others = ranked[:_CATEGORIES], ranked[_CATEGORIES:]
    for row in shown:
        table.add_row(row["category"] or "none", *(str(row[column]) for column in _COLUMNS))
    if others:
        totals = (str(sum(row[column] for row in others)) for column in _COLUMNS)
        table.add_row(f"{len(others)} more", *totals)
    console.print(table)


@contextmanager
def bar(console: Console, total: int) -> Iterator[Callable[[Play], None]]:
    """A progress bar; gives what is to be told of every change."""
    columns = (
        TextColumn("closed"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f}/s, {task.fields[open]} in flight"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, rate=0.0, open=0)

        def tell(play: Play) -> None:
            seconds = progress.tasks[task].elapsed or 0.0
            progress.update(
                task,
                completed=play.closed + len(play.rejects),
                rate=play.closed / seconds if seconds > 1 else 0.0,
                open=len(play.cases) - play.closed,
            )

        yield tell
