"""Parked records: what could not take effect, as exact bytes, with the reason, until an operator settles it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.kafka.records import REASON, Record, headers_from_text, writable
from chassis.store.database import Connection, Row
from chassis.store.transaction import Transaction, Write

_COLUMNS = 'parked_id, kind, reason, stream_id, topic, partition, "offset", key, headers, body, appended_ms'

HOLDING = ("failed", "behind")
"""The kinds that hold back later records of the same topic and case; other kinds hold nothing back."""

HOLDS_BACK = "status = 'waiting' AND kind IN ('failed', 'behind')"
"""SQL: that a parked record holds its case back."""
_HOLDING = f"""
SELECT {_COLUMNS} FROM parked WHERE {HOLDS_BACK} AND stream_id = ANY($1::text[]) ORDER BY parked_id FOR SHARE
"""
_PARK = """
INSERT INTO parked (kind, reason, stream_id, topic, partition, "offset", key, headers, body, appended_ms)
SELECT kind, reason, stream_id, topic, partition, "offset", key, headers, body, appended_ms
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bytea[], $8::json[],
              $9::bytea[], $10::bigint[]) WITH ORDINALITY
       AS u (kind, reason, stream_id, topic, partition, "offset", key, headers, body, appended_ms, place)
 ORDER BY place
ON CONFLICT (topic, partition, "offset") DO NOTHING
"""
_SETTLE = """
UPDATE parked SET status = $2, settled_by = $3, settled_at = now() WHERE parked_id = ANY($1::bigint[])
"""


@dataclass(slots=True)
class Parked:
    """A record that waits. `parked_id` is None until it has been written; `kind` is one of the table's kinds."""

    parked_id: int | None
    kind: str
    reason: str
    record: Record

    @property
    def queue(self) -> tuple[str, str] | None:
        """The topic and case it belongs to; None where it belongs to no case."""
        stream_id = self.record.stream_id
        return None if stream_id is None else (self.record.topic, stream_id)


def parked_of(row: Row) -> Parked:
    """The parked record in a row of the table."""
    headers, unread = headers_from_text(row["headers"])
    place = row["topic"], row["partition"], row["offset"]
    record = Record(*place, row["key"], row["body"], headers, row["appended_ms"], unread)
    return Parked(row["parked_id"], row["kind"], row["reason"], record)


async def holding(connection: Connection, stream_ids: Iterable[str]) -> list[Parked]:
    """What holds these cases back, in order; it holds them until the transaction ends, so nothing is parked behind
    what somebody settles meanwhile.
    """
    assert connection.is_in_transaction()
    return [parked_of(row) for row in await connection.fetch(_HOLDING, list(stream_ids))]


async def lock(connection: Connection, parked_id: int) -> tuple[Parked, str] | None:
    """The parked record and its status, locked until the transaction ends; None where there is none of that number."""
    assert connection.is_in_transaction()
    row = await connection.fetchrow(f"SELECT {_COLUMNS}, status FROM parked WHERE parked_id = $1 FOR UPDATE", parked_id)
    return None if row is None else (parked_of(row), row["status"])


def park(transaction: Transaction, held: Sequence[Parked]) -> None:
    """Writes records that wait; one that is there already (the same coordinates) stays as it is."""
    transaction.write(Write(_PARK, [_row(one) for one in held]))


async def amend(connection: Connection, item: Parked) -> None:
    """Writes why a record still waits."""
    await connection.execute(
        "UPDATE parked SET kind = $2, reason = $3 WHERE parked_id = $1", item.parked_id, item.kind, _reason(item)
    )


async def settle(connection: Connection, parked_ids: list[int], status: str, by: str) -> None:
    """Marks records as `retried` or `discarded`; they stay as history."""
    await connection.execute(_SETTLE, parked_ids, status, by)


def _reason(item: Parked) -> str:
    """As a column takes it: the words of an error may hold anything, half of a surrogate pair, too."""
    return writable(item.reason.encode(errors="replace").decode(), REASON)


def _row(item: Parked) -> tuple[Any, ...]:
    record = item.record
    return (
        item.kind,
        _reason(item),
        record.stream_id,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.headers_as_text,
        record.value,
        record.appended_ms,
    )
