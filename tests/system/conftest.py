"""A small district for each test, written once: partners are registered beside it."""

from pathlib import Path

import pytest

from deploy.district.__main__ import main


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the reference files of a small district."""
    folder = tmp_path_factory.mktemp("district")
    assert main(["--scale", "small", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def district(files: Path, tmp_path: Path) -> Path:
    """The same, in a folder of this test's own, with nobody registered beside it."""
    (tmp_path / "district").mkdir()
    folder = tmp_path / "district" / "small"
    folder.symlink_to(files)
    return folder
