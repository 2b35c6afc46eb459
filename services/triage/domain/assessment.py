"""Report -> where and what it is, with the rules that applied; or what a person must decide."""

from dataclasses import dataclass

from contracts.fields import Place, lies_in
from contracts.intake import NewReport
from contracts.progress import Queue
from contracts.reference import Area, Category, Reading
from contracts.territory import GRID, depth
from services.triage.domain.rulebook import Rulebook

CANDIDATES = 10
"""The most areas that the queue shows of those that an address may mean."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rules find of a report. If `queue` is set, they do not suffice, and the last of `rules` says why."""

    place: Place
    area: str | None
    category: str | None
    rules: tuple[str, ...]
    queue: Queue | None


def assess(report: NewReport, rules: Rulebook) -> Assessment:
    """Locates and classifies a report."""
    place, where = locate(report.place, rules)
    category, what = classify(report, rules)
    if place.area is None:
        return Assessment(place, None, category, (what, where), "unlocated")
    if category is None:
        return Assessment(place, place.area, None, (where, what), "unclassified")
    return Assessment(place, place.area, category, (where, what), None)


def locate(place: Place, rules: Rulebook) -> tuple[Place, str]:
    """The place with the area it lies in, if the rules find one; and why."""
    point, area = place.point, place.area
    known = area if area in rules.areas else None
    if known is not None and (point is None or depth(known) >= GRID):
        return place, f"area {known} as reported"
    if point is None:
        read = _read(place, rules)
        if read is not None and read.grid is not None:
            named = {"area": read.grid, "key_place": read.key_place}
            return place.model_copy(update=named), f"area {read.grid} by the address"
        said = "no position and no area were reported" if area is None else f"there is no area {area}, and no position"
        return place.model_copy(update={"area": None}), said + _by_address(read)
    found = rules.territory.area_at(point)
    if found is None and known is None:
        where = f"the position {point.lat:.6f}, {point.lon:.6f} lies in no grid"
        return place.model_copy(update={"area": None}), where + _by_address(_read(place, rules))
    if found is None or (known is not None and not lies_in(found, known)):
        return place, f"area {known} as reported, though the position lies in {found or 'no grid of it'}"
    key_place = place.key_place or rules.territory.key_place_at(point)
    return place.model_copy(update={"area": found, "key_place": key_place}), f"area {found} by the position"


def _read(place: Place, rules: Rulebook) -> Reading | None:
    return rules.addresses.read(place.address) if place.address else None


def _by_address(read: Reading | None) -> str:
    """What an address says of where the report lies, for the person who must find it."""
    if read is None:
        return ""
    if not read.candidates:
        return f"; the address names {_named(read.area) if read.area else 'no area or place of the district'}"
    shown = ", ".join(_named(area) for area in read.candidates[:CANDIDATES])
    if (more := len(read.candidates) - CANDIDATES) > 0:
        shown += f" and {more} more"
    if read.area is not None:
        return f"; the address names only {_named(read.area)}, which is wider than a grid; in it lie {shown}"
    if not read.agree:
        return f"; no area fits all names in the address, which may mean {shown}"
    return f"; the address may mean {shown}"


def _named(area: Area) -> str:
    return f"{area.path} {area.name}"


def classify(report: NewReport, rules: Rulebook) -> tuple[str | None, str]:
    """The category the reporter chose, else the one the words point to; and why."""
    chosen = report.category
    if chosen in rules.catalogue.by_code:
        return chosen, f"category {chosen} as the reporter chose"
    found = rules.recognizer.recognize(report.title, report.text)
    if chosen is None:
        return found.category, found.why
    return found.category, f"{found.why}; the reporter's {chosen} is not in the catalogue"


def priority_of(category: Category, place: Place, rules: Rulebook) -> tuple[int, str]:
    """How urgent a case of that category is at that place; and why."""
    key_place = rules.places.get(place.key_place or "")
    if key_place is None or key_place.priority_raise == 0:
        return category.priority, f"priority {category.priority} of the category"
    priority = max(1, category.priority - key_place.priority_raise)
    return priority, f"priority {priority}: {category.priority} of the category, raised at {key_place.id}"
