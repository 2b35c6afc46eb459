"""Ports, secrets and tokens of a stack."""

import json
import os
import shutil
import socket
import stat
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import jwt
import pytest

from chassis.kafka.connection import Connection
from chassis.registry import Registry
from chassis.settings import AUDIENCE, ISSUER, Settings
from chassis.web.identity import Identity
from deploy.stack import asked, connections, ports, postgres, secrets
from deploy.stack.lifecycle import services_environment
from deploy.stack.plan import KAFKA_VARIABLES, Plan, from_environment
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT
from deploy.stack.token import issue


def test_a_busy_port_is_named_with_its_holder_and_the_variable_that_changes_it() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Problem) as raised:
            ports.require_free(port, "intake", "INTAKE_PORT")
    assert f"port {port} for intake is in use by process" in str(raised.value)
    assert f"INTAKE_PORT={port + 1000} make up" in str(raised.value)


def test_a_port_whose_connections_linger_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the side that closes first keeps the port in TIME_WAIT
    assert not ports.busy(port)


def test_free_ports_differ_and_are_free() -> None:
    found = [ports.free() for _ in range(20)]
    assert len(set(found)) == 20
    assert not any(ports.busy(port) for port in found)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"INTAKE_PORT": "http"}, "INTAKE_PORT is 'http'"),
        ({"KAFKA_PORT": "70000"}, "KAFKA_PORT is '70000'"),
        ({"INTAKE_PORT": "8002"}, "two ports are the same: INTAKE_PORT=8002, TRIAGE_PORT=8002"),
        ({"CASEGRID_BROKER": "rabbit"}, "CASEGRID_BROKER is 'rabbit'"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "broker"}, "KAFKA_BOOTSTRAP_SERVERS is 'broker': servers as host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a:1,b:x"}, "KAFKA_BOOTSTRAP_SERVERS is 'a:1,b:x': servers as host:port"),
        ({"DATABASE_URL": "db/postgres"}, "DATABASE_URL is not a URL of PostgreSQL: postgresql://user:password@"),
        ({"DATABASE_URL": "postgresql://db:x/postgres"}, "DATABASE_URL is not a URL of PostgreSQL"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(Problem, match=named):
        from_environment(environment)


@pytest.mark.parametrize(
    ("only", "named"), [("kafka,postgrs", "'postgrs'"), (",", "''"), ("kafka postgres", "'kafka p")]
)
def test_a_part_that_is_none_is_named_with_those_there_are(only: str, named: str) -> None:
    with pytest.raises(Problem, match=f"ONLY names {named}.*: choose from postgres, kafka, intake, .*, audit"):
        from_environment({}, only=only)


def test_parts_may_be_written_with_blanks() -> None:
    assert from_environment({}, only="kafka, postgres").only == {"kafka", "postgres"}


def test_a_port_is_known_to_be_held_by_its_own_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.held_by(port, os.getpid())
        assert not ports.held_by(port, os.getppid())
    assert not ports.held_by(port, os.getpid())


def test_servers_of_the_users_own_are_not_started() -> None:
    plan = from_environment({"KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "DATABASE_URL": "postgresql://db/postgres"})
    assert plan.infrastructure == ()
    assert plan.bootstrap == "broker:9092"


def test_partners_are_registered_beside_the_district_unless_another_file_is_named(tmp_path: Path) -> None:
    beside = from_environment({"CASEGRID_DISTRICT": str(tmp_path / "full")})
    assert beside.partners == tmp_path / "partners.json"
    named = from_environment(
        {"CASEGRID_DISTRICT": str(tmp_path / "full"), "CASEGRID_PARTNERS": str(tmp_path / "own.json")}
    )
    assert named.partners == tmp_path / "own.json"
    assert from_environment({}).partners == ROOT / ".data" / "district" / "partners.json"


def test_a_service_is_told_where_partners_are_registered(tmp_path: Path) -> None:
    plan = from_environment({"CASEGRID_DISTRICT": str(tmp_path / "full"), "CASEGRID_DATA": str(tmp_path)})
    for name in plan.services:
        settings = Settings.model_validate(services_environment(plan, name, secrets.load(tmp_path)))
        assert settings.partners_file == plan.partners


def test_secrets_stay_the_same_and_are_for_their_owner_only(tmp_path: Path) -> None:
    first = secrets.load(tmp_path)
    assert len(set(first.postgres.values())) == 6
    assert secrets.load(tmp_path) == first
    assert stat.S_IMODE((tmp_path / secrets.FILE).stat().st_mode) == 0o600


def test_the_services_get_the_public_half_of_the_key_of_tokens_and_a_key_of_pseudonyms(tmp_path: Path) -> None:
    plan = from_environment({"CASEGRID_DATA": str(tmp_path)})
    known = secrets.load(plan.run)
    for name in plan.services:
        told = services_environment(plan, name, known)
        assert known.token_key not in str(told)
        assert "CASEGRID_JWT_KEY" not in told
        assert told["CASEGRID_PSEUDONYM_KEY"] == known.pseudonym_key != known.token_key
        [public] = json.loads(Path(told["CASEGRID_JWKS"]).read_text())["keys"]
        assert public.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


def test_a_stack_that_had_one_key_for_both_finds_its_private_persons_again(tmp_path: Path) -> None:
    (tmp_path / secrets.FILE).write_text(json.dumps({"jwt_key": "the key that logins were hashed with"}))
    known = secrets.load(tmp_path)
    assert known.pseudonym_key == "the key that logins were hashed with"
    assert secrets.load(tmp_path) == known
    assert "jwt_key" not in (tmp_path / secrets.FILE).read_text()


def test_new_passwords_of_the_broker_leave_the_others_and_those_of_a_database_that_is_there_are_not_made_up(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    first = secrets.load(run)
    data = postgres.data_folder(tmp_path / "postgres")
    data.mkdir()
    renewed = secrets.renew_broker(run)
    assert secrets.load(run) == renewed == replace(first, kafka=renewed.kafka)
    assert not {*renewed.kafka.values()} & {*first.kafka.values()}
    assert (secrets.passwords_folder(run) / "triage").read_text() == renewed.kafka["triage"]
    (run / secrets.FILE).unlink()
    with pytest.raises(Problem, match="lacks the password of the database's administrator"):
        secrets.load(run)
    data.rmdir()
    if data.parent != tmp_path:
        data.parent.rmdir()


def test_the_password_of_a_database_that_lies_elsewhere_is_not_made_up_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PostgreSQL's user may not enter the project's folder, as below /root."""
    monkeypatch.setattr(postgres, "unprivileged", lambda: (65_534, 65_534))
    tmp_path.chmod(0o700)
    data = postgres.data_folder(tmp_path / "postgres")
    assert data.parent != tmp_path
    data.mkdir()
    try:
        with pytest.raises(Problem, match=f"lacks the password of the database's administrator, with which {data} was"):
            secrets.load(tmp_path / "run")
    finally:
        data.rmdir()
        data.parent.rmdir()


@pytest.mark.parametrize("left", [secrets.FILE, "keys.json", "kafka-passwords"])
def test_a_lost_key_of_pseudonyms_is_not_made_up(tmp_path: Path, left: str) -> None:
    """Under another key nobody would find their own reports. `left` is all that is left of the stack's secrets."""
    known = asdict(secrets.load(tmp_path))
    for path in [*tmp_path.iterdir()]:
        if path.name == secrets.FILE == left:
            path.write_text(json.dumps({**known, "pseudonym_key": ""}))
        elif path.name != left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(Problem, match=f"{secrets.FILE} lacks the key of pseudonyms.*put the file back from a backup"):
        secrets.load(tmp_path)


@pytest.mark.parametrize("spoilt", ["", "{", "[]", "7", '{"postgres": 7}', b"\xff", None])
def test_secrets_that_cannot_be_read_are_named(tmp_path: Path, spoilt: str | bytes | None) -> None:
    file = tmp_path / secrets.FILE
    match spoilt:
        case None:
            file.mkdir()
        case bytes():
            file.write_bytes(spoilt)
        case _:
            file.write_text(spoilt)
    for complete in (True, False):
        with pytest.raises(Problem, match=f"{file} can't be used: .*: put it back from a backup"):
            secrets.load(tmp_path, complete=complete)


def test_a_key_set_of_other_bytes_is_made_anew_and_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    secrets.load(tmp_path)
    keys = secrets.keys_file(tmp_path)
    said = keys.read_bytes()
    keys.write_bytes(b"\xff")
    secrets.load(tmp_path)
    assert keys.read_bytes() == said
    keys.unlink()
    keys.mkdir()
    with pytest.raises(Problem, match=f"{keys} can't be written: Is a directory"):
        secrets.load(tmp_path)


def test_a_look_at_the_secrets_writes_nothing_and_names_what_is_lost(tmp_path: Path) -> None:
    with pytest.raises(
        Problem, match=f"{secrets.FILE} lacks token_key, pseudonym_key, postgres, kafka: `make up` makes"
    ):
        secrets.load(tmp_path, complete=False)
    assert not [*tmp_path.iterdir()]
    known = secrets.load(tmp_path)
    secrets.keys_file(tmp_path).unlink()
    assert secrets.load(tmp_path, complete=False) == known
    assert not secrets.keys_file(tmp_path).exists(), "the services have lost their keys, and nobody would see it"


def test_a_key_set_of_the_users_own_is_passed_on(tmp_path: Path) -> None:
    given = {"CASEGRID_JWKS": "https://login.example/keys", "CASEGRID_ISSUER": "https://login.example"}
    plan = from_environment({"CASEGRID_DATA": str(tmp_path), **given})
    assert given.items() <= services_environment(plan, "triage", secrets.load(plan.run)).items()


def test_a_key_of_pseudonyms_of_the_users_own_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key of one's own")
    given = {"CASEGRID_DATA": str(tmp_path), "CASEGRID_PSEUDONYM_KEY_FILE": str(tmp_path / "key")}
    told = services_environment(from_environment(given), "intake", secrets.load(tmp_path / "run"))
    assert Settings.model_validate(told).pseudonym_key == "a key of one's own"


async def test_a_service_takes_the_stacks_token(tmp_path: Path) -> None:
    key = secrets.load(tmp_path).token_key
    token = issue(key, subject="li", roles=["dispatcher"], unit="district:CH", areas=["CH/shengdeng"])
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["iss"]) == (AUDIENCE, ISSUER)
    assert claims["exp"] - claims["iat"] == 43_200

    settings = Settings.model_validate({"CASEGRID_JWKS": str(secrets.keys_file(tmp_path))})
    caller = await Identity(settings, Registry(None)).caller(f"Bearer {token}", None)

    assert caller is not None
    assert caller.subject == "li"
    assert caller.roles == {"dispatcher"}
    assert caller.unit == "district:CH"
    assert caller.areas == ("CH/shengdeng",)


def test_the_manual_names_every_target() -> None:
    manual = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert [target for target in targets.split()[1:] if f"  make {target} " not in manual] == []


@pytest.mark.parametrize("arguments", [("up", "OLNY=kafka"), ("up", "kafka"), ("token", "ROEL=dispatcher"), ("upp",)])
def test_a_mistyped_goal_or_variable_ends_make_before_anything_is_done(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{arguments[-1].partition('=')[0]}: no such target or variable" in done.stderr


@pytest.mark.parametrize(
    ("goal", "variables", "command"),
    [
        ("up", ["ONLY=kafka, postgres", "INTAKE_PORT=1", "CASEGRID_BATCH=1"], 'deploy.stack up --only="$ONLY"'),
        ("up", [], "deploy.stack up"),
        ("status", ["JSON=1"], "deploy.stack status --json"),
        ("status", ["JSON=0"], "deploy.stack status"),
        ("token", [], "deploy.stack token"),
        ("token", ["ROLE=auditor", "SUBJECT=o'brien"], 'deploy.stack token --role="$ROLE" --subject="$SUBJECT"'),
    ],
)
def test_a_target_hands_on_what_it_is_given(goal: str, variables: list[str], command: str) -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", goal, *variables], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    last = shown[shown.index("-m deploy.stack") :].replace("\\\n", "")
    assert " ".join(last.split()) == f"-m {command}"


OWN_BROKER = {
    "KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "operator",
    "KAFKA_SASL_PASSWORD_FILE": "/etc/operator",
    "KAFKA_SSL_CA_FILE": "/etc/ca.pem",
}


def told(plan: Plan, name: str) -> Connection:
    """What the settings of a service make of what it is told."""
    kind = "fallback" if plan.broker == "fallback" else "kafka"
    given = services_environment(plan, name, secrets.load(plan.run), kind)
    fields = {key.lower() if key in KAFKA_VARIABLES else key: value for key, value in given.items()}
    return Connection.of(Settings.model_validate(fields))


def test_the_embedded_broker_has_a_user_for_each_service(tmp_path: Path) -> None:
    plan = from_environment({"CASEGRID_DATA": str(tmp_path), "CASEGRID_BROKER": "kafka"})
    found = told(plan, "triage")
    assert (found.protocol, found.mechanism, found.user) == ("SASL_PLAINTEXT", "SCRAM-SHA-256", "triage")
    assert found.secret() == secrets.load(plan.run).kafka["triage"]
    assert isinstance(found.password, Path), "no password in the environment"
    assert stat.S_IMODE(found.password.stat().st_mode) == 0o600
    assert connections.administrator(plan).secret() == secrets.load(plan.run).kafka["admin"]


def test_a_broker_of_the_users_own_is_reached_as_its_variables_say(tmp_path: Path) -> None:
    plan = from_environment({"CASEGRID_DATA": str(tmp_path), "CASEGRID_TOPIC_PREFIX": "t1-", **OWN_BROKER})
    assert plan.infrastructure == ("postgres",)
    assert connections.administrator(plan).user == "operator"
    found = told(plan, "triage")
    assert (found.servers, found.protocol, found.mechanism) == ("broker:9092", "SASL_SSL", "SCRAM-SHA-512")
    assert (found.user, found.ca_file) == ("t1-triage", Path("/etc/ca.pem"))
    assert found.secret() == secrets.load(plan.run).kafka["triage"]


@pytest.mark.parametrize(
    "given", [{"KAFKA_BOOTSTRAP_SERVERS": "broker:9092"}, {"CASEGRID_BROKER": "fallback"}], ids=["own", "fallback"]
)
def test_a_broker_without_users_is_told_none(tmp_path: Path, given: dict[str, str]) -> None:
    plan = from_environment({"CASEGRID_DATA": str(tmp_path), **given})
    assert connections.administrator(plan) == told(plan, "triage") == Connection(plan.bootstrap)


def test_what_runs_is_known_by_what_was_noted(tmp_path: Path) -> None:
    plan = from_environment({"CASEGRID_DATA": str(tmp_path)})
    assert connections.administrator(plan).names_user
    asked.note(plan.run, asked.Asked.of(plan, "fallback"))
    assert not connections.administrator(plan).names_user
    own = from_environment({"CASEGRID_DATA": str(tmp_path), **OWN_BROKER})
    asked.note(own.run, asked.Asked.of(own, "kafka"))
    assert connections.administrator(asked.as_asked(plan)) == own.kafka


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SECURITY_PROTOCOL would say .*: set KAFKA_BOOTSTRAP_SERVERS"),
        ({**OWN_BROKER, "KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL is 'TLS': must be"),
        ({**OWN_BROKER, "KAFKA_SASL_USERNAME": ""}, "KAFKA_SASL_USERNAME is '': .*SASL_SSL needs it"),
    ],
)
def test_how_a_broker_is_reached_must_make_sense(given: dict[str, str], named: str) -> None:
    with pytest.raises(Problem, match=named):
        from_environment(given)
