"""Report -> where and what it is, with the rules that applied; or what a person must decide."""

from dataclasses import dataclass

from contracts.fields import Place
from contracts.intake import NewReport
from contracts.progress import Queue
from contracts.reference import Area, Category, Reading
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
    found = rules.territory.locate(place)
    area, point = found.place.area, place.point
    match found.by:
        case "name":
            why = f"area {area} as reported"
        case "position" | "address":
            why = f"area {area} by the {found.by}"
        case None if point is not None:
            where = f"the position {point.lat:.6f}, {point.lon:.6f} lies in no grid"
            why = where + _by_address(found.reading)
        case None:
            said = "no position and no area were reported"
            if place.area is not None:
                said = f"there is no area {place.area}, and no position"
            why = said + _by_address(found.reading)
    return found.place, why


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
    doubt = f', but it also says "{read.doubt}"' if read.doubt else ""
    return f"; the address may mean {shown}{doubt}"


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
