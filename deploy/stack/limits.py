"""How much the broker takes from a partner a second, and how large a batch a topic takes: set by its administrator.

Quotas of clients go through aiokafka's connection: confluent-kafka has no call for them, and aiokafka itself only asks.
They hold for the user, over all its connections. The broker does not refuse what is beyond them: it answers later.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from chassis.kafka.connection import Connection
from contracts.homes import topic_from, topic_to
from contracts.wire import TOPICS
from deploy.stack.access import belongs, partner_user
from deploy.stack.problem import Problem

Quotas = Mapping[str, float]
"""By Kafka's names."""

OF_A_PARTNER: Quotas = {
    "producer_byte_rate": 256 * 1024,
    "consumer_byte_rate": 2 * 1024 * 1024,
    "request_percentage": 50,
}
"""Of every partner's user: bytes a second that it writes (some 300 requests) and reads, and per cent of one thread's
time that its requests take. Services have none.
"""

WRITTEN_BY_A_PARTNER = 1024 * 1024
"""Most bytes of a batch on `from.<partner>`. A request has 256 KiB at most, but clients put many into one batch, some
of them (librdkafka) as many as a million bytes hold, and do not send less where that is refused.
"""
WRITTEN_BY_A_SERVICE = 512 * 1024
"""On every other topic. The relay's batches end at 256 KiB, or have one fact, of 256 KiB with its envelope."""

SIZE = "max.message.bytes"
_USER = "user"
_EVERY = 2


class _AlterClientQuotasResponse(Response):
    API_KEY = 49  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    API_VERSION = 0  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
            ),
        ),
    )


class _AlterClientQuotasStruct(RequestStruct):
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterClientQuotasResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_AlterClientQuotasStruct]):
    API_KEY = 49

    def __init__(self, entries: Sequence[Any]) -> None:
        self._entries = list(entries)

    def build(self, request_struct_class: type[_AlterClientQuotasStruct]) -> _AlterClientQuotasStruct:
        return request_struct_class(self._entries, False)


def sizes(partners: Iterable[str], prefix: str = "") -> dict[str, int]:
    """Topic -> most bytes of a batch, of the facts' topics and of these partners'."""
    found = {prefix + name: WRITTEN_BY_A_SERVICE for name in TOPICS}
    for partner in partners:
        found |= {prefix + topic_from(partner): WRITTEN_BY_A_PARTNER, prefix + topic_to(partner): WRITTEN_BY_A_SERVICE}
    return found


async def quotas(broker: Connection) -> dict[str, Quotas]:
    """User -> its quotas, of every user that has any. Raises `Problem`."""
    async with _client(broker) as client:
        return await _quotas(client)


async def settle(broker: Connection, prefix: str, partners: Iterable[str]) -> None:
    """Gives these partners' users the quotas of a partner, and takes them from all other users of this installation.

    Raises `Problem`.
    """
    wanted = {partner_user(partner, prefix): OF_A_PARTNER for partner in partners}
    async with _client(broker) as client:
        there = await _quotas(client)
        ours = {user for user in there if belongs(user, prefix)} | wanted.keys()
        await _alter(client, {user: (there.get(user, {}), wanted.get(user, {})) for user in ours})


async def put(broker: Connection, user: str, wanted: Quotas) -> None:
    """Gives a user these quotas and no others. Raises `Problem`."""
    async with _client(broker) as client:
        await _alter(client, {user: ((await _quotas(client)).get(user, {}), wanted)})


@asynccontextmanager
async def _client(broker: Connection):
    client = AIOKafkaClient(**broker.options(), request_timeout_ms=15_000)
    try:
        await broker.reach(client.bootstrap())
        yield client
    except (KafkaError, OSError, TimeoutError) as fault:
        words = str(fault) or type(fault).__name__
        raise Problem(f"the broker does not tell or take its clients' quotas: {words}") from fault
    finally:
        await client.close()


async def _quotas(client: AIOKafkaClient) -> dict[str, Quotas]:
    # The request's own type does not allow for the null that Kafka's protocol has here.
    every: Any = [(_USER, _EVERY, None)]
    answer: Any = await client.send(client.get_random_node(), DescribeClientQuotasRequest(every, True))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message or "")
    return {entity[0][1]: dict(values) for entity, values in answer.entries if len(entity) == 1}


async def _alter(client: AIOKafkaClient, changes: Mapping[str, tuple[Quotas, Quotas]]) -> None:
    """User -> the quotas it has and those it is to have. Returns when the broker has taken note of them."""
    entries = []
    for user, (there, wanted) in changes.items():
        given = [(name, float(value), False) for name, value in wanted.items() if there.get(name) != value]
        taken = [(name, 0.0, True) for name in there.keys() - wanted.keys()]
        if given or taken:
            entries.append(([(_USER, user)], [*given, *taken]))
    if not entries:
        return
    answer: Any = await client.send(client.get_random_node(), _AlterClientQuotas(entries))
    for code, words, _ in answer.entries:
        if code:
            raise for_code(code)(words or "")
    deadline = time.monotonic() + 15
    while True:
        there = await _quotas(client)
        if all(there.get(user, {}) == dict(wanted) for user, (_, wanted) in changes.items()):
            return
        if time.monotonic() > deadline:
            raise TimeoutError("it has not taken note of them in 15 s")
        await asyncio.sleep(0.05)
