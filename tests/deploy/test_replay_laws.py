"""Laws of reading tables: as `csv` reads what is well-formed, an end for any bytes, and no row harmed by another."""

import csv
import io
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.replay import nyc311
from deploy.replay.district import District
from deploy.replay.lines import opened
from deploy.replay.reading import How, Reading
from deploy.replay.rows import Reject, Report, Unreadable
from deploy.replay.table import Format, Table

NOW = datetime(2026, 5, 9, tzinfo=UTC)
HEADING = ("unique_key", "created_date", "complaint_type", "descriptor", "latitude", "longitude")
PLAIN = Format("plain", {"a": (), "b": (), "c": ()}, ("a", "b", "c"), lambda _: False)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "requests.csv"


cells = st.text(st.sampled_from('ab ,;"\t\n\r=é上\f'), max_size=8).filter(lambda cell: not cell.startswith('="'))
dialects = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t"),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "quoting": st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    }
)


@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=12), dialect=dialects)
def test_what_is_well_formed_is_read_as_csv_reads_it(
    rows: list[tuple[str, str, str]], dialect: dict[str, str], file: Path
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, **dialect)  # pyright: ignore[reportArgumentType]
    writer.writerows([("a", "b", "c"), *rows])
    file.write_bytes(out.getvalue().encode())
    expected: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=dialect["delimiter"])
    begins = 1
    for fields in reader:
        if any(map(str.strip, fields)):
            expected.append((begins, fields))
        begins = reader.line_num + 1
    with opened(file, None) as lines:
        found = [(row.line, list(row.content.values()), row.fault) for row in Table(lines, PLAIN).rows()]
        assert lines.number == reader.line_num
    assert found == [(line, fields, None) for line, fields in expected[1:]]


PIECES = (
    '"', '""', '",', ',"', ",", ";", "\t", "\n", "\r", "\r\n", "\0", "\x1a", "\f", "\ufeff", "=", '="1"', "7", "Rodent",
    "2011-03-01", "x" * 200, "é", "老", " ", "sep=;", "\u2028", "\x85", "\ud800",
)  # fmt: skip
junk = st.lists(st.sampled_from(PIECES), max_size=30).map(lambda some: "".join(some).encode("utf-8", "surrogatepass"))
heading = ",".join(HEADING).encode() + b"\n"


def physical_lines(reading: Reading, content: bytes) -> int:
    text = content.decode(reading.encoding, "replace")
    return len(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text))


@given(content=st.one_of(st.binary(max_size=300), junk, st.lists(junk).map(b"\n".join)), headed=st.booleans())
@example(content=b"\n" * 50 + b'"', headed=True)
@example(content=b'"\n' * 60, headed=True)
@example(content=b'","\n' * 200, headed=True)
def test_any_bytes_come_to_an_end_and_every_line_is_accounted_for(
    content: bytes, headed: bool, file: Path, known: District
) -> None:
    content = heading + content if headed else content
    file.write_bytes(content)
    if not headed:
        with suppress(Unreadable):
            nyc311.read(file, known, NOW)
        return
    reading = nyc311.read(file, known, NOW)
    account = reading.account()
    assert account["all"] == sum(count for name, count in account.items() if name != "all")
    assert account["all"] == physical_lines(reading, content)
    lines = [item.line for item in reading]
    assert lines == sorted(set(lines))
    assert all(1 < line <= account["all"] for line in lines)


@st.composite
def good(draw: st.DrawFn) -> str:
    """A row that can be filed, but for its number, as some program may write it."""
    text = draw(st.text(st.sampled_from('ab ,"\n'), max_size=6))
    if draw(st.booleans()) or any(character in text for character in ',"\n'):
        text = '"' + text.replace('"', '""') + '"'
    return "{}," + f"2011-03-01T00:00:00,Rodent,{text},40.7,-73.8"


broken_rows = st.one_of(
    st.lists(st.sampled_from(PIECES[:-1]), max_size=20).map("".join),
    st.tuples(st.sampled_from(['"', '"a', 'a"', ',"', '","', "a,b", '""a', 'a"b', "\n"]), st.booleans()).map(
        lambda part: f"bad,{'never' if part[1] else '2011-03-01T00:00:00'},Rodent,{part[0]},40.7,-73.8"
    ),
)


@given(
    rows=st.lists(good(), min_size=1, max_size=30),
    bad=st.lists(st.tuples(st.integers(0, 30), broken_rows), min_size=1, max_size=4),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
)
def test_good_rows_are_unharmed_by_the_bad_ones_between_them(
    rows: Sequence[str], bad: Sequence[tuple[int, str]], encoding: str, file: Path, known: District
) -> None:
    whole = [row.format(f"good{number}") for number, row in enumerate(rows)]
    for at, line in bad:
        whole.insert(min(at, len(whole)), line)
    file.write_bytes("\n".join((",".join(HEADING), *whole, "")).encode(encoding))
    reading = nyc311.read(file, known, NOW, How("gb18030") if encoding == "gb18030" else None)
    filed = [item.external_id for item in reading if isinstance(item, Report)]
    numbers = [f"good{number}" for number in range(len(rows))]
    assert [number for number in filed if number.startswith("good")] == numbers
    assert all((item.external_id or "") not in numbers for item in reading if isinstance(item, Reject))
