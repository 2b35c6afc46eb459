"""All files of a district as bytes, and the manifest that names them."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from contracts.reference import (
    Area,
    Areas,
    Calendar,
    Catalogue,
    District,
    Members,
    Places,
    Policy,
    Reference,
    Scale,
    Units,
)
from deploy.district import areas, people

AUTHORED: Mapping[str, type[Reference]] = {
    "catalogue.json": Catalogue,
    "policy.json": Policy,
    "calendar.json": Calendar,
}
VERSION = "2026.1"


def build(here: Path, scale: Scale, seed: int, fingerprint: str) -> dict[str, bytes]:
    """File name to bytes, the manifest last. The same arguments and sources give the same bytes."""
    territory, organisation = (
        json.loads((here / f"{name}.json").read_bytes()) for name in ("territory", "organisation")
    )
    authored = {name: (here / name).read_bytes() for name in AUTHORED}
    for name, model in AUTHORED.items():
        model.model_validate_json(authored[name])
    catalogue = Catalogue.model_validate_json(authored["catalogue.json"])

    random = Random(seed)
    size = territory["scales"][scale]
    version = f"{VERSION}-{scale}-{seed}"
    tree = Areas(version=version, areas=tuple(areas.build(territory, scale, random)))
    units = Units(version=version, units=tuple(people.units(tree.areas, organisation, catalogue)))
    members = Members(
        version=version, members=tuple(people.members(tree.areas, size["full_time"], size["part_time"], random))
    )
    places = Places(version=version, places=tuple(people.places(tree.areas, random)))

    files = {
        "areas.json": _lines(version, "areas", tree.areas),
        "units.json": _lines(version, "units", units.units),
        "members.json": _lines(version, "members", members.members),
        "places.json": _lines(version, "places", places.places),
        **authored,
    }
    levels = Counter(area.level for area in tree.areas)
    manifest = District(
        version=version,
        scale=scale,
        seed=seed,
        root=tree.areas[0].path,
        fingerprint=fingerprint,
        counts={
            "streets": levels["street"],
            "communities": levels["community"],
            "grids": levels["grid"],
            "subgrids": levels["subgrid"],
            "households": tree.areas[0].households,
            "units": len(units.units),
            "members_full_time": sum(member.full_time for member in members.members),
            "members_part_time": sum(not member.full_time for member in members.members),
            "places": len(places.places),
            "categories": len(catalogue.categories),
        },
        base_records=_base_records(territory, tree.areas, len(places.places)),
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    return {**files, "manifest.json": manifest.model_dump_json(indent=2).encode() + b"\n"}


def _base_records(territory: Mapping[str, Any], tree: Sequence[Area], places: int) -> dict[str, int]:
    """How many base records of each of the six kinds the district has; the full district has its published total."""
    shares = territory["base_records"]
    grids = sum(area.level == "grid" for area in tree)
    households = tree[0].households
    counts = {
        "people": round(households * shares["people_per_household"]),
        "households": households,
        "organisations": grids * shares["organisations_per_grid"],
        "key_places": places,
        "facilities": grids * shares["facilities_per_grid"],
    }
    of_a_full_district = grids / territory["scales"]["full"]["grids"]
    return {**counts, "events": round(shares["full"] * of_a_full_district) - sum(counts.values())}


def _lines(version: str, key: str, rows: Sequence[Reference]) -> bytes:
    """A JSON object with one record to a line, so that two districts can be compared line by line."""
    records = ",\n".join(row.model_dump_json(exclude_none=True) for row in rows)
    return f'{{"version": {json.dumps(version)}, "{key}": [\n{records}\n]}}\n'.encode()
