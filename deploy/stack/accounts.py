"""Users, access rules and limits on the broker: made, changed and removed by its administrator.

By confluent-kafka, because aiokafka's administrator has no users. Where the administrator connects without a user, the
broker knows none, and nothing is made.
"""

# pyright: reportPrivateImportUsage=false

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from chassis.kafka.connection import Connection
from deploy.stack import limits
from deploy.stack.access import Rule, access, belongs, of_partner, partner_user, service_user
from deploy.stack.connections import as_user
from deploy.stack.problem import Problem

_SECONDS = 20
_SILENT = logging.getLogger(f"{__name__}.client")
_SILENT.addHandler(logging.NullHandler())  # what the client logs is said again by the faults it raises
_SILENT.propagate = False
_ITERATIONS = 4096
_USER = "User:"
_MECHANISMS = {"SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256, "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512}


async def settle(broker: Connection, prefix: str, partners: Iterable[str], passwords: Mapping[str, str]) -> list[str]:
    """Gives the services their users and passwords, everybody the rules of `access`, and partners and topics the limits
    of `limits`; removes whatever else services and partners have. `partners` are those registered, `passwords` by
    service.

    Gives the partners that have no user yet: only `renew` gives them one, for their passwords are kept nowhere. Users
    and rules of others are left alone. Raises `Problem`.
    """
    if not broker.names_user:
        return []
    registered = tuple(partners)
    without = await asyncio.to_thread(_Administrator(broker).settle, prefix, registered, passwords)
    await limits.settle(broker, prefix, registered)
    users = (as_user(broker, service_user(name, prefix), password) for name, password in passwords.items())
    await asyncio.gather(*(_known(user) for user in users))
    return without


async def renew(broker: Connection, prefix: str, partner: str, *, in_any_case: bool = True) -> str | None:
    """Gives a partner its rules and limits, a user where it has none, and a new password, which is returned and kept
    nowhere.

    Unless `in_any_case`, a user that is there keeps its password, and None is returned. Raises `Problem`.
    """
    if not broker.names_user:
        return None
    password = await asyncio.to_thread(_Administrator(broker).renew, prefix, partner, in_any_case)
    await limits.put(broker, partner_user(partner, prefix), limits.OF_A_PARTNER)
    if password is not None:
        await _known(as_user(broker, partner_user(partner, prefix), password))
    return password


async def remove(broker: Connection, prefix: str, partner: str) -> None:
    """Takes user, rules and quotas from a partner: connections that are open are denied everything from then on.

    Raises `Problem`.
    """
    if broker.names_user:
        user = partner_user(partner, prefix)
        await asyncio.to_thread(_Administrator(broker).remove, user)
        await limits.put(broker, user, {})


async def _known(user: Connection) -> None:
    """Waits until the broker takes the password: the controller answers a moment before the broker has heard of it."""
    deadline = time.monotonic() + _SECONDS
    while words := await user.refusal():
        if time.monotonic() > deadline:
            raise Problem(f"{words}, which was given just now")


