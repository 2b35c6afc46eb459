"""The authored files, and districts generated once per session."""

from pathlib import Path

import pytest

from contracts.reference import Calendar, Catalogue, Policy
from deploy.district.__main__ import HERE
from tests.district.generated import Generated, generate


@pytest.fixture(scope="session")
def full() -> Generated:
    return generate("full")


@pytest.fixture(scope="session", params=["full", "small", "tiny"])
def district(request: pytest.FixtureRequest, full: Generated) -> Generated:
    return full if request.param == "full" else generate(request.param)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.model_validate_json((HERE / "catalogue.json").read_bytes())


@pytest.fixture(scope="session")
def policy() -> Policy:
    return Policy.model_validate_json((HERE / "policy.json").read_bytes())


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return Calendar.model_validate_json((HERE / "calendar.json").read_bytes())


@pytest.fixture(scope="session")
def real_material() -> Path:
    """Real reports that are not part of the project; without them there is nothing to measure."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real reports are not on this machine ({folder} is absent)")
    return folder
