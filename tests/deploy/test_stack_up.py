"""`up`, `status`, `down` and `reset` as a user has them, on the real broker and database."""

import hashlib
import json
import os
import shutil
import signal
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.kafka.connection import Connection
from deploy.district.__main__ import main as write_district
from deploy.partners import read
from deploy.stack import connections, ports, topics
from deploy.stack.plan import MANAGER, PARTS, from_environment
from deploy.stack.secrets import FILE
from deploy.stack.status import ALL_READY, NOT_READY, NOTHING_RUNS
from tests.deploy.stacks import Stack, stack_in
from tests.deploy.waiting import until

SERVERS = (MANAGER, "postgres", "kafka")
States = dict[str, tuple[str, int | None]]
BREAKS_INTAKE = """
import os, sys, traceback
if "services.intake" in sys.orig_argv:
    try:
        raise OSError("no space left on device")
    except OSError:
        traceback.print_exc()
    os._exit(7)
"""
"""What Python runs at every start where PYTHONPATH leads to it: a fault that no look at the settings can find."""


@pytest.fixture
def stack(infrastructure_folder: Path) -> Iterator[Stack]:
    with stack_in(infrastructure_folder / f"stack-{uuid.uuid4().hex[:8]}") as stack:
        yield stack


@pytest.fixture(scope="module")
def running_kafka(infrastructure_folder: Path) -> Iterator[Stack]:
    """One for all mistakes: each must leave it as it is."""
    with stack_in(infrastructure_folder / f"stack-{uuid.uuid4().hex[:8]}") as stack:
        district(stack)
        broken = stack.folder / "broken"
        shutil.copytree(stack.environment["CASEGRID_DISTRICT"], broken)
        (broken / "policy.json").write_text("{}")
        begin(stack, "kafka")
        yield stack


@pytest.fixture(scope="module")
def before(running_kafka: Stack) -> States:
    return running_kafka.status()


def begin(stack: Stack, *parts: str) -> States:
    """Starts these parts; what runs then."""
    up = stack.run("up", "--only", ",".join(parts))
    assert up.returncode == 0, up.stderr
    return stack.status()


def district(stack: Stack) -> None:
    assert write_district(["--scale", "tiny", "--out", stack.environment["CASEGRID_DISTRICT"]]) == 0


async def test_up_status_up_again_kill_down_and_reset(stack: Stack) -> None:
    first = begin(stack, "kafka", "postgres")
    assert {name: state for name, (state, _) in first.items()} == dict.fromkeys(SERVERS, "ready")
    assert stack.run("status").returncode == ALL_READY

    assert begin(stack, "kafka", "postgres") == first, "a second `up` changed something"

    pid = first["postgres"][1]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: stack.status()["postgres"][1] not in (None, pid), "postgres started again")
    await until(lambda: stack.run("status").returncode == ALL_READY, "postgres ready again")

    down = stack.run("down")
    assert down.returncode == 0, down.stderr
    assert stack.status() == dict.fromkeys((MANAGER, *PARTS), ("down", None))
    assert stack.run("status").returncode == NOTHING_RUNS
    assert not any(ports.busy(port) for port in stack.ports.values())
    assert (stack.folder / "kafka" / "meta.properties").exists()

    assert stack.run("reset").returncode == 0
    assert not (stack.folder / "kafka").exists()
    assert not (stack.folder / "postgres").exists()


async def test_partners_outlive_the_stack_and_find_their_topics_again(stack: Stack) -> None:
    district(stack)
    file = stack.folder / "district" / "partners.json"
    assert stack.run("up", "--only", "kafka").returncode == 0
    added = stack.run("add", "--units=dept:water", "--says=reports,steps", "water", module="deploy.partners")
    assert added.returncode == 0, added.stderr
    said = {line.partition(" ")[0]: line.split()[-1] for line in added.stdout.splitlines()}
    assert hashlib.sha256(said["client"].encode()).hexdigest() in read(file).by_key
    registered = file.read_bytes()

    assert stack.run("up", "--only", "kafka").returncode == 0
    assert file.read_bytes() == registered

    settings = from_environment(stack.environment)
    user = Connection(settings.bootstrap, "SASL_PLAINTEXT", user="partner.water", password=said["password"])
    assert await user.refusal() is None, "what was printed lets the partner in"

    broker, run = connections.administrator(settings), settings.run
    before = json.loads((run / FILE).read_text())
    old = replace(broker, password=broker.secret())
    rotated = stack.run("rotate")
    assert rotated.returncode == 0, rotated.stderr
    after = json.loads((run / FILE).read_text())
    assert {name for name in before if before[name] != after[name]} == {"kafka"}
    assert not {*before["kafka"].values()} & {*after["kafka"].values()}
    assert {name: state for name, (state, _) in stack.status().items()} == {MANAGER: "ready", "kafka": "ready"}
    assert "admin with this password" in (await old.refusal() or "")
    assert [await one.refusal() for one in (broker, connections.of_service(settings, "triage"), user)] == [None] * 3
    assert "the partner water keeps its password: `make partner NAME=water ROTATE=1`" in rotated.stdout

    reset = stack.run("reset")
    assert f"kept {file}" in reset.stdout
    assert file.read_bytes() == registered
    up = stack.run("up", "--only", "kafka")
    assert "the partner water has no user on this broker: `make partner NAME=water` makes one" in up.stdout
    assert file.read_bytes() == registered
    assert "water with this password" in (await user.refusal() or ""), "the broker was dropped with all its users"
    assert await topics.create(broker, topics.of_partner("water"), 6) == [], "`up` made them anew"


