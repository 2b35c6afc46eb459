"""Fixtures every test may use: the infrastructure, and the toy service's database and topics.

Under `make test` several processes take whole files of tests in turn, each with servers of its own.
"""

import os
from collections.abc import Awaitable, Callable, Generator

import pytest

from chassis.store.migrations import migrate
from tests.support import choice, tally
from tests.support.infrastructure import (
    PASSWORD,
    Database,
    database,
    empty_database,
    guarded_kafka,
    infrastructure_folder,
    kafka,
    make_database,
    make_topics,
    own_guarded_kafka,
    own_kafka,
    own_postgres,
    postgres_admin,
    template_database,
    topic_prefix,
)
from tests.support.plans import statements

__all__ = [
    "database",
    "empty_database",
    "guarded_kafka",
    "infrastructure_folder",
    "kafka",
    "make_database",
    "make_topics",
    "own_guarded_kafka",
    "own_kafka",
    "own_postgres",
    "postgres_admin",
    "statements",
    "template_database",
    "topic_prefix",
]


_CHOSEN = pytest.StashKey[choice.Choice]()

LONGEST_FIRST = ("tests/system/", "tests/deploy/", "tests/chassis/", "tests/services/")
"""Folders whose files take minutes; the short files of the others level the processes out in the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the servers once: the processes that run the tests are told by their environment."""
    if not hasattr(config, "workerinput"):
        chosen = choice.choose(os.environ.get(choice.SETTING, "auto"), choice.lacking)
        os.environ[choice.SETTING] = chosen.kind
        config.stash[_CHOSEN] = chosen


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which servers are taken, and why."""
    chosen = config.stash.get(_CHOSEN, None)
    return None if chosen is None else f"Kafka and PostgreSQL: {chosen.kind} ({chosen.why})"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes begin with what takes longest; one alone keeps the order of the folders."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged may hold half of a surrogate pair, which the processes that run the tests cannot tell."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def _turn(item: pytest.Item) -> int:
    return next((n for n, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder)), len(LONGEST_FIRST))


@pytest.fixture
async def tally_database(empty_database: Database) -> str:
    """URL of a database of this test's own with the toy service's schema."""
    await migrate(empty_database.admin_url, "tally", PASSWORD, tally.MIGRATIONS)
    return empty_database.url("tally")


@pytest.fixture
async def topics(make_topics: Callable[..., Awaitable[list[str]]], topic_prefix: str) -> str:
    """The prefix of five topics of this test's own."""
    await make_topics(topic_prefix)
    return topic_prefix
