"""A generated district, parsed."""

from contracts.reference import Areas, Catalogue, District, Members, Places, Scale, Units
from deploy.district.__main__ import HERE
from deploy.district.build import build

SEED = 510108


class Generated:
    """A district's files, parsed."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.areas = Areas.model_validate_json(files["areas.json"])
        self.units = Units.model_validate_json(files["units.json"])
        self.members = Members.model_validate_json(files["members.json"])
        self.places = Places.model_validate_json(files["places.json"])
        self.catalogue = Catalogue.model_validate_json(files["catalogue.json"])
        self.manifest = District.model_validate_json(files["manifest.json"])


def generate(scale: Scale, seed: int = SEED) -> Generated:
    return Generated(build(HERE, scale, seed, "0" * 64))
