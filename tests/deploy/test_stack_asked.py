"""What `up` was asked for is noted until `down`, and what runs keeps its settings."""

import stat
from pathlib import Path

import pytest

from deploy.simulation.city import Addresses
from deploy.stack import asked
from deploy.stack.asked import Asked
from deploy.stack.plan import PARTS, Plan, from_environment
from deploy.stack.problem import Problem
from deploy.stack.secrets import load

OWN = {"KAFKA_PORT": "29092", "INTAKE_PORT": "28001"}


IDENTITY = {"CASEGRID_ISSUER": "https://login.example", "CASEGRID_PSEUDONYM_KEY": "secret key of this stack"}


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
    load(started.run)
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
        ("CASEGRID_JWKS", "/x/keys.json", "CASEGRID_JWKS is /x/keys.json in this command, and not set in what runs"),
        ("CASEGRID_ISSUER", "x", "CASEGRID_ISSUER is x in this command, and https://login.example in what runs"),
        ("CASEGRID_ISSUER", "", "CASEGRID_ISSUER is not set in this command, and https://login.example in what runs"),
        ("CASEGRID_AUDIENCE", "x", "CASEGRID_AUDIENCE is x in this command, and not set in what runs"),
        ("CASEGRID_JWT_KEY", "secret", "CASEGRID_JWT_KEY is set in this command, and not set in what runs"),
        ("CASEGRID_PSEUDONYM_KEY", "", "CASEGRID_PSEUDONYM_KEY is not set in this command, and set in what runs"),
        ("CASEGRID_PSEUDONYM_KEY", "secret", "CASEGRID_PSEUDONYM_KEY is set in this command, and another one in what"),
        ("CASEGRID_PSEUDONYM_KEY_FILE", "/x", "CASEGRID_PSEUDONYM_KEY_FILE is /x in this command, and not set in what"),
        ("CASEGRID_BROKER", "fallback", "CASEGRID_BROKER is fallback in this command, and kafka in what runs"),
    ],
)
def test_another_setting_than_that_of_what_runs_is_refused(
    tmp_path: Path, variable: str, value: str, named: str
) -> None:
    running = Asked.of(plan(tmp_path, **IDENTITY), "kafka")
    with pytest.raises(Problem, match="so nothing was changed") as raised:
        asked.joined(plan(tmp_path, **{**IDENTITY, variable: value}), running)
    assert named in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "make down" in str(raised.value)


def test_what_runs_keeps_what_its_services_are_told_until_it_is_given_anew(tmp_path: Path) -> None:
    started = plan(tmp_path, **IDENTITY, CASEGRID_BATCH="10", CASEGRID_POOL="3", CASEGRID_PARTITIONS="2")
    asked.note(started.run, Asked.of(started, "kafka"))
    running = asked.read(started.run)
    assert running is not None
    joined = asked.joined(plan(tmp_path, **IDENTITY, CASEGRID_POOL="4"), running)
    kept = asked.as_asked(from_environment({"CASEGRID_DATA": str(tmp_path), "CASEGRID_PSEUDONYM_KEY": "another"}))
    assert {**IDENTITY, "CASEGRID_BATCH": "10", "CASEGRID_POOL": "4"}.items() <= joined.passed_on.items()
    assert {**IDENTITY, "CASEGRID_BATCH": "10", "CASEGRID_POOL": "3"}.items() <= kept.passed_on.items()
    assert (kept.partitions, "CASEGRID_JWKS" in kept.passed_on) == (2, False)


@pytest.mark.parametrize("spoilt", ["", "{", "[]", "7", '{"parts": 7, "settings": {}}', '{"parts": []}', None])
def test_a_note_that_cannot_be_read_is_named_and_down_needs_none(tmp_path: Path, spoilt: str | None) -> None:
    run = plan(tmp_path).run
    run.mkdir()
    (run / "asked.json").mkdir() if spoilt is None else (run / "asked.json").write_text(spoilt)
    with pytest.raises(
        Problem, match=r"asked\.json, which says what runs, can't be used: .*: put it back from a backup"
    ):
        asked.as_asked(plan(tmp_path))
    if spoilt is not None:
        asked.forget(run)
        assert asked.read(run) is None


def test_a_setting_of_what_does_not_run_may_be_another(tmp_path: Path) -> None:
    running = Asked.of(plan(tmp_path, "kafka"), "kafka")
    other = {"INTAKE_PORT": "8", "POSTGRES_PORT": "9", "DATABASE_URL": "postgresql://b/x", "CASEGRID_DISTRICT": "/x"}
    assert asked.joined(plan(tmp_path, **other), running).ports["intake"] == 8


def test_services_are_not_started_without_their_servers(tmp_path: Path) -> None:
    asked.require_servers(plan(tmp_path, "kafka"))
    with pytest.raises(Problem, match=r"postgres would not run, .*: ONLY=postgres,kafka,intake,audit"):
        asked.require_servers(plan(tmp_path, "audit,intake,kafka"))
