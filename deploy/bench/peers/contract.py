"""What both peers share: the environment that they are given, the message that they take, the one that they publish.

Runs in the peers' own environment.
"""

# pyright: reportMissingImports=false

import logging
import os
import ssl
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import BaseModel

CONTENT_TYPE = "application/cloudevents+json"
GROUP = os.environ["PEER_GROUP"]
FROM = os.environ["PEER_FROM"]
TO = os.environ["PEER_TO"]
DATABASE_URL = os.environ["DATABASE_URL"]
SESSION_MS = int(os.environ["PEER_SESSION_SECONDS"]) * 1_000
HEARTBEAT_MS = SESSION_MS // 4
"""As often as our consumer beats."""
WORKERS = int(os.environ["PEER_WORKERS"])
"""The number of partitions: each has a worker of its own, so that one does not wait for another."""
LOG = logging.getLogger("peer")
LOG.setLevel(logging.WARNING)
_SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


class Report(BaseModel):
    """The part of a fact in the envelope that is needed here."""

    id: uuid.UUID
    subject: str
    data: dict[str, Any]


class Note(BaseModel):
    """What is published of each report."""

    id: uuid.UUID
    source: str = "/services/bench"
    type: str = "bench.Note.v1"
    subject: str
    time: datetime
    causationid: uuid.UUID
    note: str


def note(report: Report) -> bytes:
    """The message that follows from a report, as JSON."""
    said = Note(
        id=uuid.uuid4(),
        subject=report.subject,
        time=datetime.now(UTC),
        causationid=report.id,
        note=report.data["title"],
    )
    return said.model_dump_json().encode()


def kafka() -> KafkaBroker:
    """The broker, with the producer's settings that ours has: idempotent, acknowledged by all replicas.

    FastStream would log two lines per message on the level INFO.
    """
    return KafkaBroker(
        os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        security=_security(),
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        logger=LOG,
    )


def _security() -> BaseSecurity | None:
    protocol = os.environ["KAFKA_SECURITY_PROTOCOL"]
    trust = None
    if protocol.endswith("SSL"):
        trust = ssl.create_default_context(cafile=os.environ.get("KAFKA_SSL_CA_FILE"))
    if not protocol.startswith("SASL_"):
        return BaseSecurity(ssl_context=trust) if trust else None
    password = Path(os.environ["KAFKA_SASL_PASSWORD_FILE"]).read_text().strip()
    return _SASL[os.environ["KAFKA_SASL_MECHANISM"]](os.environ["KAFKA_SASL_USERNAME"], password, ssl_context=trust)