def test_a_partners_file_that_is_not_usable_stops_up_before_anything_runs(stack: Stack) -> None:
    file = stack.folder / "district" / "partners.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"partners": [{"id": "water", "name": "x", "says": ["everything"]}]}')
    up = stack.run("up", "--only", "kafka")
    assert up.returncode == 1
    assert up.stderr.startswith(f"{file} is not usable: partners.0.says.0: ")
    assert stack.status() == dict.fromkeys((MANAGER, *PARTS), ("down", None))


def test_a_busy_port_stops_up_before_anything_runs(stack: Stack) -> None:
    port = stack.ports["KAFKA_PORT"]
    with socket.create_server(("127.0.0.1", port)):
        up = stack.run("up", "--only", "kafka,postgres")
    assert up.returncode == 1
    assert up.stderr.startswith(f"port {port} for kafka is in use by process {os.getpid()} ")
    assert f"KAFKA_PORT={port + 1000} make up" in up.stderr
    assert len(up.stderr.splitlines()) == 1
    assert stack.status() == dict.fromkeys((MANAGER, *PARTS), ("down", None))


@pytest.mark.parametrize(
    ("only", "variables", "named"),
    [
        ("kafka,postgrs", {}, "ONLY names 'postgrs': choose from postgres, kafka, intake, triage, dispatch, "),
        ("", {"INTAKE_PORT": "abc"}, "INTAKE_PORT is 'abc': a number from 1 to 65535"),
        ("intake", {}, "postgres would not run, which intake can't do without: ONLY=postgres,kafka,intake"),
        ("kafka", {"KAFKA_PORT": "19"}, "KAFKA_PORT is 19 in this command, and {KAFKA_PORT} in what runs"),
        (
            "kafka",
            {"CASEGRID_BROKER": "fallback"},
            "CASEGRID_BROKER is fallback in this command, and kafka in what runs",
        ),
        (
            "kafka",
            {"KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092"},
            "KAFKA_BOOTSTRAP_SERVERS is nowhere:9092 in this command",
        ),
        ("postgres", {"DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/x"}, "PostgreSQL at 127.0.0.1:1 does not"),
        ("postgres,intake", {"CASEGRID_BATCH": "lots"}, "CASEGRID_BATCH is 'lots': "),
        ("postgres,intake", {"CASEGRID_JWKS": "/nowhere.json"}, "CASEGRID_JWKS: /nowhere.json can't be read: No such"),
        (
            "postgres,intake",
            {"CASEGRID_JWKS": "{folder}/broken/policy.json"},
            "broken/policy.json is no usable key set: ",
        ),
        (
            "postgres,intake",
            {"CASEGRID_DISTRICT": "/nowhere"},
            "CASEGRID_DISTRICT is /nowhere, which holds no district",
        ),
        ("postgres,intake", {"CASEGRID_DISTRICT": "{folder}/broken"}, "the district in {folder}/broken is not usable:"),
    ],
)
async def test_a_mistyped_up_changes_nothing_and_says_what_is_wrong(
    running_kafka: Stack, before: States, only: str, variables: dict[str, str], named: str
) -> None:
    words = {**running_kafka.ports, "folder": running_kafka.folder}
    given = {variable: value.format(**words) for variable, value in variables.items()}
    up = running_kafka.run("up", "--only", only, **given)
    assert up.returncode == 1
    assert named.format(**words) in up.stderr
    assert "secret" not in up.stderr
    assert running_kafka.status() == before


@pytest.mark.parametrize("arguments", [("up", "kafka"), ("up", "--on", "kafka"), ("ups",)])
def test_an_argument_that_makes_no_sense_changes_nothing(
    running_kafka: Stack, before: States, arguments: tuple[str, ...]
) -> None:
    up = running_kafka.run(*arguments)
    assert up.returncode == 2
    assert arguments[-1] in up.stderr
    assert running_kafka.status() == before


def test_only_adds_and_what_fails_at_its_start_is_named_with_the_reason(stack: Stack) -> None:
    district(stack)
    fault = stack.folder / "path" / "sitecustomize.py"
    fault.parent.mkdir(parents=True)
    fault.write_text(BREAKS_INTAKE)
    stack.environment["PYTHONPATH"] = str(fault.parent)
    servers = begin(stack, "kafka", "postgres")

    up = stack.run("up", "--only", "intake")
    assert up.returncode == 1
    assert up.stderr.startswith("intake does not stay up: OSError: no space left on device\n")
    assert "the end of" in up.stderr
    rows = stack.rows()
    assert {name: (rows[name]["state"], rows[name]["pid"]) for name in servers} == servers, "what ran was touched"
    assert rows["intake"]["log_says"] == "OSError: no space left on device"

    status = stack.run("status")
    assert status.returncode == NOT_READY
    assert "exit status 7" in status.stdout
    assert "OSError: no space left on device" in status.stdout

    fault.unlink()
    running = begin(stack, "intake")
    assert {state for state, _ in running.values()} == {"ready"}
    assert {name: running[name] for name in servers} == servers

    only = stack.run("up", "--only", "kafka")
    assert only.returncode == 0
    assert "ONLY only adds: postgres, intake stay as well, `make down` ends everything" in only.stdout
    refused = stack.run("up", CASEGRID_POOL="1000")
    assert refused.stderr == "CASEGRID_POOL is '1000': must be 100 or less\n"
    refused = stack.run("up", CASEGRID_LOG_LEVEL="verbose")
    assert refused.stderr.startswith("CASEGRID_LOG_LEVEL is 'verbose': must be one of DEBUG, INFO")
    refused = stack.run("up", CASEGRID_PSEUDONYM_KEY="another key of pseudonyms, for all it is worth")
    assert "CASEGRID_PSEUDONYM_KEY is set in this command, and not set in what runs" in refused.stderr
    assert stack.run("up", INTAKE_PORT=str(ports.free())).returncode == 1
    assert stack.status() == running
