"""The district's reference files that feedback needs, read once at the start."""

from dataclasses import dataclass
from pathlib import Path

from chassis.reference import read
from contracts.reference import Areas, Catalogue, Policy, Units


@dataclass(frozen=True)
class District:
    """The policy that feedback decides by, and what its lists can be filtered by."""

    policy: Policy
    catalogue: Catalogue
    units: Units
    areas: Areas


def load(district: Path) -> District:
    """Reads the files. Raises `BadReference`."""
    return District(read(district, Policy), read(district, Catalogue), read(district, Units), read(district, Areas))
