"""A small district, written once."""

from pathlib import Path

import pytest

from deploy.district.__main__ import main


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the reference files of a small district."""
    folder = tmp_path_factory.mktemp("district")
    assert main(["--scale", "small", "--out", str(folder)]) == 0
    return folder
