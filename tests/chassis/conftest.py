"""The fixtures of the chassis's tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis.store.database import Database
from tests.support.tally import MIGRATIONS


@pytest.fixture
async def database(tally_database: str) -> AsyncIterator[Database]:
    """The tally service's, open."""
    async with opened(tally_database, size=6) as found:
        yield found


@asynccontextmanager
async def opened(url: str, size: int) -> AsyncIterator[Database]:
    """The tally service's database, with so many connections."""
    found = Database(url, "tally", size=size, migrations=MIGRATIONS)
    await found.open()
    yield found
    await found.close()
