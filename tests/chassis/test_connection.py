"""How a client connects, as its settings say, and what an operator is told where the broker turns it away."""

import datetime
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from chassis.kafka.connection import Connection
from chassis.retry import NotNow
from chassis.settings import Settings
from deploy.stack import accounts, ports, topics
from deploy.stack.kafka import Kafka
from tests.support import tally
from tests.support.infrastructure import passwords, service_connections
from tests.support.services import eventually, running

DAY = datetime.timedelta(days=1)


def settings(**given: Any) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in given.items()})


def test_without_more_the_connection_is_open() -> None:
    assert Connection.of(settings(KAFKA_BOOTSTRAP_SERVERS="a:1,b:2")).options() == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "PLAINTEXT",
    }


def test_the_password_is_read_anew_for_every_client(tmp_path: Path) -> None:
    file = tmp_path / "password"
    connection = Connection.of(
        settings(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA_SASL_USERNAME="intake", KAFKA_SASL_PASSWORD_FILE=file)
    )
    with pytest.raises(NotNow, match="KAFKA_SASL_PASSWORD_FILE can't be read: No such file or directory"):
        connection.options()
    for password in ("first", "second"):
        file.write_text(f"{password}\n")
        said = connection.options()
        assert (said["sasl_mechanism"], said["sasl_plain_username"]) == ("SCRAM-SHA-256", "intake")
        assert said["sasl_plain_password"] == password
        assert password not in repr(connection)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL"}, "kafka_security_protocol"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "intake"}, "kafka_sasl_password_file"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD_FILE": "x"}, "kafka_sasl_username"),
        ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "kafka_sasl_mechanism"),
    ],
)
def test_what_makes_no_sense_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(**given)
    assert [error["loc"] for error in raised.value.errors()] == [(named,)]


async def test_a_service_with_a_wrong_password_says_so_and_goes_on_when_it_is_right(
    own_guarded_kafka: Kafka, tally_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = own_guarded_kafka.administrator
    await topics.create(broker, topics.of_installation(()), 1)
    own = passwords(own_guarded_kafka.data_dir.parent)
    await accounts.settle(broker, "", (), own)
    file = tmp_path / "password"
    file.write_text("guessed")
    words = "the broker knows no user triage with this password"
    more = {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_username": "triage",
        "kafka_sasl_password_file": file,
    }
    async with running(tally.TALLY, tally_database, kafka=own_guarded_kafka.bootstrap, **more) as service:

        async def told() -> bool:
            faults = await service.runtime.faults()
            return [faults.get(part) for part in ("broker", "consumer")] == [words] * 2

        await eventually(told, what="what is wrong")
        assert not [record for record in caplog.records if record.exc_info], "words, not a traceback"
        assert f"the store is not compared with the topics now: NotNow: {words}" in caplog.messages

        file.write_text(own["triage"])

        async def well() -> bool:
            faults = await service.runtime.faults()
            return "relay" not in faults and faults.get("consumer") == denied

        # Its group is called tally, and triage's user is in triage's alone.
        denied = "GroupAuthorizationFailedError: the broker denies this user what it asked for; the log names it"
        await eventually(well, what="the right password, and the rule that is left")
        assert any(
            "the consumer of tally starts again: GroupAuthorizationFailedError" in one for one in caplog.messages
        )


@pytest.fixture
async def under_tls(infrastructure_folder: Path, tmp_path: Path) -> AsyncIterator[tuple[Kafka, str, Path]]:
    """A broker with one more listener under TLS: it, that listener, and the authority that signed its certificate."""
    authority, chain = certificates(tmp_path)
    folder = infrastructure_folder / f"tls-{tmp_path.name}"
    more = {"listener.name.tls.sasl.enabled.mechanisms": "SCRAM-SHA-256"}
    own = passwords(folder)
    kafka = Kafka(folder, settings=more, passwords=folder / "kafka-passwords")
    port, broker = ports.free(), kafka.broker
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    address = f"TLS://127.0.0.1:{port},BROKER://127.0.0.1:{broker.port}"
    more |= {
        "listeners": f"{address},CONTROLLER://127.0.0.1:{broker.controller_port}",
        "advertised.listeners": address,
        "listener.security.protocol.map": "BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,TLS:SASL_SSL",
        "listener.name.tls.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": str(chain),
    }
    await kafka.start()
    await topics.create(kafka.administrator, topics.of_installation(()), 1)
    await accounts.settle(kafka.administrator, "", (), own)
    yield kafka, f"127.0.0.1:{port}", authority
    await kafka.kill()


async def test_under_tls_the_broker_is_known_by_its_authority(under_tls: tuple[Kafka, str, Path]) -> None:
    kafka, servers, authority = under_tls
    intake = service_connections(kafka)["intake"]
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "intake",
        "KAFKA_SASL_PASSWORD_FILE": intake.password,
    }
    known = Connection.of(settings(**given, KAFKA_SSL_CA_FILE=authority))
    producer = AIOKafkaProducer(**known.options())
    await known.reach(producer.start())
    assert (await producer.send_and_wait("ReportFiled", b"{}")).offset == 0
    await producer.stop()

    stranger = Connection.of(settings(**given))
    producer = AIOKafkaProducer(**stranger.options())
    with pytest.raises(NotNow, match="the broker's certificate is not trusted"):
        await stranger.reach(producer.start())
    await producer.stop()
    missing = Connection.of(settings(**given, KAFKA_SSL_CA_FILE="/nowhere"))
    with pytest.raises(NotNow, match="KAFKA_SSL_CA_FILE can't be used: No such file or directory"):
        missing.options()


def certificates(folder: Path) -> tuple[Path, Path]:
    """Paths of PEM files: a new authority's certificate; a key, and the certificate for 127.0.0.1 that it signed."""
    signer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test authority", "127.0.0.1")]
    now = datetime.datetime.now(datetime.UTC)

    def signed(name: x509.Name, public: Any, extension: Any, critical: bool) -> bytes:
        builder = x509.CertificateBuilder(names[0], name, public, x509.random_serial_number(), now - DAY, now + DAY)
        builder = builder.add_extension(extension, critical)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(authority, False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    authority, chain = folder / "authority.pem", folder / "broker.pem"
    authority.write_bytes(signed(names[0], signer.public_key(), x509.BasicConstraints(True, None), True))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + signed(names[1], key.public_key(), address, False))
    return authority, chain
