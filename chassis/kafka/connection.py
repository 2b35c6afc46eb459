"""How a client reaches the broker, who it says it is, and how long it waits for an answer."""

import asyncio
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest

from chassis.kafka.completion import to_completion
from chassis.retry import NotNow, in_short
from chassis.settings import SaslMechanism, SecurityProtocol, Settings

T = TypeVar("T")

ANSWER_MS = 10_000
"""How long a reader waits for an answer, or for a connection: one that fell silent is closed then, and made anew. A
broker holds a fetch back for two seconds at most, so every connection in use is noticed by the request under way.
"""
_FORMED_SECONDS = 40.0
"""The same, of requests that the broker answers when all members of a group have come, one from its batch."""
_ASKED_AGAIN_MS = 5_000
_DENIED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


@dataclass(frozen=True, slots=True)
class Connection:
    """What every client of the broker needs. Without more than `servers` the connection is open and without a user."""

    servers: str
    """As host:port, separated by commas."""
    protocol: SecurityProtocol = "PLAINTEXT"
    mechanism: SaslMechanism = "SCRAM-SHA-256"
    user: str = ""
    password: str | Path = field(default="", repr=False)
    """A file is read anew for every client, so that a new password needs no restart."""
    ca_file: Path | None = None
    """Of the authorities that may have signed the broker's certificate; by default the machine's own."""

    @classmethod
    def of(cls, settings: Settings) -> "Connection":
        """As the settings of a service say."""
        return cls(
            settings.kafka_bootstrap_servers,
            settings.kafka_security_protocol,
            settings.kafka_sasl_mechanism,
            settings.kafka_sasl_username,
            settings.kafka_sasl_password_file or "",
            settings.kafka_ssl_ca_file,
        )

    @property
    def names_user(self) -> bool:
        """Whether the broker is told a user and a password."""
        return self.protocol.startswith("SASL_")

    @property
    def encrypts(self) -> bool:
        """Whether the connection is under TLS."""
        return self.protocol.endswith("SSL")

    def secret(self) -> str:
        """The password. Raises `NotNow` where its file cannot be read."""
        if isinstance(self.password, str):
            return self.password
        try:
            return self.password.read_text().strip()
        except OSError as fault:
            raise NotNow(f"KAFKA_SASL_PASSWORD_FILE can't be read: {fault.strerror}") from fault

    def options(self) -> dict[str, Any]:
        """Arguments of every client of aiokafka. Raises `NotNow` where a file cannot be read."""
        return {"bootstrap_servers": self.servers, **self._security()}

    def _security(self) -> dict[str, Any]:
        found: dict[str, Any] = {"security_protocol": self.protocol}
        if self.names_user:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.secret(),
            }
        if self.encrypts:
            found["ssl_context"] = self._trust()
        return found

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as fault:
            raise NotNow(f"KAFKA_SSL_CA_FILE can't be used: {fault.strerror or fault}") from fault

    async def reach(self, start: Coroutine[Any, Any, T]) -> T:
        """Awaits the start of a client to its end. Raises `NotNow` in words where the broker turns this user away.

        aiokafka only says then that it found no broker.
        """
        try:
            return await to_completion(start)
        except KafkaError as fault:
            if words := await self.refusal():
                raise NotNow(words) from fault
            raise

    async def refusal(self) -> str | None:
        """Why the broker turns this user away, asked of the broker; None where it doesn't, or where it is not there."""
        for server in self.servers.split(","):
            host, _, port = server.rpartition(":")
            try:
                known = await create_conn(
                    host.strip("[]"), int(port), request_timeout_ms=_ASKED_AGAIN_MS, **self._security()
                )
                try:
                    await known.send(MetadataRequest([]))  # the first that an unknown client may not send
                finally:
                    known.close()
                return None
            except UnsupportedSaslMechanismError:
                return f"the broker does not take {self.mechanism}: KAFKA_SASL_MECHANISM"
            except (SaslAuthenticationFailed, AuthenticationFailedError):
                return f"the broker knows no user {self.user} with this password"
            except ssl.SSLCertVerificationError:
                return "the broker's certificate is not trusted: KAFKA_SSL_CA_FILE, or the name in the certificate"
            except KafkaConnectionError:
                if not self.names_user:
                    return "the broker hangs up on a client without a user: KAFKA_SECURITY_PROTOCOL"
            except (OSError, TimeoutError, KafkaError):
                continue
        return None


def answer_in_time(client: AIOKafkaClient) -> None:
    """Makes the client of a group's member, with `ANSWER_MS` as its time-out, wait longer for the group alone."""
    send = client.send

    async def sent(node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if group == ConnectionGroup.DEFAULT or not await client.ready(node_id, group=group):
            return await send(node_id, request, group=group)
        connection = client._conns[node_id, group]
        connection._request_timeout = _FORMED_SECONDS
        forms = isinstance(request, JoinGroupRequest | SyncGroupRequest)
        try:
            async with asyncio.timeout(None if forms else ANSWER_MS / 1000):
                return await send(node_id, request, group=group)
        except TimeoutError as silence:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError from silence

    client.send = sent


def why(error: Exception) -> str:
    """An error of a client for whoever asks over HTTP."""
    if isinstance(error, _DENIED):
        return f"{type(error).__name__}: the broker denies this user what it asked for; the log names it"
    return in_short(error)
