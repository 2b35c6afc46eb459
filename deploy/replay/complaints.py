"""New York's complaint types as categories of the catalogue.

Keys are lower case; a type may be narrowed by how its descriptor begins. What fits no category has none here: triage
classifies it by its words, or a person does.
"""

from collections.abc import Mapping

_SURFACE = "component.road-traffic.surface"
_COLLAPSE = "event.emergency.road-collapse"
_SIDEWALK = "component.road-traffic.sidewalk"
_SIGN = "component.road-traffic.sign"
_METER = "component.road-traffic.parking-meter"
_TREE = "component.greening.tree"
_ANIMALS = "event.environment.animals"
_PESTS = "event.environment.pests"
_WASTE = "event.environment.waste"
_COMMERCIAL = "event.environment.noise-commercial"
_OTHER_NOISE = "event.environment.noise-industrial"
_SITE_NOISE = "event.construction.noise"
_TAXI = "event.street-order.taxi"
_HOMELESS = "event.street-order.homeless"
_FOOD = "event.other.food-safety"
_REPAIR = "service.housing.repair"
_PUBLIC_HOUSING = "service.housing.public"
_PROPERTY_TAX = "service.finance.property-tax"
_FINE = "service.finance.parking-fine"
_ALLOWANCE = "service.social-security.allowance"
_ELDERLY = "service.care.elderly"
_LITERATURE = "service.information.literature"

TYPES: Mapping[str, str] = {
    "alzheimer's care": _ELDERLY,
    "animal facility - no permit": _ANIMALS,
    "animal in a park": _ANIMALS,
    "asbestos": "event.other.indoor-air",
    "benefit card replacement": _ALLOWANCE,
    "bereavement support group": "service.care.funeral",
    "bike rack condition": "component.road-traffic.bike-rack",
    "blocked driveway": "event.street-order.blocked-driveway",
    "bottled water": _FOOD,
    "bridge condition": "component.road-traffic.bridge",
    "broken muni meter": _METER,
    "broken parking meter": _METER,
    "bus stop shelter complaint": "component.road-traffic.bus-stop",
    "bus stop shelter placement": "service.planning.facility",
    "consumer complaint": "dispute.consumer.complaint",
    "curb condition": _SIDEWALK,
    "damaged tree": _TREE,
    "dca / doh new license application request": "service.licence.business",
    "dead tree": _TREE,
    "derelict vehicle": "event.street-order.derelict-vehicle",
    "derelict vehicles": "event.street-order.derelict-vehicle",
    "dhs advantage - tenant": _ALLOWANCE,
    "dhs advantage - third party": _ALLOWANCE,
    "dhs advantage -landlord/broker": _ALLOWANCE,
    "dof literature request": _LITERATURE,
    "dof parking - dmv clearance": _FINE,
    "dof parking - payment issue": _FINE,
    "dof parking - request copy": _FINE,
    "dof parking - request status": _FINE,
    "dof property - city rebate": _PROPERTY_TAX,
    "dof property - owner issue": _PROPERTY_TAX,
    "dof property - payment issue": _PROPERTY_TAX,
    "dof property - reduction issue": _PROPERTY_TAX,
    "dof property - request copy": _PROPERTY_TAX,
    "drinking water": "event.emergency.water-supply",
    "elder abuse": "dispute.family.violence",
    "electric": _REPAIR,
    "ferry complaint": "service.transport.bus",
    "ferry inquiry": "service.transport.bus",
    "food establishment": _FOOD,
    "food poisoning": _FOOD,
    "for hire vehicle complaint": _TAXI,
    "general construction": _REPAIR,
    "graffiti": "event.advertising.poster",
    "harboring bees/wasps": _ANIMALS,
    "heap assistance": _ALLOWANCE,
    "heating": "service.utilities.heating",
    "heat/hot water": "service.utilities.heating",
    "highway condition": _SURFACE,
    "home delivered meal - missed delivery": _ELDERLY,
    "home delivered meal complaint": _ELDERLY,
    "home repair": _REPAIR,
    "homeless encampment": _HOMELESS,
    "homeless person assistance": _HOMELESS,
    "housing - low income senior": _PUBLIC_HOUSING,
    "housing options": _PUBLIC_HOUSING,
    "hpd literature request": _LITERATURE,
    "illegal animal kept as pet": _ANIMALS,
    "illegal animal sold": _ANIMALS,
    "illegal parking": "event.street-order.illegal-parking",
    "illegal tree damage": _TREE,
    "indoor air quality": "event.other.indoor-air",
    "maintenance or facility": "component.public-facilities.other",
    "mold": "event.other.indoor-air",
    "new tree request": "component.greening.planting",
    "noise": _OTHER_NOISE,
    "noise - commercial": _COMMERCIAL,
    "noise - helicopter": _OTHER_NOISE,
    "noise - house of worship": _COMMERCIAL,
    "noise - park": "event.environment.noise-street",
    "noise - residential": "event.environment.noise-residential",
    "noise - street/sidewalk": "event.environment.noise-street",
    "noise - vehicle": "event.environment.noise-vehicle",
    "oem literature request": _LITERATURE,
    "overgrown tree/branches": "component.greening.overgrown",
    "panhandling": _HOMELESS,
    "parking card": _METER,
    "plumbing": _REPAIR,
    "rodent": _PESTS,
    "root/sewer/sidewalk condition": _SIDEWALK,
    "sanitation condition": _WASTE,
    "school maintenance": "service.education.school",
    "scrie": _ALLOWANCE,
    "senior center complaint": _ELDERLY,
    "sidewalk condition": _SIDEWALK,
    "smoking": "event.street-order.smoking",
    "street condition": _SURFACE,
    "street light condition": "component.public-facilities.street-light",
    "street sign - damaged": _SIGN,
    "street sign - dangling": _SIGN,
    "street sign - missing": _SIGN,
    "taxi complaint": _TAXI,
    "traffic": "event.street-order.traffic",
    "traffic signal condition": "component.road-traffic.signal",
    "unleashed dog": _ANIMALS,
    "unsanitary animal pvt property": _ANIMALS,
    "unsanitary pigeon condition": _ANIMALS,
    "vending": "event.street-order.vending",
    "water system": "component.public-facilities.water-supply",
    "weatherization": _REPAIR,
    "x-ray machine/equipment": "event.environment.ecology",
}
"""Complaint type -> category."""

