"""What `up` was asked for is noted until `down`, and what runs keeps its settings."""

import stat
from pathlib import Path

import pytest

from deploy.simulation.city import Addresses
from deploy.stack import asked
from deploy.stack.asked import Asked
from deploy.stack.plan import PARTS, Plan, from_environment
from deploy.stack.problem import Problem

OWN = {"KAFKA_PORT": "29092", "INTAKE_PORT": "28001"}


def plan(folder: Path, only: str = "", **variables: str) -> Plan:
    return from_environment({"CASEGRID_DATA": str(folder), **OWN, **variables}, only=only)


def test_it_is_kept_for_the_owner_only_and_gives_the_plan_back(tmp_path: Path) -> None:
    database = "postgresql://me:secret@127.0.0.1:5432/postgres"
    started = plan(tmp_path, "kafka,postgres", DATABASE_URL=database)
    asked.note(started.run, Asked.of(started, "kafka"))

    assert stat.S_IMODE((started.run / "asked.json").stat().st_mode) == 0o600
    found = asked.as_asked(from_environment({"CASEGRID_DATA": str(tmp_path), "KAFKA_PORT": "9"}))
    assert (found.only, found.ports, found.database_url) == (started.only, started.ports, database)

    asked.forget(started.run)
    assert asked.read(started.run) is None
    assert asked.as_asked(started) is started


def test_the_tools_call_what_runs_where_it_listens(tmp_path: Path) -> None:
    started = plan(tmp_path)
    asked.note(started.run, Asked.of(started, "kafka"))
    found = Addresses.of_stack(tmp_path)
    assert found.broker.servers == "127.0.0.1:29092"
    assert (found.urls["intake"], found.urls["audit"]) == ("http://127.0.0.1:28001", "http://127.0.0.1:8005")


def test_what_runs_stays_part_of_the_plan(tmp_path: Path) -> None:
    running = Asked.of(plan(tmp_path), "fallback")
    joined = asked.joined(plan(tmp_path, "kafka"), running)
    assert joined.only == set(PARTS)
    assert joined.broker == "fallback", "`auto` would have replaced the broker that holds the records"


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("INTAKE_PORT", "8", "INTAKE_PORT is 8 in this command, and 28001 in what runs"),
        ("INTAKE_PORT", "", "INTAKE_PORT is 8001 in this command, and 28001 in what runs"),
        ("KAFKA_CONTROLLER_PORT", "8", "KAFKA_CONTROLLER_PORT is 8 in this command, and 19093 in what runs"),
        ("KAFKA_BOOTSTRAP_SERVERS", "b:1", "KAFKA_BOOTSTRAP_SERVERS is b:1 in this command, and not set in what runs"),
        (
            "DATABASE_URL",
            "postgresql://me:secret@b:1/x",
            "DATABASE_URL is a server at b:1 in this command, and not set in",
        ),
        ("CASEGRID_TOPIC_PREFIX", "x-", "CASEGRID_TOPIC_PREFIX is x- in this command, and not set in what runs"),
        ("CASEGRID_DISTRICT", "/x", "CASEGRID_DISTRICT is /x in this command, and "),
        ("CASEGRID_PARTNERS", "/x", "CASEGRID_PARTNERS is /x in this command, and "),
        ("CASEGRID_BROKER", "fallback", "CASEGRID_BROKER is fallback in this command, and kafka in what runs"),
    ],
)
def test_another_setting_than_that_of_what_runs_is_refused(
    tmp_path: Path, variable: str, value: str, named: str
) -> None:
    running = Asked.of(plan(tmp_path), "kafka")
    with pytest.raises(Problem, match="so nothing was changed") as raised:
        asked.joined(plan(tmp_path, **{variable: value}), running)
    assert named in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "make down" in str(raised.value)


def test_a_setting_of_what_does_not_run_may_be_another(tmp_path: Path) -> None:
    running = Asked.of(plan(tmp_path, "kafka"), "kafka")
    other = {"INTAKE_PORT": "8", "POSTGRES_PORT": "9", "DATABASE_URL": "postgresql://b/x", "CASEGRID_DISTRICT": "/x"}
    assert asked.joined(plan(tmp_path, **other), running).ports["intake"] == 8


def test_services_are_not_started_without_their_servers(tmp_path: Path) -> None:
    asked.require_servers(plan(tmp_path, "kafka"))
    with pytest.raises(Problem, match=r"postgres would not run, .*: ONLY=postgres,kafka,intake,audit"):
        asked.require_servers(plan(tmp_path, "audit,intake,kafka"))
