"""Files as others hand them over: one bad row costs one reject, never the file and never another row."""

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.replay import nyc311
from deploy.replay.district import District
from deploy.replay.reading import How
from deploy.replay.rows import Reject, Report, Unreadable

NOW = datetime(2026, 5, 9, tzinfo=UTC)
HEADING = "unique_key,created_date,complaint_type,descriptor,latitude,longitude"


Told = tuple[list[str], list[tuple[int, str]]]
Read = Callable[..., Told]


@pytest.fixture
def read(tmp_path: Path, known: District) -> Read:
    """Numbers of the rows that are filed, and (line, rule) of those that are not."""

    def told(content: str | bytes, encoding: str | None = None) -> Told:
        path = tmp_path / "requests.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = nyc311.read(path, known, NOW, How(encoding))
        account = found.account()
        assert account["all"] == sum(count for name, count in account.items() if name != "all")
        reports = [one.external_id for one in found if isinstance(one, Report)]
        return reports, [(one.line, one.rule) for one in found if isinstance(one, Reject)]

    return told


def row(number: int, descriptor: str = "Rat Sighting") -> str:
    return f"{number},2011-03-01T14:27:57,Rodent,{descriptor},40.7,-73.8"


def table(*rows: str, end: str = "\n") -> str:
    return "".join(line + end for line in (HEADING, *rows))


def test_a_quote_that_is_never_closed_costs_its_own_row_alone(read: Read) -> None:
    rows = [row(n) for n in range(1, 60)]
    rows[4] = row(5, '"Rat')
    reports, rejects = read(table(*rows))
    assert reports == [str(n) for n in range(1, 60) if n != 5]
    assert rejects == [(6, "a quote is opened and not closed within 20 lines")]


def test_a_quote_that_a_later_row_closes_by_chance_costs_its_own_row_alone(read: Read) -> None:
    reports, rejects = read(table(row(1), row(2, '"Rat'), row(3, '"Rat, large"'), row(4)))
    assert reports == ["1", "3", "4"]
    assert rejects == [(3, "a quoted field goes on behind its closing quote")]
    reports, rejects = read(table(row(1), row(2, '"Rat'), row(3, '""'), row(4, '"a\nb"'), row(5)))
    assert reports == ["1", "3", "4", "5"]
    assert [line for line, _ in rejects] == [3]


def test_rows_that_became_one_by_a_lost_quote_are_taken_apart(read: Read) -> None:
    lost = row(2, '"Rat')
    reports, rejects = read(table(row(1), lost, row(3, '"\nRat"'), row(4), '5,2011-03-01,Rodent,"', row(6)))
    assert {"1", "3", "4", "6"} <= set(reports)
    assert 3 in [line for line, _ in rejects]
    reports, rejects = read(table(row(1), lost, '3,never,Rodent,"', row(4), row(5)))
    assert reports == ["1", "4", "5"]
    assert [line for line, _ in rejects] == [3, 4]


def test_two_rows_that_lost_a_quote_each_cost_only_themselves(read: Read) -> None:
    rows = [row(1), row(2, '"Rat'), row(3), row(4), row(5, 'Pipe 12"'), row(6)]
    reports, rejects = read(table(*rows))
    assert reports == ["1", "3", "4", "5", "6"]
    assert rejects == [(3, "a quoted field holds what looks like another row")]


def test_a_quote_as_a_character_of_a_field_is_kept(read: Read, tmp_path: Path, known: District) -> None:
    read(table(row(1, 'Pipe 12" wide'), row(2, '"a\n""b"""')))
    found = nyc311.read(tmp_path / "requests.csv", known, NOW)
    assert [one.title for one in found if isinstance(one, Report)] == ['Rodent: Pipe 12" wide', 'Rodent: a\n"b"']


def test_a_row_of_several_lines_with_too_many_fields_is_one_reject(read: Read) -> None:
    reports, rejects = read(table(row(1), row(2, '"Rat,\nlarge,\nbrown",x'), row(3)))
    assert reports == ["1", "3"]
    assert rejects == [(3, "has more fields than the heading")]


