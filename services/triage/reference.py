"""The district's reference files, read once at the start."""

from collections import defaultdict
from pathlib import Path

from chassis.reference import read
from contracts.reference import Areas, Calendar, Catalogue, Member, Members, Places, Policy, Units
from contracts.territory import Territory
from services.triage.domain.rulebook import Rulebook


def load(district: Path) -> Rulebook:
    """Everything triage rules by. Raises `BadReference`."""
    places = read(district, Places)
    members: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(read(district, Members).members, key=lambda member: member.order):
        members[member.unit].append(member)
    return Rulebook(
        catalogue=read(district, Catalogue),
        policy=read(district, Policy),
        calendar=read(district, Calendar),
        units=read(district, Units),
        members={unit: tuple(found) for unit, found in members.items()},
        places={place.id: place for place in places.places},
        territory=Territory(read(district, Areas), places),
    )
