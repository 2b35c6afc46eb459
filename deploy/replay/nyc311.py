"""New York's 311 service requests as CSV: local times without zone, coordinates in New York, complaint types.

The places lie outside the reference district; each gets one inside it, equal places the same (see district.py). What
has no coordinates keeps its address only, which no grid of the district is found for: a person must locate it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from deploy.replay.complaints import category_of
from deploy.replay.district import District
from deploy.replay.lines import Lines
from deploy.replay.reading import How, Reading
from deploy.replay.reading import read as read_file
from deploy.replay.rows import NO_END, TEXT, TITLE, Report, Row, end, instant, is_time, required
from deploy.replay.table import Format, Table

NAME = "nyc311"
ZONE = ZoneInfo("America/New_York")
PLACES = (
    "The places lie in New York. Each is moved to a grid of the reference district chosen by the hash of the square of"
    " some 400 m that it lies in, and there to the same relative position: equal places stay equal, near ones near."
)
NEEDED = ("unique_key", "created_date", "complaint_type")
COLUMNS: Mapping[str, Sequence[str]] = {
    "unique_key": (),
    "created_date": (),
    "closed_date": (),
    "agency_name": (),
    "complaint_type": ("Problem (formerly Complaint Type)", "Problem"),
    "descriptor": ("Problem Detail (formerly Descriptor)", "Problem Detail"),
    "location_type": (),
    "incident_address": (),
    "city": (),
    "borough": (),
    "status": (),
    "resolution_description": (),
    "open_data_channel_type": (),
    "latitude": (),
    "longitude": (),
}
"""What is read, and how New York's download has also called it."""
_CHANNELS = {"ONLINE": "citizen", "MOBILE": "citizen"}
_Fields = dict[str, str]
NO_POINT = "no coordinates: a person must locate it"
BAD_POINT = "coordinates that cannot be: a person must locate it"
NO_CATEGORY = "a complaint type without a category: triage or a person must classify it"
STILL_OPEN = "open in the file: worked off at its limit"


def read(path: Path, district: District, now: datetime, how: How | None = None) -> Reading:
    """The rows of the file. Raises `Unreadable`."""
    how = how or How()
    return read_file(path, how, _rows, lambda row: row.get("unique_key") or None, partial(_adapt, district, now))


def _rows(lines: Lines) -> Iterator[Row[_Fields]]:
    return Table(lines, Format(NAME, COLUMNS, NEEDED, _likely)).rows()


def _likely(fields: Mapping[str, str]) -> bool:
    return fields.get("unique_key", "").strip().isalnum() and is_time(fields.get("created_date"), ZONE)


def _adapt(district: District, now: datetime, whole: Row[_Fields]) -> Report:
    row = whole.content
    key = required("unique_key", row["unique_key"])
    complaint = required("complaint_type", row["complaint_type"])
    reported_at = instant("created_date", row["created_date"], ZONE, now)
    descriptor = _said(row, "descriptor")
    category = category_of(complaint, descriptor)
    place, placed = _place(row, district)
    ended_at, ended = end(row.get("closed_date"), ZONE, reported_at, now)
    still_open = ended_at is None and _said(row, "status").lower() not in ("closed", "")
    notes = (placed, None if still_open and ended == NO_END else ended, None if category else NO_CATEGORY)
    return Report(
        row=whole.number,
        line=whole.line,
        external_id=key,
        title=": ".join(filter(None, (complaint, descriptor)))[:TITLE],
        text=_text(row)[:TEXT],
        channel=_CHANNELS.get(_said(row, "open_data_channel_type").upper(), "hotline"),
        reported_at=reported_at,
        category=category,
        place=place,
        ended_at=ended_at,
        open=still_open,
        closing_words=_said(row, "resolution_description")[:TEXT] or None,
        notes=tuple(note for note in (*notes, STILL_OPEN if still_open else None) if note),
    )


def _place(row: _Fields, district: District) -> tuple[dict[str, Any], str | None]:
    address = ", ".join(filter(None, (_said(row, "incident_address"), _said(row, "city"))))[:TITLE]
    place: dict[str, Any] = {"address": address} if address else {}
    latitude, longitude = _said(row, "latitude"), _said(row, "longitude")
    if not latitude and not longitude:
        return place, NO_POINT
    try:
        lat, lon = (float(value.replace(",", ".")) for value in (latitude, longitude))
    except ValueError:
        return place, BAD_POINT
    if not (-90 <= lat <= 90 and -180 <= lon <= 180) or lat == lon == 0:
        return place, BAD_POINT
    return place | {"point": district.place(lat, lon)}, None


def _text(row: _Fields) -> str:
    parts = (_said(row, "location_type"), _said(row, "borough").title(), _said(row, "agency_name"))
    return ". ".join(filter(None, parts))


def _said(row: _Fields, name: str) -> str:
    value = (row.get(name) or "").strip()
    return "" if value.upper() in ("N/A", "UNSPECIFIED") else value
