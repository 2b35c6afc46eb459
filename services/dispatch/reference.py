"""Dispatch's own copy of the reference data it needs: catalogue, calendar, policy, units."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from contracts.reference import Calendar, Catalogue, Policy, Reference, Units

R = TypeVar("R", bound=Reference)


@dataclass(frozen=True)
class Files:
    """The reference files dispatch reads."""

    catalogue: Catalogue
    calendar: Calendar
    policy: Policy
    units: Units


def load(folder: Path) -> Files:
    """Reads the files. Raises `SystemExit` that names the file where one is missing or not valid."""
    return Files(
        catalogue=_read(folder, "catalogue.json", Catalogue),
        calendar=_read(folder, "calendar.json", Calendar),
        policy=_read(folder, "policy.json", Policy),
        units=_read(folder, "units.json", Units),
    )


def _read(folder: Path, name: str, kind: type[R]) -> R:
    path = folder / name
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise SystemExit(f"reference file {path} cannot be read ({fault.strerror}): set CASEGRID_DISTRICT") from None
    except ValidationError as fault:
        raise SystemExit(f"reference file {path} is not valid: {fault}") from None
