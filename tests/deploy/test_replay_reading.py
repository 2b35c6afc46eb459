"""What is said of a file that is read: before anything is filed, and in the end."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.replay import messages, nyc311, report
from deploy.replay.__main__ import main
from deploy.replay.case import Case
from deploy.replay.district import District
from deploy.replay.lines import Lines
from deploy.replay.play import Play
from deploy.replay.reading import How, Reading, read
from deploy.replay.report import Findings
from deploy.replay.rows import Reject, Report, Row

NOW = datetime(2026, 5, 9, tzinfo=UTC)
HEADING = "unique_key,created_date,complaint_type,descriptor"
MESSAGE = {"id": 81, "title": "路灯不亮", "time": "2019-04-25T09:32:09", "text": "坏了", "reply": "已更换"}
NOTHING_WRONG = Findings([], [], None)


Dry = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Dry:
    """Exit status of a run over a file, and what was printed with the breaks of lines taken out."""

    def ran(content: str | bytes, *more: str, format: str = "nyc311") -> tuple[int, str]:
        file = tmp_path / "reports.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = ["--file", str(file), "--format", format, "--district", str(folder), "--output", str(tmp_path)]
        status = main([*options, *more])
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return ran


def row(number: int | str, descriptor: str = "Rat", created: str = "2011-03-01") -> str:
    return f"{number},{created},Rodent,{descriptor}\n"


def rejects(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rejects.jsonl").read_text().splitlines()]


def test_a_dry_run_says_what_became_of_every_line_and_which_rows_are_rejected(run: Dry, tmp_path: Path) -> None:
    bad = "".join(row(number, created="[/red] never") for number in range(2, 7))
    text = f"{HEADING}\n" + row(1, '"a\nb"') + bad + "\n" + row("8[/b]", '"open') + row(9)
    status, printed = run(text, "--dry-run")
    assert status == 1
    assert "11 lines = 1 heading, 2 taken, 6 rejected, 1 continuation, 1 blank" in printed
    assert "rows rejected for created_date: 5 line 4 ('2'): is not a time: '[/red] never' line 5" in printed
    assert "and 2 more" in printed
    assert "rows rejected for record: 1 line 10 ('8[/b]'): a quote is opened and never closed" in printed
    assert [(reject["line"], reject["row"]) for reject in rejects(tmp_path)] == [(n + 2, n) for n in range(2, 7)] + [
        (10, 7)
    ]
    assert run(f"{HEADING}\n{row(1)}", "--dry-run")[0] == 0


def test_how_the_file_was_read_is_said(run: Dry) -> None:
    text = f"{HEADING}\n{row(1, 'Café')}{row(2)}"
    assert "reports.txt: read as cp1252, because it is not UTF-8" in run(text.encode("cp1252"), "--dry-run")[1]
    status, printed = run(text.encode("utf-16"), "--dry-run", "--limit", "1")
    assert (status, "reports.txt, utf-16: 2 lines" in printed) == (0, True)
    assert "only the first 1 rows were read, up to line 2" in printed
    assert (
        "gb18030: 3 lines = 1 heading, 2 taken" in run(text.encode("gb18030"), "--dry-run", "--encoding", "GB18030")[1]
    )


@pytest.mark.parametrize(("option", "value"), [("--encoding", "latin-0"), ("--encoding", "hex"), ("--limit", "-1")])
def test_an_option_that_means_nothing_is_refused(
    run: Dry, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(HEADING, option, value)
    assert f"argument {option}: '{value}' is no" in capsys.readouterr().err


def test_nothing_is_filed_where_no_row_can_be_and_that_is_no_success(run: Dry, tmp_path: Path) -> None:
    for rows_of_it in ("", row(1, created="never")):
        status, printed = run(f"{HEADING}\n{rows_of_it}")
        assert status == 2
        assert "no row can be filed" in printed
        assert len(rejects(tmp_path)) == bool(rows_of_it)


def test_a_district_that_cannot_be_read_is_said_in_a_line(run: Dry, tmp_path: Path) -> None:
    (tmp_path / "areas.json").write_text("{")
    status, printed = run(f"{HEADING}\n{row(1)}", "--district", str(tmp_path))
    assert status == 2
    assert "areas.json is not valid" in printed


def test_a_file_that_changes_while_it_is_read_is_noted(tmp_path: Path, known: District) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(f"{HEADING}\n{row(1)}")
    assert nyc311.read(path, known, NOW).notes == ()

    def growing(lines: Lines) -> Iterator[Row[str]]:
        while (line := lines.take()) is not None:
            yield Row(lines.number, lines.number, line)
        with path.open("a") as file:
            file.write(row(2))

    found = read(path, How(), growing, lambda _: None, lambda row: a_report(row.number))
    assert "the file changed while it was read" in found.notes[0]


def test_a_pipe_is_read_like_a_file(tmp_path: Path, known: District) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = f"{HEADING}\n" + "".join(row(number, "x" * 100) for number in range(3000))
    writer = threading.Thread(target=path.write_text, args=[content])
    writer.start()
    found = nyc311.read(path, known, NOW)
    writer.join()
    assert found.account()["taken"] == 3000


def read_messages(tmp_path: Path, known: District, *lines: dict[str, Any] | str | bytes, **how: Any) -> Reading:
    path = tmp_path / "messages.jsonl"
    texts = [json.dumps(line, ensure_ascii=False) if isinstance(line, dict) else line for line in lines]
    path.write_bytes(b"\n".join(text if isinstance(text, bytes) else text.encode() for text in texts))
    found = messages.read(path, known, NOW, How(**how))
    account = found.account()
    assert account["all"] == sum(count for name, count in account.items() if name != "all")
    return found


@pytest.mark.parametrize(
    ("line", "field", "rule"),
    [
        ("not json", "record", "is not JSON"),
        ("[" * 100_000, "record", "is not JSON that can be read"),
        (b'{"id": "\xff"}', "record", "is not UTF-8 at byte 0xFF"),
        (json.dumps({**MESSAGE, "text": "x" * 1_100_000}), "record", "is longer than 1,048,576 characters"),
        (json.dumps({**MESSAGE, "title": "\ud800"}), "title", "holds the character U+D800"),
        (json.dumps({**MESSAGE, "reply": "\0"}), "closing_words", "holds the character U+0000"),
        ({**MESSAGE, "id": "\ud800"}, "external_id", "holds the character U+D800"),
        ({**MESSAGE, "id": "x" * 151}, "id", "is longer than 150 characters"),
        ({**MESSAGE, "id": ["81"]}, "id", "must be a text, is list"),
        ({**MESSAGE, "id": True}, "id", "must be a text, is bool"),
        ({**MESSAGE, "text": []}, "text", "must be a text, is list"),
        ('{"id": ' + "9" * 5000 + "}", "record", "is not JSON"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_line_costs_itself_alone_wherever_it_stands(
    tmp_path: Path, known: District, line: dict[str, Any] | str | bytes, field: str, rule: str, first: bool
) -> None:
    if isinstance(line, dict):
        line = json.dumps(line)
    lines = [line, {**MESSAGE, "id": 7}] if first else [{**MESSAGE, "id": 7}, line]
    found = read_messages(tmp_path, known, *lines, {**MESSAGE, "id": 8})
    assert [one.external_id for one in found if isinstance(one, Report)] == ["7", "8"]
    (reject,) = [one for one in found if isinstance(one, Reject)]
    assert (reject.line, reject.field) == (1 if first else 2, field)
    assert rule in reject.rule
    json.dumps(reject.external_id, ensure_ascii=False).encode()


def test_messages_may_be_declared_to_be_of_another_encoding(tmp_path: Path, known: District) -> None:
    line = json.dumps(MESSAGE, ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16"):
        assert read_messages(tmp_path, known, line.encode(encoding)).account()["taken"] == 1
    assert read_messages(tmp_path, known, line.encode("gb18030")).account()["rejected"] == 1
    (found,) = read_messages(tmp_path, known, line.encode("gb18030"), encoding="gb18030")
    assert isinstance(found, Report)
    assert found.title == "路灯不亮"


def a_report(number: int) -> Report:
    return Report(number, str(number), "a lamp is out", "", "hotline", NOW, line=number + 1)


def reading(*items: Report | Reject) -> Reading:
    return Reading(items, "utf-8", (), len(items) + 3, 1, 1, 1)


def a_play(known: District, *reports: Report, refused: Sequence[Reject] = ()) -> Play:
    """A replay in which these were closed."""
    one = Play("nyc311:x", None, known, 1, 1, 1, lambda _: None)  # pyright: ignore[reportArgumentType]
    one.cases |= {
        report.external_id: Case(report.external_id, report, True, None, outcome="fixed", filed=True)
        for report in reports
    }
    one.rejects += refused
    return one


def shown(found: dict[str, Any]) -> str:
    out = io.StringIO()
    report.show(Console(file=out, width=200), found)
    return out.getvalue()


def test_success_means_that_every_row_is_a_case_or_a_reject(known: District) -> None:
    broken = Reject(3, None, "record", "is broken", 4)
    refused = Reject(2, "2", "title", "holds [/red]", 3)
    found = report.of(
        a_play(known, a_report(1), refused=[refused]), reading(a_report(1), a_report(2), broken), NOTHING_WRONG
    )
    assert (found["rows"], found["rejects"], found["equal"]) == (3, 2, True)
    assert found["lines"] == {"all": 6, "heading": 1, "taken": 1, "rejected": 2, "continuation": 1, "blank": 1}
    printed = shown(found)
    assert "line 3 ('2'): holds [/red]" in printed
    assert "2 of 3 rows were rejected and are no cases" in printed
    assert "audit says the same of each" in printed


def test_a_row_that_is_neither_filed_nor_refused_is_no_success(known: District) -> None:
    found = report.of(a_play(known, a_report(1)), reading(a_report(1), a_report(2)), NOTHING_WRONG)
    assert (found["without_answer"], found["equal"]) == (1, False)
    assert "1 rows were neither filed nor refused" in shown(found)


def test_a_replay_in_which_intake_refused_everything_is_no_success(known: District) -> None:
    refused = Reject(1, "1", "title", "must not be blank", 2)
    found = report.of(a_play(known, refused=[refused]), reading(a_report(1)), NOTHING_WRONG)
    assert not found["equal"]
    assert "audit says the same of each" not in shown(found)
