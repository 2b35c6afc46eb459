"""docker-compose.yml and deploy/Dockerfile hold what they promise; no engine is needed to see it."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from pydantic import AliasChoices

from chassis.settings import AUDIENCE, ISSUER, Settings
from deploy.compose.__main__ import files, main
from deploy.lint import checks
from deploy.partners.__main__ import parser as partners_parser
from deploy.stack.jars import version
from deploy.stack.kafka import security
from deploy.stack.plan import PORTS, SERVICES, broker_of, source_digest
from deploy.stack.token import key_set

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
WORKERS = [f"{name}-worker" for name in SERVICES]
OWN = {"build", "environment", "networks", "ports", "secrets"}
"""What one of the five may say for itself; the rest comes from the shared part."""


def stages() -> dict[str, list[str]]:
    """Stage -> its instructions, those of the stages it is built from first."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in DOCKERFILE.splitlines():
        if line.startswith("FROM "):
            _, base, _, name = line.split()
            current = found[name] = [*found.get(base, [line])]
        elif line.strip() and not line.startswith("#"):
            current.append(" ".join(line.split()))
    return found


def copied(stage: str) -> list[str]:
    """What the stage takes from the project's folder."""
    copies = (line.split()[1:-1] for line in stages()[stage] if line.startswith("COPY") and "--from" not in line)
    return [source for sources in copies for source in sources]


def test_the_whole_system_is_there() -> None:
    assert list(COMPOSE["services"]) == ["kafka", "postgres", "setup", *SERVICES, *WORKERS]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_nothing_is_reachable_from_outside_this_machine(name: str) -> None:
    service = COMPOSE["services"][name]
    for port in service.get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)
    assert "network_mode" not in service
    assert "privileged" not in service


def test_the_ports_are_those_of_the_embedded_stack_and_the_database_has_none() -> None:
    published = {name for name, service in COMPOSE["services"].items() if service.get("ports")}
    assert published == {"kafka", *SERVICES}, "the broker is where partners' systems knock"
    for name in published:
        variable, default = PORTS[name]
        (port,) = COMPOSE["services"][name]["ports"]
        assert port.startswith(f"127.0.0.1:${{{variable}:-{default}}}:")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_gains_no_rights_and_writes_to_its_volumes_and_to_memory_alone(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert 0 < service["pids_limit"] <= 512
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert all(re.search(":size=\\d+m", mount) for mount in service["tmpfs"]), "memory is bounded, too"
    assert service.get("user", "10001") in ("10001", "appuser", "postgres"), "the image of ours sets its own"
    assert ("user" in service) == ("image" in service)


def test_a_service_shares_networks_with_broker_and_database_and_with_no_other_nor_they_with_each_other() -> None:
    networks = {name: set(service["networks"]) for name, service in COMPOSE["services"].items()}
    for name in SERVICES:
        assert networks[name] == {name, f"{name}-db", "front"}
        own = {name, f"{name}-worker"}
        assert {other for other, its in networks.items() if name in its} == {*own, "kafka"}
        assert {other for other, its in networks.items() if f"{name}-db" in its} == {*own, "postgres"}
    assert networks["setup"] == {"setup", "setup-db"}
    assert networks["postgres"] == {f"{name}-db" for name in ("setup", *SERVICES)}, (
        "nor does partners' broker lead there"
    )
    assert networks["kafka"] == {"setup", "partners", *SERVICES}, (
        "one network in common, so that its name means one address"
    )
    for name, network in COMPOSE["networks"].items():
        if name in ("front", "partners"):
            assert network == {"driver_opts": {"com.docker.network.bridge.enable_icc": "false"}}
        else:
            assert network == {"internal": True}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_health_check_starts_a_java_machine(name: str) -> None:
    check = " ".join(COMPOSE["services"][name].get("healthcheck", {}).get("test", ()))
    assert "kafka" not in check.replace("/ready", "")
    assert "java" not in check


def test_images_are_official_and_pinned() -> None:
    images = {name: service["image"] for name, service in COMPOSE["services"].items() if "image" in service}
    assert set(images) == {"kafka", "postgres"}
    assert images["kafka"] == f"apache/kafka:{version()}"
    assert re.fullmatch(r"postgres:1[67]\.\d+-\w+", images["postgres"])
    bases = set(re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE))
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.1[1-9]\.\d+-slim-\w+", bases.pop())


