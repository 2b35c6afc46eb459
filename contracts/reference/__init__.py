"""The reference files of a district: areas, units, members, places, catalogue, policy, calendar; and the partners.

    areas.json      Areas      the area tree with polygons
    units.json      Units      whoever can be assigned, and the ladder between them
    members.json    Members    grid members and their shifts
    places.json     Places     key places that raise a priority, and named roads and sites
    catalogue.json  Catalogue  categories with conditions, limits, lead, supports, check and keywords
    policy.json     Policy     every limit and weight that is not a category's own
    calendar.json   Calendar   working hours, holidays, make-up workdays
    manifest.json   District   what was generated, with counts and hashes

    partners.json   Partners   beside the district: partners' systems, what each may say and for which units

Everything is frozen and refuses unknown fields: these files are ours and versioned, so a misspelt key is an error.

    base.py            the field types they share
    territory.py       areas, units, members, places
    addresses.py       what the names in an address mean
    contradictions.py  which words in an address contradict that
    partners.py        partners' systems
    catalogue.py       categories and the roles that act in them
    policy.py          calendar, policy, manifest
"""

from contracts.reference.addresses import Gazetteer, Reading
from contracts.reference.base import (
    LADDER,
    LEVELS,
    AreaPath,
    CategoryCode,
    Clock,
    Competence,
    Level,
    PlaceKind,
    Point,
    Reference,
    Role,
    Scale,
    UnitId,
    UnitKind,
)
from contracts.reference.catalogue import (
    Catalogue,
    Category,
    Check,
    Condition,
    Duplicates,
    Limit,
    Task,
    filled_by,
    unit_for,
)
from contracts.reference.partners import NO_PARTNERS, Partner, Partners, Says
from contracts.reference.policy import (
    Calendar,
    Day,
    District,
    Grade,
    Hours,
    Policy,
    ScoreWeights,
    UnitScore,
)
from contracts.reference.territory import (
    Area,
    Areas,
    Member,
    Members,
    Place,
    Places,
    Shift,
    Unit,
    Units,
)

__all__ = [
    "LADDER",
    "LEVELS",
    "NO_PARTNERS",
    "Area",
    "AreaPath",
    "Areas",
    "Calendar",
    "Catalogue",
    "Category",
    "CategoryCode",
    "Check",
    "Clock",
    "Competence",
    "Condition",
    "Day",
    "District",
    "Duplicates",
    "Gazetteer",
    "Grade",
    "Hours",
    "Level",
    "Limit",
    "Member",
    "Members",
    "Partner",
    "Partners",
    "Place",
    "PlaceKind",
    "Places",
    "Point",
    "Policy",
    "Reading",
    "Reference",
    "Role",
    "Says",
    "Scale",
    "ScoreWeights",
    "Shift",
    "Task",
    "Unit",
    "UnitId",
    "UnitKind",
    "UnitScore",
    "Units",
    "filled_by",
    "unit_for",
]
