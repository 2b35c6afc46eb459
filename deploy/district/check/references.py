"""What one record of a district says of another: areas, units, ladders, roles; and what else the services rely on."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shapely import Point, Polygon

from contracts.reference import LADDER, Unit, filled_by, unit_for
from contracts.territory import GRID, depth
from deploy.district.check.reading import MANIFEST, PARTNERS, Files, Finding, path_of, repeated

_BY_AREA = ("mediator", *LADDER)
"""Kinds of units that are found by their area, so that their id is made of it."""


class _Task(NamedTuple):
    """A task of the catalogue: the field that names who does it, and the category."""

    field: str
    category: str


def broken(files: Files) -> Iterator[Finding]:
    """Every rule between records that does not hold. What refers to a file that is not readable is passed over."""
    yield from _areas(files)
    yield from _units(files)
    yield from _members(files)
    yield from _places(files)
    yield from _roles(files)
    yield from _policy(files)
    yield from _partners(files)
    if files.manifest is not None and files.areas.lacks(files.manifest.root):
        yield Finding(MANIFEST, "root", f"{files.manifest.root} is not an area of areas.json")


def remarks(files: Files) -> Iterator[Finding]:
    """What is no hindrance: roles that only a unit above fills, units that are not competent for their tasks, sub-grids
    and part-time members without each other, and files that are not as the manifest says.
    """
    yield from _work(files)
    yield from _staffing(files)
    for name, digest in files.manifest.files.items() if files.manifest else ():
        path = path_of(files.folder, name)
        if not path.exists():
            yield Finding(MANIFEST, f"files.{name}", "is not there")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield Finding(MANIFEST, f"files.{name}", "has another hash: it was changed since the manifest was written")


def _areas(files: Files) -> Iterator[Finding]:
    for area in files.areas.valid:
        if area.parent is not None and files.areas.lacks(area.parent):
            yield Finding("areas.json", f"areas[{area.path}].path", f"its parent {area.parent} is not in this file")
        if not Polygon(area.polygon).is_valid:
            yield Finding("areas.json", f"areas[{area.path}].polygon", "must be a ring that does not cross itself")
    if files.areas.names is not None and not files.grids:
        yield Finding("areas.json", "areas", "must hold a grid, for work is done in grids")


def _units(files: Files) -> Iterator[Finding]:
    by_id = {unit.id: unit for unit in files.units.valid}
    for unit in files.units.valid:
        where = f"units[{unit.id}]"
        if files.areas.lacks(unit.area):
            yield Finding("units.json", f"{where}.area", f"{unit.area} is not an area of areas.json")
        if unit.kind in _BY_AREA and unit.id != f"{unit.kind}:{unit.area}":
            yield Finding("units.json", f"{where}.id", f"must be {unit.kind}:{unit.area}, made of its kind and area")
        if unit.superior is not None and files.units.lacks(unit.superior):
            yield Finding("units.json", f"{where}.superior", f"{unit.superior} is not a unit of this file")
        if _is_above_itself(unit, by_id):
            yield Finding("units.json", f"{where}.superior", "the ladder above the unit leads back to it")


def _is_above_itself(unit: Unit, by_id: Mapping[str, Unit]) -> bool:
    return any(above.id == unit.id for above in _above(unit, by_id))


def _above(unit: Unit, by_id: Mapping[str, Unit]) -> Iterator[Unit]:
    """The units above a unit, lowest first, each once."""
    seen: set[str] = set()
    above = unit.superior
    while above is not None and above in by_id and above not in seen:
        yield by_id[above]
        seen.add(above)
        above = by_id[above].superior


def _members(files: Files) -> Iterator[Finding]:
    areas = {unit.id: unit.area for unit in files.units.valid}
    for member in files.members.valid:
        where = f"members[{member.id}]"
        if files.units.lacks(member.unit):
            yield Finding("members.json", f"{where}.unit", f"{member.unit} is not a unit of units.json")
        elif areas.get(member.unit, member.grid) != member.grid:
            yield Finding("members.json", f"{where}.unit", f"{member.unit} works in another area than {member.grid}")
        if files.areas.lacks(member.grid):
            yield Finding("members.json", f"{where}.grid", f"{member.grid} is not an area of areas.json")
        elif depth(member.grid) != GRID:
            yield Finding("members.json", f"{where}.grid", f"{member.grid} is an area of another level than a grid")
        if member.subgrid is not None and files.areas.lacks(member.subgrid):
            yield Finding("members.json", f"{where}.subgrid", f"{member.subgrid} is not an area of areas.json")
    once = {member.id: member for member in files.members.valid}.values()  # one that is repeated is named as such
    orders = (f"{member.order} in {member.grid}" for member in once)
    yield from repeated("members.json", "members.order", orders)


def _staffing(files: Files) -> Iterator[Finding]:
    """Backups come from a report's sub-grid first, so its part-time members should stand there."""
    subgrids = [area.path for area in files.areas.valid if area.level == "subgrid"]
    divided = {subgrid.rpartition("/")[0] for subgrid in subgrids}
    staffed = {member.subgrid for member in files.members.valid}
    apart = {member.grid for member in files.members.valid if not member.full_time and member.subgrid is None}
    unstaffed = [subgrid for subgrid in subgrids if subgrid not in staffed]
    if apart & divided:
        rule = f"part-time members of {_some(sorted(apart & divided))} belong to none of its sub-grids"
        yield Finding("members.json", "members.subgrid", rule)
    if unstaffed and files.members.names is not None:
        rule = f"no part-time member belongs to {_some(unstaffed, 'sub-grid')}, so backups come from the whole grid"
        yield Finding("members.json", "members.subgrid", rule)


