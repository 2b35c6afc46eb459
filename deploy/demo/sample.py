"""A small file of invented reports in the format of a city's open data, for the replay at the demo's end."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ROWS = 120
_COLUMNS = (
    "unique_key",
    "created_date",
    "closed_date",
    "due_date",
    "complaint_type",
    "descriptor",
    "incident_address",
    "status",
    "resolution_description",
    "latitude",
    "longitude",
)
_KINDS = (
    ("Street Condition", "Pothole"),
    ("Noise - Residential", "Loud Music/Party"),
    ("Illegal Parking", "Blocked Hydrant"),
    ("Street Light Condition", "Street Light Out"),
    ("Damaged Tree", "Branch Hanging"),
    ("Water System", "Hydrant Leaking"),
    ("Rodent", "Rat Sighting"),
)


def write(file: Path, seed: int = 311) -> None:
    """The same rows for the same seed: most complete, some without coordinates, two that cannot be filed."""
    chance = random.Random(seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        rows = csv.DictWriter(out, _COLUMNS)
        rows.writeheader()
        for n in range(ROWS):
            rows.writerow(_row(n, chance))


def _row(n: int, chance: random.Random) -> dict[Any, object]:
    kind, descriptor = chance.choice(_KINDS)
    created = datetime(2011, 3, 1, 7) + timedelta(minutes=chance.randrange(14 * 24 * 60))  # noqa: DTZ001  local, as there
    closed = created + timedelta(minutes=chance.randrange(30, 5 * 24 * 60))
    placed = chance.random() < 0.8
    return {
        "unique_key": 90_000_000 + n if n != 17 else 90_000_016,
        "created_date": created.isoformat() if n != 40 else "sometime in March",
        "closed_date": closed.isoformat() if chance.random() < 0.9 else "",
        "due_date": "",
        "complaint_type": kind,
        "descriptor": descriptor,
        "incident_address": f"{chance.randrange(1, 400)} EXAMPLE AVENUE",
        "status": "Closed",
        "resolution_description": "The condition was corrected.",
        "latitude": round(chance.uniform(40.60, 40.85), 6) if placed else "",
        "longitude": round(chance.uniform(-74.05, -73.80), 6) if placed else "",
    }
