"""A small district for the tests of the replay."""

from pathlib import Path

import pytest

from deploy.district.__main__ import main
from deploy.replay import district
from deploy.replay.district import District


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference files of a district of four grids."""
    folder = tmp_path_factory.mktemp("district")
    assert main(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def known(folder: Path) -> District:
    """That district, as the replay knows it."""
    return district.load(folder)
