"""The small district of the system's tests."""

from tests.system.conftest import district, files

__all__ = ["district", "files"]