@pytest.mark.parametrize("count", [131_073, 200_000, 3_000_000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_field_that_is_too_long_costs_its_own_row_alone(read: Read, count: int, quote: str) -> None:
    reports, rejects = read(table(row(1), row(2, '"a\nb"'), row(3, quote + "x" * count + quote), row(4)))
    assert reports == ["1", "2", "4"]
    assert [line for line, _ in rejects] == [5]
    assert "longer than" in rejects[0][1]


def test_a_field_of_the_greatest_length_and_one_of_twenty_lines_are_taken(read: Read) -> None:
    longest, deepest = "x" * 131_072, "\n".join("x" * 20)
    assert read(table(row(1, longest), row(2, f'"{longest}"'), row(3, f'"{deepest}"'))) == (["1", "2", "3"], [])


def test_a_quoted_field_of_more_than_twenty_lines_or_128_kib_is_rejected_at_its_first_line(read: Read) -> None:
    deep, long = "\n".join("x" * 21), "\n".join(["x" * 50_000] * 3)
    for descriptor, bound in ((deep, "20 lines"), (long, "131,072 characters")):
        reports, rejects = read(table(row(1), row(2, f'"{descriptor}'), row(3)))
        assert reports == ["1", "3"]
        assert rejects[0] == (3, f"a quote is opened and not closed within {bound}")
        assert read(table(row(1), row(2, f'"{descriptor}"'), row(3)))[0] == reports


def test_a_row_of_many_fields_of_many_lines_has_a_bound_too(read: Read) -> None:
    wide = HEADING + "".join(f",c{number}" for number in range(20))
    many = ",".join(['"' + "\n" * 15 + 'x"'] * 20)
    reports, rejects = read(f"{wide}\n{row(1)}{',' * 20}\n{row(2)},{many}\n{row(3)}{',' * 20}\n")
    assert reports == ["1", "3"]
    assert rejects[0] == (3, "goes over more than 200 lines")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_where_they_are_whatever_ends_them(read: Read, end: str) -> None:
    text = table(row(1), "", row(2, f'"a{end}b"'), row(3, '"open'), row(4), "5,bad", end=end)
    reports, rejects = read(text)
    assert reports == ["1", "2", "4"]
    assert [line for line, _ in rejects] == [6, 8]


def test_ends_may_be_mixed(read: Read) -> None:
    text = f"{HEADING}\r\n{row(1)}\n{row(2)}\r{row(3)}\r\n\r\n{row(4)}\r\r{row(5)}"
    assert read(text) == (["1", "2", "3", "4", "5"], [])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_delimiter_is_found_in_the_heading(read: Read, delimiter: str) -> None:
    assert read(table(row(1), row(2, "one")).replace(",", delimiter)) == (["1", "2"], [])


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffsep=;", "SEP=;"])
def test_excels_line_that_names_the_delimiter_is_obeyed(read: Read, first: str) -> None:
    text = f"{first}\r\n" + table(row(1), row(2, "one, two"), end="\r\n").replace(",", ";")
    assert read(text.replace("one; two", "one, two")) == (["1", "2"], [])


def test_excels_habits_are_understood(read: Read, tmp_path: Path, known: District) -> None:
    heading = '"Unique\r\nKey",' + HEADING.partition(",")[2] + ",,"
    text = f'\ufeff{heading}\r\n="0012",3/1/2011 14:27,Rodent,"=""007""","40,7",-73.8,,\r\n,,,,,,,\r\n"","",\r\n\x1a'
    assert read(text) == (["0012"], [])
    (report,) = nyc311.read(tmp_path / "requests.csv", known, NOW)
    assert isinstance(report, Report)
    assert (report.title, "point" in report.place) == ("Rodent: 007", True)
    assert (report.line, report.reported_at) == (3, datetime(2011, 3, 1, 19, 27, tzinfo=UTC))


def test_empty_columns_behind_the_last_one_are_no_fault_where_all_rows_have_them(read: Read) -> None:
    assert read(table(row(1) + ",,", row(2) + ",,", row(3))) == (["1", "2", "3"], [])
    assert read(table(row(1), row(2), row(3)).replace("\n", ",,\n", 3)) == (["1", "2", "3"], [])


def test_a_delimiter_inside_a_field_is_a_fault_even_if_the_last_column_is_empty(read: Read) -> None:
    rows = [row(n).replace("40.7,-73.8", ",") for n in range(1, 5)]
    reports, rejects = read(table(*rows, rows[0].replace("Rat ", "Rat,")))
    assert (reports, rejects) == (["1", "2", "3", "4"], [(6, "has more fields than the heading")])


def test_marks_between_rows_and_at_the_end_are_no_content(read: Read) -> None:
    assert read(table(row(1), "\f", "\ufeff" + row(2), "\0\0\0", row(3)) + "\x1a") == (["1", "2", "3"], [])
    assert read(table(row(1)).rstrip() + "\x1a") == (["1"], [])


def test_a_character_that_no_service_keeps_costs_its_own_row_alone(read: Read) -> None:
    reports, rejects = read(table(row(1), row(2, "Rat\0"), row(3)))
    assert reports == ["1", "3"]
    assert rejects == [(3, "holds the character U+0000, which no service keeps")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-16-be-bom"]
)
def test_encodings_are_detected(read: Read, tmp_path: Path, known: District, encoding: str) -> None:
    text = table(row(1, "Café"), row(2, "Señora 5–6"), row(3))
    content = text.encode(encoding.removesuffix("-bom"))
    assert read(b"\xfe\xff" + content if encoding.endswith("-bom") else content) == (["1", "2", "3"], [])
    found = nyc311.read(tmp_path / "requests.csv", known, NOW)
    assert [one.title for one in found if isinstance(one, Report)][1] == "Rodent: Señora 5–6"
    assert bool(found.notes) == (encoding in ("cp1252", "utf-16-le", "utf-16-be"))


def test_an_encoding_is_declared(read: Read, tmp_path: Path, known: District) -> None:
    content = table(row(1, "老鼠"), row(2)).encode("gb18030")
    reports, rejects = read(content)
    assert (reports, [line for line, _ in rejects]) == (["2"], [2])
    assert "UTF-8" in rejects[0][1]
    assert "--encoding" in rejects[0][1]
    assert read(content, encoding="gb18030") == (["1", "2"], [])
    (first, _) = nyc311.read(tmp_path / "requests.csv", known, NOW, How("gb18030"))
    assert isinstance(first, Report)
    assert first.title == "Rodent: 老鼠"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_bytes_that_are_no_text_cost_their_own_row_alone(read: Read, encoding: str) -> None:
    broken = {"utf-8": b"\xc3,", "utf-16": b"\x00\xd8,\x00", "gb18030": b"\xff,"}[encoding]
    rows = [row(n, "老鼠") for n in range(1, 6)]
    whole = table(*rows).encode(encoding)
    comma = ",".encode(encoding)[-2:] if encoding == "utf-16" else b","
    start = whole.index("3,2011".encode(encoding).removeprefix(b"\xff\xfe"))
    at = whole.index(comma, whole.index("老".encode(encoding).removeprefix(b"\xff\xfe"), start))
    content = whole[:at] + broken + whole[at + len(comma) :]
    reports, rejects = read(content, encoding=encoding)
    assert reports == ["1", "2", "4", "5"]
    assert [line for line, _ in rejects] == [4]


def test_todays_download_of_new_york_is_understood(read: Read, tmp_path: Path, known: District) -> None:
    heading = (
        "Unique Key,Created Date,Closed Date,Agency,Agency Name,Problem (formerly Complaint Type),"
        "Problem Detail (formerly Descriptor),Additional Details,Latitude,Longitude,Location"
    )
    line = '7,01/31/2024 11:59:59 PM,,NYPD,Police,Illegal Parking,Blocked Hydrant,,40.7,-73.8,"(40.7, -73.8)"'
    assert read(f"{heading}\n{line}\n") == (["7"], [])
    (report,) = nyc311.read(tmp_path / "requests.csv", known, NOW)
    assert isinstance(report, Report)
    assert (report.title, report.category) == ("Illegal Parking: Blocked Hydrant", "event.emergency.fire-lane")


def test_an_unknown_heading_says_which_column_is_meant_and_what_was_found(read: Read) -> None:
    with pytest.raises(Unreadable) as refused:
        read("Unique Key,Creatd Date,Problem Type,Latitude\n1,2,3,4\n")
    words = str(refused.value)
    assert "no column created_date, complaint_type" in words
    assert "created_date: the nearest is 'Creatd Date'" in words
    assert "Problem (formerly Complaint Type)" in words
    assert "found: 'Unique Key', 'Creatd Date', 'Problem Type', 'Latitude'" in words


def test_a_column_that_is_nearly_named_is_noted(read: Read, tmp_path: Path, known: District) -> None:
    read(table(row(1)).replace("latitude", "lattitude"))
    found = nyc311.read(tmp_path / "requests.csv", known, NOW)
    assert found.notes == ("there is no column latitude; 'lattitude' is not read",)


def test_a_column_that_stands_twice_rejects_the_rows_where_the_two_differ(read: Read) -> None:
    heading, twice = "unique_key,created_date,complaint_type,Complaint Type,x,x", "{},2011-03-01,Rodent,{},1,2"
    text = "\n".join((heading, twice.format(1, "Rodent"), twice.format(2, "Noise"), twice.format(3, ""), ""))
    reports, rejects = read(text)
    assert reports == ["1", "3"]
    assert rejects == [(3, "stands in columns 3 and 4, which differ")]


def test_a_file_without_rows_has_none(read: Read) -> None:
    assert read(HEADING) == ([], [])
    assert read(f"{HEADING}\n\n\n") == ([], [])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1a"])
def test_an_empty_file_is_called_empty(read: Read, content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"requests\.csv is empty"):
        read(content)


def test_what_is_no_text_is_called_what_it_is(read: Read, tmp_path: Path, known: District) -> None:
    workbook = io.BytesIO()
    with zipfile.ZipFile(workbook, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(Unreadable, match="gzip"):
        read(gzip.compress(table(row(1)).encode()))
    with pytest.raises(Unreadable, match="Excel workbook"):
        read(workbook.getvalue())
    with pytest.raises(Unreadable, match="can't be read: Is a directory"):
        nyc311.read(tmp_path, known, NOW)
    with pytest.raises(Unreadable, match="can't be read: No such file"):
        nyc311.read(tmp_path / "nothing", known, NOW)


def test_a_heading_that_is_broken_is_named_with_its_line(read: Read) -> None:
    with pytest.raises(Unreadable, match=r"requests\.csv, line 2: a quote is opened and never closed"):
        read('\n"unique_key,created_date\n')