NARROWER: Mapping[tuple[str, str], str] = {
    ("consumer complaint", "overcharge"): "dispute.consumer.price",
    ("highway condition", "cave-in"): _COLLAPSE,
    ("highway condition", "dead animal"): _ANIMALS,
    ("illegal parking", "blocked hydrant"): "event.emergency.fire-lane",
    ("maintenance or facility", "garbage"): _WASTE,
    ("maintenance or facility", "rodent"): _PESTS,
    ("noise", "noise: construction"): _SITE_NOISE,
    ("noise", "noise: jack hammering"): _SITE_NOISE,
    ("noise", "noise, barking dog"): "event.environment.noise-residential",
    ("root/sewer/sidewalk condition", "affecting sewer"): "component.public-facilities.drain",
    ("sanitation condition", "12 dead animals"): _ANIMALS,
    ("school maintenance", "rodents"): _PESTS,
    ("street condition", "cave-in"): _COLLAPSE,
    ("street condition", "defective hardware"): "component.public-facilities.manhole",
    ("water system", "hydrant"): "component.public-facilities.hydrant",
    ("water system", "no water"): "event.emergency.water-supply",
    ("water system", "possible water main break"): "event.emergency.water-main",
}
"""(Complaint type, how the descriptor begins) -> category."""


def category_of(complaint: str, descriptor: str) -> str | None:
    """The category of the catalogue; None where there is none for it."""
    kind, detail = complaint.strip().lower(), descriptor.strip().lower()
    for (one, beginning), category in NARROWER.items():
        if one == kind and detail.startswith(beginning):
            return category
    return TYPES.get(kind)
