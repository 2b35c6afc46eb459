"""The fixtures of the chassis's tests."""

from collections.abc import AsyncIterator

import pytest

from chassis.store.database import Database
from tests.support.tally import MIGRATIONS


@pytest.fixture
async def database(tally_database: str) -> AsyncIterator[Database]:
    """The tally service's, open."""
    found = Database(tally_database, "tally", size=6, migrations=MIGRATIONS)
    await found.open()
    yield found
    await found.close()
