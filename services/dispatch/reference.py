"""The district's reference files that dispatch needs, read once at the start."""

from dataclasses import dataclass
from pathlib import Path

from chassis.reference import read
from contracts.reference import Areas, Calendar, Catalogue, Policy, Units
from services.dispatch.domain.clock import DeadlineClock
from services.dispatch.domain.rules import Rules


@dataclass(frozen=True)
class District:
    """What dispatch decides by, and the areas that its lists can be filtered by."""

    rules: Rules
    areas: frozenset[str]
    sensitive: frozenset[str]
    """The categories of sensitive cases."""
    root: str | None
    """The district's own area."""


def load(district: Path) -> District:
    """Reads the files. Raises `BadReference`."""
    policy = read(district, Policy)
    catalogue = read(district, Catalogue)
    clock = DeadlineClock(catalogue, read(district, Calendar), policy.yellow_percent, policy.red_percent)
    areas = read(district, Areas)
    rules = Rules(clock, read(district, Units), policy)
    return District(rules, frozenset(areas.by_path), catalogue.sensitive, areas.root)