class _Administrator:
    """Blocks. Raises `Problem`."""

    def __init__(self, broker: Connection) -> None:
        options: dict[str, Any] = {
            "bootstrap.servers": broker.servers,
            "security.protocol": broker.protocol,
            "sasl.mechanism": broker.mechanism,
            "sasl.username": broker.user,
            "sasl.password": broker.secret(),
            **({"ssl.ca.location": str(broker.ca_file)} if broker.encrypts and broker.ca_file else {}),
        }
        self._admin = AdminClient(options, logger=_SILENT)
        self._mechanism = _MECHANISMS.get(broker.mechanism, ScramMechanism.SCRAM_SHA_256)

    def settle(self, prefix: str, partners: tuple[str, ...], passwords: Mapping[str, str]) -> list[str]:
        there = self._users()
        wanted = {partner_user(partner, prefix): partner for partner in partners}
        own = {service_user(name, prefix): password for name, password in passwords.items()}
        self._give(own)
        self._forget(user for user in there if belongs(user, prefix) and user not in {**own, **wanted})
        rules, allowed = access(partners, prefix), self._rules()
        self._allow(rules - allowed)
        self._deny(rule for rule in allowed - rules if belongs(rule.user, prefix))
        self._bound(limits.sizes(partners, prefix))
        return [partner for user, partner in wanted.items() if user not in there]

    def renew(self, prefix: str, partner: str, in_any_case: bool) -> str | None:
        user = partner_user(partner, prefix)
        self._allow(of_partner(partner, prefix) - self._rules())
        self._bound(limits.sizes((partner,), prefix))
        if not in_any_case and user in self._users():
            return None
        password = secrets.token_urlsafe(24)
        self._give({user: password})
        return password

    def remove(self, user: str) -> None:
        self._deny(rule for rule in self._rules() if rule.user == user)
        self._forget({user} & self._users())

    def _users(self) -> set[str]:
        described: Any = self._admin.describe_user_scram_credentials(request_timeout=_SECONDS)
        return set(_result(described))

    def _give(self, passwords: Mapping[str, str]) -> None:
        kept = ScramCredentialInfo(self._mechanism, _ITERATIONS)
        self._alter([UserScramCredentialUpsertion(user, kept, word.encode()) for user, word in passwords.items()])

    def _forget(self, users: Iterable[str]) -> None:
        self._alter([UserScramCredentialDeletion(user, self._mechanism) for user in users])

    def _alter(self, changes: list[Any]) -> None:
        if changes:
            for done in self._admin.alter_user_scram_credentials(changes, request_timeout=_SECONDS).values():
                _result(done)

    def _rules(self) -> set[Rule]:
        of: Any = AclBindingFilter
        anything = of(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        found = _result(self._admin.describe_acls(anything, request_timeout=_SECONDS))
        return {_rule(one) for one in found if one.principal.startswith(_USER)}

    def _allow(self, rules: Iterable[Rule]) -> None:
        if bindings := [_binding(rule) for rule in rules]:
            for done in self._admin.create_acls(bindings, request_timeout=_SECONDS).values():
                _result(done)

    def _deny(self, rules: Iterable[Rule]) -> None:
        if bindings := [_binding(rule, AclBindingFilter) for rule in rules]:
            for done in self._admin.delete_acls(bindings, request_timeout=_SECONDS).values():
                _result(done)

    def _bound(self, sizes: Mapping[str, int]) -> None:
        """Sets how large a batch these topics take, where they are there and take another size."""
        there = self._admin.list_topics(timeout=_SECONDS).topics
        resources = [_size(topic, size) for topic, size in sizes.items() if topic in there]
        if not resources:
            return
        found = self._admin.describe_configs(resources, request_timeout=_SECONDS)
        has = {one.name: int(_result(future)[limits.SIZE].value) for one, future in found.items()}
        if wrong := [one for one in resources if has[one.name] != sizes[one.name]]:
            for done in self._admin.incremental_alter_configs(wrong, request_timeout=_SECONDS).values():
                _result(done)


def _size(topic: str, size: int) -> ConfigResource:
    entry = ConfigEntry(limits.SIZE, str(size), incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])


def _binding(rule: Rule, of: Any = AclBinding) -> Any:
    pattern = ResourcePatternType.PREFIXED if rule.begins else ResourcePatternType.LITERAL
    operation = AclOperation[rule.operation]
    return of(ResourceType[rule.kind], rule.name, pattern, _USER + rule.user, "*", operation, AclPermissionType.ALLOW)


def _rule(binding: Any) -> Rule:
    user = binding.principal.removeprefix(_USER)
    begins = binding.resource_pattern_type == ResourcePatternType.PREFIXED
    return Rule(user, binding.operation.name, binding.restype.name, binding.name, begins)


def _result(future: Any) -> Any:
    try:
        return future.result(timeout=_SECONDS + 5)
    except KafkaException as fault:
        error: KafkaError = fault.args[0]
        # In a broker's own words there may be a whole request.
        words = error.name() if error.code() > 0 else error.str()
        raise Problem(f"the broker does not do as its administrator says: {words}") from fault
    except TimeoutError:
        raise Problem("the broker does not answer its administrator in time") from None