@pytest.mark.parametrize("name", ["kafka", "postgres", *SERVICES])
def test_whatever_stays_up_says_whether_it_is_well(name: str) -> None:
    service = COMPOSE["services"][name]
    assert set(service["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_the_five_differ_in_name_login_and_port_only(name: str) -> None:
    service, shared = COMPOSE["services"][name], COMPOSE["x-service"]
    assert {key: value for key, value in service.items() if key not in OWN} == {
        key: value for key, value in shared.items() if key != "environment"
    }
    user = {"KAFKA_SASL_USERNAME": name, "KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka"}
    login = f"postgresql://{name}@postgres:5432/casegrid"
    assert service["environment"] == {**shared["environment"], **user, "DATABASE_URL": login}
    assert service["secrets"] == [
        {"source": f"database-{name}", "target": "database"},
        {"source": f"kafka-{name}", "target": "kafka"},
        "pseudonym-key",
    ], "its own passwords and no other's"
    assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile", "args": {"SERVICE": name}}
    assert service["ports"][0].endswith(f":{shared['environment']['PORT']}")
    assert service["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", SERVICES)
def test_a_worker_is_its_service_in_another_role_and_without_a_port_so_that_it_can_be_scaled(name: str) -> None:
    service, worker = COMPOSE["services"][name], COMPOSE["services"][f"{name}-worker"]
    assert worker["environment"] == {**service["environment"], "CASEGRID_ROLE": "worker"}
    same = {key: value for key, value in service.items() if key not in ("environment", "ports")}
    assert {key: value for key, value in worker.items() if key != "environment"} == {**same, "profiles": ["workers"]}


def test_what_tunes_a_service_is_passed_on_with_the_same_default() -> None:
    environment = COMPOSE["x-service"]["environment"]
    fixed = {"CASEGRID_DISTRICT", "CASEGRID_PARTNERS", "CASEGRID_PSEUDONYM_KEY_FILE"}
    never = {
        *("CASEGRID_CLOCK_FILE", "CASEGRID_JWT_KEY", "CASEGRID_PSEUDONYM_KEY"),  # beyond loopback, or in a file
        *("CASEGRID_BROKER_KIND", "CASEGRID_TOPIC_PREFIX"),  # one broker, of its own
    }
    for field in Settings.model_fields.values():
        name = str(field.validation_alias)
        if name.startswith("CASEGRID_") and name not in fixed | never:
            given, default = environment[name].strip("${}").split(":-")
            assert given == name
            if name not in ("CASEGRID_JWKS", "CASEGRID_ISSUER", "CASEGRID_AUDIENCE", "CASEGRID_PARTITIONS_RAISED"):
                assert default == str(field.default)


def test_one_anchor_serves_the_five() -> None:
    assert COMPOSE_TEXT.count("&service") == 1
    assert COMPOSE_TEXT.count("<<: *service\n") == len(SERVICES)


def test_the_services_understand_what_they_are_told() -> None:
    known = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        assert not isinstance(alias, AliasChoices)
        known.add(str(alias or name.upper()))
    assert set(COMPOSE["services"]["intake"]["environment"]) <= known


def test_a_service_in_a_container_listens_to_all_so_its_keys_must_be_given() -> None:
    environment = COMPOSE["x-service"]["environment"]
    assert environment["HOST"] == "0.0.0.0"
    assert environment["CASEGRID_PSEUDONYM_KEY_FILE"] == "/run/secrets/pseudonym-key"
    with pytest.raises(SystemExit, match="CASEGRID_JWKS is not set"):
        Settings.model_validate({"host": environment["HOST"]}).refuse_if_unsafe()
    [_, default] = environment["CASEGRID_JWKS"].strip("${}").split(":-")
    own = {"CASEGRID_JWKS": default, "CASEGRID_PSEUDONYM_KEY": "x" * 43}
    Settings.model_validate({"host": environment["HOST"], **own}).refuse_if_unsafe()


def test_only_the_set_up_gets_the_private_key_of_tokens_and_its_public_half_lies_where_the_services_look() -> None:
    mounted = {"source": "token-key", "target": COMPOSE["services"]["setup"]["environment"]["CASEGRID_TOKEN_KEY_FILE"]}
    for name, service in COMPOSE["services"].items():
        assert (mounted in service.get("secrets", [])) == (name == "setup")
    environment = COMPOSE["x-service"]["environment"]
    assert environment["CASEGRID_ISSUER"] == f"${{CASEGRID_ISSUER:-{ISSUER}}}"
    assert environment["CASEGRID_AUDIENCE"] == f"${{CASEGRID_AUDIENCE:-{AUDIENCE}}}"
    assert environment["CASEGRID_JWKS"] == "${CASEGRID_JWKS:-/district/keys.json}"
    assert environment["CASEGRID_DISTRICT"] == "/district/full"


def test_an_installation_that_had_one_key_for_both_finds_its_private_persons_again(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CASEGRID_JWT_KEY=the-key-of-before\n")
    main(tmp_path)
    assert (tmp_path / ".secrets/pseudonym-key").read_text() == "the-key-of-before"


def test_a_token_of_the_containers_is_signed_by_the_key_of_the_secrets(tmp_path: Path) -> None:
    main(tmp_path)
    file = tmp_path / ".secrets" / "token-key"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.stack", "token", "--role", "dispatcher"],
        cwd=ROOT,
        env={**os.environ, "CASEGRID_TOKEN_KEY_FILE": str(file), "CASEGRID_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    [public] = json.loads(key_set(file.read_text()))["keys"]
    claims = jwt.decode(done.stdout.strip(), jwt.PyJWK.from_dict(public), ["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
    assert claims["roles"] == ["dispatcher"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_secret_is_a_file_and_stands_in_no_variable_and_on_no_command_line(name: str) -> None:
    """Whoever may run `docker inspect` or reads a process' environment learns none."""
    service = COMPOSE["services"][name]
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|KEY|SECRET|TOKEN", variable):
            assert str(value).startswith(
                ("/run/secrets/", "/run/kafka-passwords", "/run/database-passwords", "/run/token-key")
            ), variable
        assert not re.search(r"://[^/]*:[^/]*@", str(value)), variable
        assert not re.search('password="(?!\\$\\$\\{directory:)', str(value)), variable
    assert "password" not in str(service.get("command", "")).lower()
    assert re.findall(r"\$\{\w+:\?", COMPOSE_TEXT) == [], "nothing of it comes from .env"


def test_no_secret_goes_into_an_image() -> None:
    assert not re.search("PASSWORD|SECRET|_KEY", DOCKERFILE.upper())
    assert set(copied("setup")) | set(copied("service")) <= {
        *("contracts/", "chassis/", "deploy/", "services/", "services/__init__.py", "services/${SERVICE}/")
    }


def test_setup_runs_once_after_the_servers_and_before_the_services() -> None:
    setup = COMPOSE["services"]["setup"]
    assert setup["build"]["target"] == "setup"
    assert setup["depends_on"] == {name: {"condition": "service_healthy"} for name in ("kafka", "postgres")}
    assert stages()["setup"][-1] == 'CMD ["python", "-m", "deploy.stack", "setup"]'
    for name in ("CASEGRID_DISTRICT", "CASEGRID_PARTNERS"):
        assert setup["environment"][name] == COMPOSE["x-service"]["environment"][name]
        assert setup["environment"][name].startswith("/district/")
    assert "district:/district" in setup["volumes"]
    assert COMPOSE["x-service"]["volumes"] == ["district:/district:ro"]


def test_partners_are_registered_by_a_command_in_the_setup_image() -> None:
    """What the file says to type is a command of that image: it has no entry point that would take it for options."""
    assert not [line for line in stages()["setup"] if line.startswith("ENTRYPOINT")]
    assert {"deploy/", "contracts/", "chassis/", "services/"} <= set(copied("setup"))
    said = re.findall(
        r"^#   docker compose run --rm setup python -m deploy\.partners (.*?)(?:  .*)?$", COMPOSE_TEXT, re.M
    )
    assert [command.split()[0] for command in said] == ["add", "list"]
    options = partners_parser().parse_args(said[0].split())
    assert (options.id, options.units, options.says) == ("water", "dept:water", "reports,steps")


def test_data_lies_in_named_volumes() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", ())]
    used = {mount.partition(":")[0] for mount in mounts if not mount.startswith("./")}
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))
    assert used == set(COMPOSE["volumes"]) == {"kafka", "postgres", "district"}


def test_the_broker_makes_no_topic_by_itself_and_keeps_what_it_has() -> None:
    environment = COMPOSE["services"]["kafka"]["environment"]
    embedded = dict(
        line.split("=", 1)
        for line in (ROOT / "deploy/kafka/server.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    for name in ("auto.create.topics.enable", "log.retention.ms", "log.retention.bytes", "offsets.retention.minutes"):
        assert environment[f"KAFKA_{name.upper().replace('.', '_')}"] == embedded[name]
    listeners = dict(each.split("://") for each in environment["KAFKA_LISTENERS"].split(","))
    advertised = dict(each.split("://") for each in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert listeners["CONTROLLER"].startswith("127.0.0.1:")
    assert advertised["BROKER"] == COMPOSE["x-service"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert advertised["OUTSIDE"] == "127.0.0.1:${KAFKA_PORT:-19092}"


def as_properties(environment: dict[str, Any]) -> dict[str, str]:
    """What Kafka's image makes of its variables, and compose of a doubled dollar."""
    marks = {"___": "-", "__": "_", "_": "."}
    return {
        re.sub("_+", lambda found: marks[found[0]], name.removeprefix("KAFKA_")).lower(): str(value).replace("$$", "$")
        for name, value in environment.items()
    }


def test_the_broker_has_the_users_and_denies_what_the_embedded_one_does() -> None:
    found = as_properties(COMPOSE["services"]["kafka"]["environment"])
    for name, value in security(Path("/run/kafka-passwords")).items():
        if name != "listener.security.protocol.map":
            assert found[name] == value, name
    protocols = dict(each.split(":") for each in found["listener.security.protocol.map"].split(","))
    assert protocols == dict.fromkeys(("BROKER", "OUTSIDE", "CONTROLLER"), "SASL_PLAINTEXT")
    assert found["listener.name.outside.sasl.enabled.mechanisms"] == "SCRAM-SHA-256", "the administrator stays inside"
    assert COMPOSE["x-service"]["environment"]["KAFKA_SECURITY_PROTOCOL"] == "SASL_PLAINTEXT"


def test_the_administrators_passwords_are_mounted_where_the_servers_and_the_set_up_look_for_them() -> None:
    mounted = {"source": "kafka-admin", "target": "/run/kafka-passwords/admin"}
    assert COMPOSE["services"]["kafka"]["secrets"] == [mounted]
    postgres = COMPOSE["services"]["postgres"]
    assert postgres["secrets"] == [{"source": "database-admin", "target": "database"}]
    assert postgres["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database"
    setup = COMPOSE["services"]["setup"]
    assert setup["secrets"] == [
        {"source": f"{kind}-{name}", "target": f"/run/{kind}-passwords/{name}"}
        for kind in ("database", "kafka")
        for name in ("admin", *SERVICES)
    ] + [{"source": "token-key", "target": "/run/token-key"}]
    assert setup["environment"]["DATABASE_PASSWORD_FILE"] == "/run/database-passwords/admin"
    assert setup["environment"]["DATABASE_PASSWORDS"] == "/run/database-passwords"
    broker = broker_of({name: str(value) for name, value in setup["environment"].items()})
    assert broker is not None
    assert (broker.user, broker.mechanism, broker.password) == ("admin", "PLAIN", Path(mounted["target"]))


def test_kafkas_own_tools_are_told_the_administrator() -> None:
    said, embedded = (
        [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
        for file in ("deploy/compose/admin.properties", "deploy/kafka/admin.properties")
    )
    assert said == [line.replace("{secrets}", "/run/kafka-passwords") for line in embedded]
    mounted = "./deploy/compose/admin.properties:/etc/casegrid/admin.properties:ro"
    assert mounted in COMPOSE["services"]["kafka"]["volumes"]


def test_a_services_image_holds_only_its_own_code() -> None:
    assert copied("service") == ["contracts/", "chassis/", "services/__init__.py", "services/${SERVICE}/"]
    assert not [line for line in stages()["service"] if line.startswith("ADD")]


@pytest.mark.parametrize("stage", ["service", "setup"])
def test_nothing_runs_as_root(stage: str) -> None:
    users = [line for line in stages()[stage] if line.startswith("USER ")]
    assert users[-1] == "USER 10001:10001"
    last_copy = max(index for index, line in enumerate(stages()[stage]) if line.startswith(("COPY", "RUN")))
    assert stages()[stage].index(users[-1]) > last_copy


def test_a_service_gets_the_signal_to_stop_itself() -> None:
    assert stages()["service"][-1] == 'CMD ["sh", "-c", "exec python -m services.${SERVICE}"]'


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_copied_is_what_a_service_is_made_of(service: str) -> None:
    assert len(source_digest(service)) == 16
    for path in copied("service"):
        assert (ROOT / path.replace("${SERVICE}", service)).exists()


def test_the_lock_pins_every_dependency_that_the_image_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = (*project["project"]["dependencies"], *project["dependency-groups"]["stack"])
    names = {re.split(r"[\[<>=;~! ]", each, maxsplit=1)[0].lower() for each in wanted}
    locked = {
        match[1].lower().replace("_", "-")
        for match in re.finditer(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    }
    assert names - locked == set()


def test_a_service_gets_no_package_of_a_group_and_the_setup_gets_those_of_the_stack() -> None:
    """`--group` names what is installed beyond the run-time dependencies."""
    assert not [line for line in stages()["dependencies"] if "--group" in line]
    assert "COPY --from=setup-dependencies /opt/casegrid /opt/casegrid" in stages()["setup"]
    assert [re.findall(r"--group (\w+)", line) for line in stages()["setup-dependencies"] if "--group" in line] == [
        ["stack"]
    ]
    assert not [line for line in stages()["service"] if "setup-dependencies" in line]


def test_nothing_goes_to_the_engine_but_what_is_copied() -> None:
    lines = (ROOT / "deploy/Dockerfile.dockerignore").read_text().split("\n")
    assert lines[1] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert sent == {"pyproject.toml", "requirements.lock", "contracts", "chassis", "services", "deploy"}
    assert "**/.env*" in lines


def test_every_secret_gets_a_value_of_its_own_that_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passwords = {f"{kind}-{name}" for kind in ("database", "kafka") for name in ("admin", *SERVICES)}
    wanted = passwords | {"pseudonym-key", "token-key"}
    assert files(COMPOSE_TEXT) == sorted(f".secrets/{name}" for name in wanted)
    assert set(COMPOSE["secrets"]) == wanted
    main(tmp_path)
    first = [(tmp_path / name).read_text() for name in files(COMPOSE_TEXT)]
    assert len({*first}) == len(first)
    assert all(re.fullmatch(r"[\w-]{43}", secret) for secret in first), "a line's end would be a part of it"
    (tmp_path / ".secrets/database-audit").unlink()
    main(tmp_path)
    again = [(tmp_path / name).read_text() for name in files(COMPOSE_TEXT)]
    assert [one == other for one, other in zip(first, again, strict=True)].count(False) == 1
    main(tmp_path)
    assert "complete" in capsys.readouterr().out
    main(tmp_path, renew_broker=True)
    renewed = {
        name for name, before in zip(files(COMPOSE_TEXT), again, strict=True) if (tmp_path / name).read_text() != before
    }
    assert renewed == {f".secrets/kafka-{name}" for name in ("admin", *SERVICES)}


def test_what_an_older_installation_has_in_its_variables_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The database has been made with that password."""
    (tmp_path / ".env").write_text("# mine\nPOSTGRES_PASSWORD=chosen\nAUDIT_PASSWORD=audits\nKAFKA_PORT=19093\n")
    main(tmp_path)
    assert (tmp_path / ".secrets/database-admin").read_text() == "chosen"
    assert (tmp_path / ".secrets/database-audit").read_text() == "audits"
    assert (tmp_path / ".secrets/database-intake").read_text() not in ("chosen", "audits", "")
    assert "AUDIT_PASSWORD, POSTGRES_PASSWORD are in .secrets now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("export AUDIT_PASSWORD=chosen", "chosen"),
        ("  AUDIT_PASSWORD = chosen   # of audit", "chosen"),
        ("AUDIT_PASSWORD='cho#s $en' # of audit", "cho#s $en"),
        ('AUDIT_PASSWORD="cho\\"s#en"', 'cho"s#en'),
        ("AUDIT_PASSWORD=cho#sen=$", "cho#sen=$"),
        ("AUDIT_PASSWORD: chosen", "chosen"),
        ("\ufeffAUDIT_PASSWORD=chosen", "chosen"),
        ("#AUDIT_PASSWORD=old\nAUDIT_PASSWORD=older\nAUDIT_PASSWORD=chosen", "chosen"),
    ],
)
def test_variables_of_before_are_read_as_docker_compose_reads_them(tmp_path: Path, line: str, value: str) -> None:
    (tmp_path / ".env").write_text(f"{line}\nOTHER='unfinished\n")
    main(tmp_path)
    assert (tmp_path / ".secrets/database-audit").read_text() == value


@pytest.mark.parametrize("value", ["a${B}", "$B", '"a$B"', "'unfinished", '"a" b', "#a"])
def test_a_variable_of_before_that_is_not_plain_is_named_and_nothing_is_made(tmp_path: Path, value: str) -> None:
    (tmp_path / ".env").write_text(f"POSTGRES_PASSWORD={value}\n")
    with pytest.raises(SystemExit, match="POSTGRES_PASSWORD is not plain: put the value itself in single quotes"):
        main(tmp_path)
    assert not (tmp_path / ".secrets").exists()


@pytest.mark.parametrize("name", ["pseudonym-key", "database-admin"])
@pytest.mark.parametrize("renew_broker", [False, True])
def test_a_lost_secret_that_no_other_can_stand_in_for_is_not_made_up(
    tmp_path: Path, name: str, renew_broker: bool
) -> None:
    main(tmp_path)
    lost = tmp_path / ".secrets" / name
    before = lost.read_text()
    lost.unlink()
    left = {path: path.read_text() for path in lost.parent.iterdir()}
    with pytest.raises(SystemExit, match=f"{lost} is lost, and .*: put it back from a backup; nothing was changed"):
        main(tmp_path, renew_broker=renew_broker)
    assert {path: path.read_text() for path in lost.parent.iterdir()} == left
    variable = {"pseudonym-key": "CASEGRID_JWT_KEY", "database-admin": "POSTGRES_PASSWORD"}[name]
    (tmp_path / ".env").write_text(f"{variable}={before}\n")
    main(tmp_path)
    assert lost.read_text() == before


def test_only_its_owner_may_read_the_secrets(tmp_path: Path) -> None:
    main(tmp_path)
    assert (tmp_path / ".secrets").stat().st_mode & 0o077 == 0


def test_a_check_is_run_again_when_its_files_change() -> None:
    """The files that a check's outcome depends on are among its inputs."""
    inputs = {check.name: set(check.inputs) for check in checks()}
    assert "contracts/asyncapi.yaml" in inputs["asyncapi"]
    assert {"docker-compose.yml", "deploy/compose/dclint.yaml"} <= inputs["dclint"]
    assert "deploy/Dockerfile" in inputs["hadolint"]
    assert {"docker-compose.yml", "contracts/asyncapi.yaml"} <= inputs["yamllint"]
    assert len({check.digest() for check in checks()}) == len(inputs)
