"""`make rebuild` where there is nothing to rebuild yet says what to do first, and leaves nothing behind."""

from pathlib import Path

import pytest

from deploy.stack import ports
from tests.deploy.stacks import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack")


def test_before_the_first_up_it_says_that_nothing_runs(stack: Stack) -> None:
    done = stack.run("rebuild", "intake")
    assert done.returncode == 1
    assert done.stderr == f"the database of {stack.folder} does not run: `make up` first, which rebuilds what it must\n"
    assert not stack.folder.exists()


def test_a_database_of_the_users_without_the_services_tables_is_named(stack: Stack, postgres_admin: str) -> None:
    done = stack.run("rebuild", "intake", DATABASE_URL=postgres_admin)
    assert done.returncode == 1
    assert done.stderr == "the database has no tables of intake: `make up` first, which makes them\n"


def test_a_database_of_the_users_that_does_not_answer_is_named(stack: Stack) -> None:
    at = f"127.0.0.1:{ports.free()}"
    done = stack.run("rebuild", "intake", DATABASE_URL=f"postgresql://me:secret@{at}/x")
    assert done.returncode == 1
    assert f"PostgreSQL at {at} does not answer" in done.stderr
    assert "secret" not in done.stderr


def test_a_mistyped_service_is_named_with_the_choice(stack: Stack) -> None:
    done = stack.run("rebuild", "dispach")
    assert done.returncode == 1
    assert done.stderr == "SERVICE is 'dispach': choose from intake, triage, dispatch, feedback, audit\n"
