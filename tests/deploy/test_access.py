"""The rules of access as data: who may do what follows from the homes of the topics and the registered partners."""

from itertools import product

import pytest

from contracts.homes import DECIDERS, HOMES, RECEIVES, SENDS, TELLERS, publisher_of
from contracts.status import SERVICES
from contracts.wire import TOPICS
from deploy.stack.access import Rule, access, belongs, partner_user, service_user

PARTNERS = ("water", "water-north", "audit", "admin")
"""One is called like the beginning of another, one like a service, one like the administrator."""
RULES = access(PARTNERS)
EVERYBODY = (*SERVICES, *(partner_user(partner) for partner in PARTNERS))


def may(user: str, operation: str, kind: str, name: str, rules: frozenset[Rule] = RULES) -> bool:
    """As Kafka applies the rules."""
    return any(
        (name.startswith(rule.name) if rule.begins else name == rule.name)
        for rule in rules
        if (rule.user, rule.operation, rule.kind) == (user, operation, kind)
    )


def who_may(operation: str, kind: str, name: str) -> set[str]:
    return {user for user in EVERYBODY if may(user, operation, kind, name)}


@pytest.mark.parametrize("topic", HOMES)
def test_a_fact_is_written_by_its_home_alone(topic: str) -> None:
    assert who_may("WRITE", "TOPIC", topic) == {publisher_of(HOMES[topic])}


def test_steps_are_written_by_the_services_that_decide_and_notices_by_those_that_tell() -> None:
    assert who_may("WRITE", "TOPIC", "Progressed") == {publisher_of(source) for source in DECIDERS}
    assert who_may("WRITE", "TOPIC", "to.water") == {publisher_of(source) for source in TELLERS}


@pytest.mark.parametrize("partner", PARTNERS)
def test_a_partners_topics_are_its_own_and_those_of_the_services_that_serve_it(partner: str) -> None:
    user = partner_user(partner)
    assert who_may("WRITE", "TOPIC", f"from.{partner}") == {user}
    assert who_may("READ", "TOPIC", f"from.{partner}") == {"intake", "dispatch", "audit"}
    assert who_may("READ", "TOPIC", f"to.{partner}") == {user, "audit", "intake", "dispatch"}
    assert [topic for topic in TOPICS if may(user, "READ", "TOPIC", topic)] == []
    assert [topic for topic in TOPICS if may(user, "WRITE", "TOPIC", topic)] == []


@pytest.mark.parametrize(("service", "topic"), [*product(SERVICES, TOPICS)])
def test_a_service_reads_what_it_is_declared_to_read_and_what_it_writes(service: str, topic: str) -> None:
    assert may(service, "READ", "TOPIC", topic) is (topic in RECEIVES[service] or topic in SENDS[service])


def test_a_group_is_its_owners_alone() -> None:
    for user in EVERYBODY:
        assert who_may("READ", "GROUP", user) == {user}
    assert who_may("READ", "GROUP", "partner.water.archive") == {"partner.water"}
    assert who_may("READ", "GROUP", "water") == set()


def test_nobody_gets_anything_but_topics_and_groups() -> None:
    assert {rule.kind for rule in RULES} == {"TOPIC", "GROUP"}
    assert {rule.operation for rule in RULES} == {"READ", "WRITE"}
    assert {rule.user for rule in RULES} == set(EVERYBODY)


def test_another_installation_on_the_same_broker_has_users_topics_and_groups_of_its_own() -> None:
    other = access(("water",), "t1-")
    assert all(rule.user.startswith("t1-") and rule.name.startswith("t1-") for rule in other)
    assert {belongs(rule.user, "t1-") for rule in other} == {True}
    assert {belongs(rule.user) for rule in other} == {False}


@pytest.mark.parametrize("user", ["admin", "somebody", "partner", "water"])
def test_what_belongs_to_others_is_not_of_the_installation(user: str) -> None:
    assert not belongs(user)
    assert belongs(service_user("audit"))
    assert belongs(partner_user("left-long-ago"))