def _places(files: Files) -> Iterator[Finding]:
    areas = {area.path: area for area in files.areas.valid}
    for place in files.places.valid:
        where = f"places[{place.id}]"
        if files.areas.lacks(place.area):
            yield Finding("places.json", f"{where}.area", f"{place.area} is not an area of areas.json")
        elif place.area in areas and not Polygon(areas[place.area].polygon).covers(Point(place.point)):
            yield Finding("places.json", f"{where}.point", f"must lie in {place.area}, the area of the place")


def _roles(files: Files) -> Iterator[Finding]:
    if files.units.names is None:
        return
    for role, tasks in _tasks_by_role(files).items():
        if _is_named(role):
            rule = f"{role} is not a unit of units.json" if files.units.lacks(role) else None
        else:
            nobody = [grid for grid in files.grids if filled_by(role, grid, files.units.names) is None]
            rule = f"no unit of units.json is {role} in {_some(nobody)}, nor is any above it" if nobody else None
        for task in tasks if rule else ():
            yield Finding("catalogue.json", task.field, rule or "")


def _work(files: Files) -> Iterator[Finding]:
    """Who gets the work where the unit that the catalogue means is not there, or is not competent."""
    names, by_id = files.units.names or frozenset(), {unit.id: unit for unit in files.units.valid}
    for role, tasks in _tasks_by_role(files).items():
        if _is_named(role) and files.units.lacks(role):
            continue
        filled = {grid: filled_by(role, grid, names) for grid in files.grids}
        above = [grid for grid, unit in filled.items() if unit not in (None, unit_for(role, grid))]
        units = [by_id[unit] for unit in dict.fromkeys(filled.values()) if unit in by_id]
        for task in tasks:
            if above:
                rule = f"nobody is {role} in {_some(above)}, so a unit further up takes its part"
                yield Finding("catalogue.json", task.field, rule)
            if unfit := [unit for unit in units if not unit.competent(task.category)]:
                yield Finding("catalogue.json", task.field, _incompetent(unfit, task.category, by_id))


def _incompetent(unfit: list[Unit], category: str, by_id: Mapping[str, Unit]) -> str:
    who, verb = _some([unit.id for unit in unfit], "unit"), "is" if len(unfit) == 1 else "are"
    instead = next((above.id for above in _above(unfit[0], by_id) if above.competent(category)), None)
    follows = ", nor is any unit above it, so it gets the work all the same"
    if instead is not None:
        follows = f", so {instead}, the first competent unit above it, gets the work"
    return f"{who} {verb} not competent for {category} (competences in units.json){follows}"


def _policy(files: Files) -> Iterator[Finding]:
    ladder = files.policy.escalation_ladder if files.policy else ()
    if list(ladder) != [rung for rung in LADDER if rung in ladder]:
        rule = f"must be of {', '.join(LADDER)}, in this order"
        yield Finding("policy.json", "escalation_ladder", rule)
    if files.units.names is not None:
        kinds = {name.partition(":")[0] for name in files.units.names}
        for rung in ladder:
            if rung in LADDER and rung not in kinds:
                yield Finding("policy.json", "escalation_ladder", f"units.json has no unit of the kind {rung}")


def _partners(files: Files) -> Iterator[Finding]:
    partners = {partner.id: partner for partner in files.partners.valid}.values()
    for partner in partners:
        for unit in partner.units:
            if files.units.lacks(unit):
                rule = f"{unit} is not a unit of units.json"
                yield Finding(PARTNERS, f"partners[{partner.id}].units", rule)
    yield from repeated(PARTNERS, "partners.units", (unit for partner in partners for unit in partner.units))
    keys = (partner.client_key_sha256 for partner in partners if partner.client_key_sha256)
    yield from repeated(PARTNERS, "partners.client_key_sha256", keys)


def _tasks_by_role(files: Files) -> Mapping[str, list[_Task]]:
    """Role -> the tasks of the catalogue that it has."""
    found: dict[str, list[_Task]] = defaultdict(list)
    for category in files.catalogue.valid:
        where = f"categories[{category.code}]"
        found[category.lead.unit].append(_Task(f"{where}.lead.unit", category.code))
        for number, task in enumerate(category.supports):
            found[task.unit].append(_Task(f"{where}.supports.{number}.unit", category.code))
    return found


def _is_named(role: str) -> bool:
    """Whether a role of the catalogue is one unit by its id, and none that is found by its area."""
    return ":" in role


def _some(areas: list[str], kind: str = "grid") -> str:
    others = len(areas) - 1
    return f"{areas[0]} and {others} other {kind}{'s' if others > 1 else ''}" if others else areas[0]
