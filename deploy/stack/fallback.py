"""A small stand-in broker for machines that get neither Java nor Kafka's jars: good for a demo, not for a guarantee.

It takes an idempotent producer, groups and transactions, but keeps a killed member in its group, and loses what was
written in the last 0.3 s before it is killed itself.
"""

from pathlib import Path

from deploy.stack import binaries
from deploy.stack.process import Specification

KIND = "CASEGRID_BROKER_KIND"
"""The variable by which a service knows what it is connected to; its /health shows it."""

WARNING = (
    "WARNING: this is not Apache Kafka but a stand-in (noida-db). Enough to look around; it may lose the last moments "
    "before a crash, it knows no users, so that whoever reaches its port may write and read everything, and nothing "
    "this system guarantees holds on it."
)


def specification(data: Path, port: int) -> Specification:
    """Raises `Problem` where the program can't be had."""
    program = binaries.fallback_broker()
    data.mkdir(parents=True, exist_ok=True)
    options = ("--only", "kafka", "--kafka-port", str(port), "--data-dir", str(data), "--host", "127.0.0.1")
    return Specification("kafka", (str(program), "start", *options), environment={KIND: "fallback"})
