"""The one-shot step of the containers, against the real servers."""

from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.kafka.connection import Connection
from deploy.partners.entries import Wanted, with_entry
from deploy.partners.file import change
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.plan import SERVICES
from deploy.stack.postgres import Postgres
from deploy.stack.problem import Problem
from deploy.stack.provision import with_database
from deploy.stack.setup import setup
from tests.support.infrastructure import PASSWORD, service_connections


def database_passwords(folder: Path, server: Postgres) -> dict[str, str]:
    """The variables that say how to reach the database: the administrator's and the roles' passwords in files."""
    parts = urlsplit(server.url)
    (folder / "passwords").mkdir()
    for name in SERVICES:
        (folder / "passwords" / name).write_text(f"{PASSWORD}\n")
    (folder / "admin").write_text(parts.password or "")
    return {
        "DATABASE_URL": with_database(server.url, "postgres", ("postgres", None)),
        "DATABASE_PASSWORD_FILE": str(folder / "admin"),
        "DATABASE_PASSWORDS": str(folder / "passwords"),
    }


async def test_it_makes_what_is_missing_and_is_safe_to_run_again(
    kafka: str, own_postgres: Postgres, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CASEGRID_TOPIC_PREFIX": topic_prefix,
        "CASEGRID_PARTITIONS": "2",
        "CASEGRID_DISTRICT": str(tmp_path / "district"),
        "CASEGRID_PARTNERS": str(tmp_path / "own.json"),
        "DISTRICT_SCALE": "tiny",
        **database_passwords(tmp_path, own_postgres),
    }
    change(tmp_path / "own.json", lambda none: with_entry(none, Wanted("hotline", says=("reports",)), (), None))
    registered = (tmp_path / "own.json").read_bytes()
    try:
        await setup(environment)
        assert await topics.partitions(Connection(kafka), f"{topic_prefix}from.hotline") == 2
        assert await topics.partitions(Connection(kafka), f"{topic_prefix}to.hotline") == 2
        assert (tmp_path / "district" / "manifest.json").exists()
        own = await asyncpg.connect(with_database(own_postgres.url, "casegrid", ("audit", PASSWORD)))
        assert await own.fetchval("SELECT count(*) FROM audit.log") == 0
        await own.close()
        await setup(environment)
        assert "none, all are there" in capsys.readouterr().out
        assert (tmp_path / "own.json").read_bytes() == registered
    finally:
        await topics.delete(Connection(kafka), topics.of_installation(["hotline"], topic_prefix))


async def test_it_gives_the_services_their_users_where_the_broker_has_any(
    own_guarded_kafka: Kafka, own_postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own_guarded_kafka.broker.passwords
    assert folder is not None
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": own_guarded_kafka.bootstrap,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "admin",
        "KAFKA_SASL_PASSWORD_FILE": str(folder / "admin"),
        "KAFKA_PASSWORDS": str(folder),
        "CASEGRID_PARTITIONS": "1",
        "CASEGRID_DISTRICT": str(tmp_path / "district"),
        "CASEGRID_PARTNERS": str(tmp_path / "own.json"),
        "DISTRICT_SCALE": "tiny",
        **database_passwords(tmp_path, own_postgres),
    }
    change(tmp_path / "own.json", lambda none: with_entry(none, Wanted("hotline", says=("reports",)), (), None))
    with pytest.raises(Problem, match=r"KAFKA_PASSWORDS: .*/nowhere/intake can't be read: No such file"):
        await setup({**environment, "KAFKA_PASSWORDS": str(tmp_path / "nowhere")})
    with pytest.raises(Problem, match=r"KAFKA_SASL_USERNAME is '': .*KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT needs it"):
        await setup({**environment, "KAFKA_SASL_USERNAME": ""})
    await setup(environment)
    assert "the partner hotline has no user on this broker" in capsys.readouterr().out
    for service in service_connections(own_guarded_kafka).values():
        assert await service.refusal() is None


async def test_a_missing_variable_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="DATABASE_URL must be set"):
        await setup({})
    given = {"DATABASE_URL": "postgresql://postgres@127.0.0.1:1/x", "DATABASE_PASSWORD_FILE": str(tmp_path / "none")}
    with pytest.raises(Problem, match=r"DATABASE_PASSWORD_FILE: .*/none can't be read: No such file"):
        await setup(given)
    (tmp_path / "none").write_text("secret")
    given |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CASEGRID_DISTRICT": str(tmp_path)}
    with pytest.raises(Problem, match="DATABASE_PASSWORDS must be set"):
        await setup(given)
    with pytest.raises(Problem, match=r"DATABASE_PASSWORDS: .*/intake can't be read: No such file"):
        await setup({**given, "DATABASE_PASSWORDS": str(tmp_path)})
