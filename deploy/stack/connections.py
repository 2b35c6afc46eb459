"""As whom the broker of a plan is reached: as its administrator, and as each service."""

from dataclasses import replace
from pathlib import Path

from chassis.kafka.connection import Connection
from deploy.stack import asked
from deploy.stack.access import service_user
from deploy.stack.kafka import administrator_of
from deploy.stack.plan import Plan
from deploy.stack.secrets import passwords_folder


def administrator(plan: Plan) -> Connection:
    """As the environment says for a broker of the user's; of ours by the password of its run folder.

    The stand-in broker knows no users.
    """
    if plan.kafka is not None:
        return plan.kafka
    if asked.broker(plan) == "fallback":
        return Connection(plan.bootstrap)
    return administrator_of(plan.bootstrap, passwords_folder(plan.run))


def of_service(plan: Plan, name: str) -> Connection:
    """As the administrator connects, but as the service's own user where there are users."""
    return as_user(administrator(plan), service_user(name, plan.topic_prefix), passwords_folder(plan.run) / name)


def as_user(broker: Connection, user: str, password: str | Path) -> Connection:
    """How a user reaches the broker whose administrator's connection is given: without user and password if that does,
    too.
    """
    if not broker.names_user:
        return broker
    mechanism = "SCRAM-SHA-256" if broker.mechanism == "PLAIN" else broker.mechanism
    return replace(broker, mechanism=mechanism, user=user, password=password)


def variables(broker: Connection) -> dict[str, str]:
    """The variables that tell a service of a connection whose password lies in a file."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.servers,
        "KAFKA_SECURITY_PROTOCOL": broker.protocol,
        "KAFKA_SASL_MECHANISM": broker.mechanism,
        **({"KAFKA_SASL_USERNAME": broker.user} if broker.names_user else {}),
        **({"KAFKA_SASL_PASSWORD_FILE": str(broker.password)} if broker.names_user else {}),
        **({"KAFKA_SSL_CA_FILE": str(broker.ca_file)} if broker.ca_file else {}),
    }
