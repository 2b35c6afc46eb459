"""Rows of real files become reports or rejects: dirt is named, and what is true in a row is kept."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.replay import complaints, messages, nyc311, rows
from deploy.replay.district import District
from deploy.replay.rows import Reject, Report, Unreadable

NOW = datetime(2026, 5, 9, tzinfo=UTC)
REQUEST = {
    "unique_key": "7001",
    "created_date": "2011-03-01T14:27:57",
    "closed_date": "2011-03-02T09:00:00",
    "agency_name": "Department of Lamps",
    "complaint_type": "Street Light Condition",
    "descriptor": "Street Light Out",
    "location_type": "Street",
    "incident_address": "1 INVENTED ROAD",
    "city": "BROOKLYN",
    "borough": "BROOKLYN",
    "status": "Closed",
    "resolution_description": "A new lamp was put in.",
    "open_data_channel_type": "ONLINE",
    "latitude": "40.7024",
    "longitude": "-73.8173",
}
MESSAGE = {
    "id": "81",
    "user": "U1",
    "title": "路灯不亮",
    "time": "2019-04-25T09:32:09",
    "text": "小区门口的路灯坏了一周。",
    "reply": "已更换灯泡。",
    "reply_time": "2019-05-10T14:56:53",
}


@pytest.fixture(scope="module")
def real_material() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real reports are not on this machine ({folder} is absent)")
    return folder


def requests(tmp_path: Path, known: District, *changes: dict[str, Any]) -> list[Report | Reject]:
    path = tmp_path / "requests.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, REQUEST)
        writer.writeheader()
        for number, change in enumerate(changes):
            writer.writerow({**REQUEST, "unique_key": str(7001 + number), **change})
    return list(nyc311.read(path, known, NOW))


def letters(tmp_path: Path, known: District, *lines: dict[str, Any] | str) -> list[Report | Reject]:
    path = tmp_path / "messages.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return list(messages.read(path, known, NOW))


def only(found: list[Report | Reject]) -> Report:
    (one,) = found
    assert isinstance(one, Report), one
    return one


def test_a_request_becomes_a_report_in_utc_with_a_category_and_a_place_in_the_district(
    tmp_path: Path, known: District
) -> None:
    report = only(requests(tmp_path, known, {}))
    assert report.reported_at == datetime(2011, 3, 1, 19, 27, 57, tzinfo=UTC)
    assert report.ended_at == datetime(2011, 3, 2, 14, 0, tzinfo=UTC)
    assert report.category == "component.public-facilities.street-light"
    assert (report.title, report.channel) == ("Street Light Condition: Street Light Out", "citizen")
    assert report.place["address"] == "1 INVENTED ROAD, BROOKLYN"
    assert 104 < report.place["point"]["lon"] < 105
    assert report.closing_words == "A new lamp was put in."
    assert report.notes == ()


def test_new_york_s_summer_and_its_own_way_of_writing_times_are_understood(tmp_path: Path, known: District) -> None:
    report = only(requests(tmp_path, known, {"created_date": "07/04/2013 11:30:00 PM", "closed_date": ""}))
    assert report.reported_at == datetime(2013, 7, 5, 3, 30, tzinfo=UTC)


def test_a_time_with_an_offset_of_its_own_keeps_it(tmp_path: Path, known: District) -> None:
    report = only(requests(tmp_path, known, {"created_date": "2011-03-01T14:27:57+08:00", "closed_date": ""}))
    assert report.reported_at == datetime(2011, 3, 1, 6, 27, 57, tzinfo=UTC)


@pytest.mark.parametrize(
    ("closed", "note"),
    [
        ("2011-02-28T00:00:00", rows.ENDED_BEFORE),
        ("1900-01-01T00:00:00", rows.ENDED_BEFORE),
        ("2031-01-01T00:00:00", rows.ENDED_LATER),
        ("soon", rows.END_UNREADABLE),
        ("", rows.NO_END),
    ],
)
def test_an_end_that_cannot_be_leaves_the_report_true_and_its_end_unknown(
    tmp_path: Path, known: District, closed: str, note: str
) -> None:
    report = only(requests(tmp_path, known, {"closed_date": closed}))
    assert report.ended_at is None
    assert report.notes == (note,)


def test_what_was_open_in_the_file_is_known_to_be(tmp_path: Path, known: District) -> None:
    report = only(requests(tmp_path, known, {"closed_date": "", "status": "Assigned"}))
    assert report.open
    assert report.notes == (nyc311.STILL_OPEN,)


@pytest.mark.parametrize(
    ("latitude", "longitude", "note"),
    [
        ("", "", nyc311.NO_POINT),
        ("40.7", "", nyc311.BAD_POINT),
        ("x", "y", nyc311.BAD_POINT),
        ("0", "0", nyc311.BAD_POINT),
        ("95", "10", nyc311.BAD_POINT),
        ("nan", "nan", nyc311.BAD_POINT),
    ],
)
def test_without_usable_coordinates_only_the_address_is_kept(
    tmp_path: Path, known: District, latitude: str, longitude: str, note: str
) -> None:
    report = only(requests(tmp_path, known, {"latitude": latitude, "longitude": longitude}))
    assert report.place == {"address": "1 INVENTED ROAD, BROOKLYN"}
    assert report.notes == (note,)


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"created_date": ""}, "created_date", "is required"),
        ({"created_date": "yesterday"}, "created_date", "is not a time: 'yesterday'"),
        ({"created_date": "2011-02-30T00:00:00"}, "created_date", "is not a time: '2011-02-30T00:00:00'"),
        ({"created_date": "2031-01-01T00:00:00"}, "created_date", "lies in the future: '2031-01-01T00:00:00'"),
        ({"created_date": "1900-01-01T00:00:00"}, "created_date", "lies before 1970: '1900-01-01T00:00:00'"),
        ({"complaint_type": " "}, "complaint_type", "is required"),
        ({"unique_key": ""}, "unique_key", "is required"),
    ],
)
def test_a_row_without_number_time_or_content_is_rejected_with_the_field_and_the_rule(
    tmp_path: Path, known: District, change: dict[str, str], field: str, rule: str
) -> None:
    first, second = requests(tmp_path, known, change, {})
    assert first == Reject(1, change.get("unique_key", "7001") or None, field, rule)
    assert isinstance(second, Report)


def test_a_second_row_with_the_same_number_is_rejected_and_names_the_first(tmp_path: Path, known: District) -> None:
    first, _, third = requests(tmp_path, known, {}, {}, {"unique_key": "7001"})
    assert isinstance(first, Report)
    assert third == Reject(3, "7001", "id", "row 1 has the same number")


def test_a_rejected_row_does_not_take_the_number_from_a_good_one(tmp_path: Path, known: District) -> None:
    bad, good = requests(tmp_path, known, {"created_date": ""}, {"unique_key": "7001"})
    assert isinstance(bad, Reject)
    assert isinstance(good, Report)


def test_rows_that_do_not_fit_their_heading_are_rejected(tmp_path: Path, known: District) -> None:
    path = tmp_path / "requests.csv"
    path.write_text(
        "Unique Key,Created Date,Complaint Type\n1,2011-03-01\n2,2011-03-01,Rodent,more\n3,2011-03-01,Rodent\n"
    )
    short, long, good = nyc311.read(path, known, NOW)
    assert short == Reject(1, "1", "record", "has fewer fields than the heading")
    assert long == Reject(2, "2", "record", "has more fields than the heading")
    assert isinstance(good, Report)


def test_a_file_of_another_kind_is_refused_at_once(tmp_path: Path, known: District) -> None:
    path = tmp_path / "shopping.csv"
    path.write_text("what,how many\nlamps,3\n")
    with pytest.raises(Unreadable, match="no column unique_key, created_date, complaint_type"):
        list(nyc311.read(path, known, NOW))
    with pytest.raises(Unreadable, match="not a file of format messages"):
        list(messages.read(path, known, NOW))


def test_every_category_of_the_table_is_in_the_catalogue(known: District) -> None:
    named = set(complaints.TYPES.values()) | set(complaints.NARROWER.values())
    assert named <= known.catalogue.by_code.keys()
    assert {kind for kind, _ in complaints.NARROWER} <= complaints.TYPES.keys()


def test_a_descriptor_narrows_a_type_and_an_unknown_type_has_no_category(tmp_path: Path, known: District) -> None:
    assert complaints.category_of("Illegal Parking", "Blocked Hydrant") == "event.emergency.fire-lane"
    assert complaints.category_of("Illegal Parking", "Double Parked") == "event.street-order.illegal-parking"
    report = only(requests(tmp_path, known, {"complaint_type": "Dragon", "descriptor": "N/A"}))
    assert (report.category, report.title, report.notes) == (None, "Dragon", (nyc311.NO_CATEGORY,))


def test_a_message_becomes_a_report_that_is_settled_by_the_reply(tmp_path: Path, known: District) -> None:
    report = only(letters(tmp_path, known, MESSAGE))
    assert report.reported_at == datetime(2019, 4, 25, 1, 32, 9, tzinfo=UTC)
    assert report.ended_at == datetime(2019, 5, 10, 6, 56, 53, tzinfo=UTC)
    assert (report.closing_words, report.place) == ("已更换灯泡。", {})


@pytest.mark.parametrize(
    ("line", "external_id", "field"),
    [
        ("not json", None, "record"),
        ("[1]", None, "record"),
        ({**MESSAGE, "id": None}, None, "id"),
        ({**MESSAGE, "id": "82", "title": " ", "text": ""}, "82", "text"),
        ({**MESSAGE, "id": "82", "time": "2019-13-01"}, "82", "time"),
        ({**MESSAGE, "id": "82", "title": 5}, "82", "title"),
        (MESSAGE, "81", "id"),
    ],
)
def test_a_line_that_is_no_message_is_rejected(
    tmp_path: Path, known: District, line: dict[str, Any] | str, external_id: str | None, field: str
) -> None:
    _, reject = letters(tmp_path, known, MESSAGE, line)
    assert isinstance(reject, Reject)
    assert (reject.row, reject.external_id, reject.field) == (2, external_id, field)


def test_a_message_without_title_is_headed_by_its_beginning(tmp_path: Path, known: District) -> None:
    report = only(letters(tmp_path, known, {**MESSAGE, "title": "", "text": "长" * 30_000}))
    assert report.title == "长" * 60
    assert len(report.text) == rows.TEXT
    assert report.notes == (messages.NO_TITLE, messages.LONG_TEXT)


def test_the_real_requests_are_read_completely(real_material: Path, known: District) -> None:
    found = list(nyc311.read(real_material / "nyc_311_sample.csv", known, NOW))
    reports = [one for one in found if isinstance(one, Report)]
    assert (len(found), len(reports)) == (2199, 2199)
    assert sum(nyc311.NO_POINT in report.notes for report in reports) == 604
    assert sum(rows.ENDED_BEFORE in report.notes for report in reports) == 1
    assert sum(report.open for report in reports) == 157
    assert sum(report.category is None for report in reports) == 26


def test_the_real_messages_are_read_completely(real_material: Path, known: District) -> None:
    found = list(messages.read(real_material / "zh_messages_and_replies.jsonl", known, NOW))
    assert len(found) == 2816
    assert all(isinstance(one, Report) and one.ended_at is not None and not one.notes for one in found)
