"""Dispatch's own copy of the reference data it needs: catalogue, calendar, policy, partners."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from contracts.envelope import Event
from contracts.reference import Calendar, Catalogue, Partners, Policy, Reference

R = TypeVar("R", bound=Reference)


@dataclass(frozen=True)
class Files:
    """The reference files dispatch reads."""

    catalogue: Catalogue
    calendar: Calendar
    policy: Policy
    partners: Partners

    def admit(self, event: Event[object]) -> str | None:
        """Why a partner's event is not to be trusted, or None."""
        topic = event.type.split(".")[1]
        return self.partners.refusal(event.source, topic, getattr(event.data, "unit", None))

    def units_of(self, source: str) -> frozenset[str]:
        """The units a partner may act for; "*" is any."""
        partner = self.partners.by_source.get(source)
        return frozenset(partner.units) if partner else frozenset()


def load(folder: Path) -> Files:
    """Reads the files. Raises `SystemExit` that names the file where one is missing or not valid."""
    return Files(
        catalogue=_read(folder, "catalogue.json", Catalogue),
        calendar=_read(folder, "calendar.json", Calendar),
        policy=_read(folder, "policy.json", Policy),
        partners=_read(folder, "partners.json", Partners),
    )


def _read(folder: Path, name: str, kind: type[R]) -> R:
    path = folder / name
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise SystemExit(f"reference file {path} cannot be read ({fault.strerror}): set CASEGRID_DISTRICT") from None
    except ValidationError as fault:
        raise SystemExit(f"reference file {path} is not valid: {fault}") from None
