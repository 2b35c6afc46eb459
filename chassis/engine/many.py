"""An operator settles many parked records at once: each as if it were named alone, each with its own step.

A request with an idempotency key acts on the same records however often it comes: they are chosen once, and written
down before the first is settled. So one that was interrupted goes on where it was, and one that was answered is
answered again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chassis.engine.commands import CommandRequest, Unusable
from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox
from chassis.engine.settling import Decision, settle
from chassis.store.conditions import Conditions
from chassis.store.database import Connection

MOST = 500
"""Records of one request."""
_SECONDS = 20.0
"""After which no further one is begun, so that the answer comes before the caller gives up."""
_NAMED = 20
"""The most refused records that an answer names."""

_CHOOSE = "SELECT parked_id FROM parked WHERE {where} ORDER BY parked_id LIMIT $1"
_LEFT = "SELECT count(*) FROM parked WHERE {where} AND $1::bigint IS NOT NULL"
_GIVEN = "SELECT fingerprint, status, body FROM idempotency WHERE caller = $1 AND key = $2"
_CLAIM = """
INSERT INTO idempotency (caller, key, fingerprint, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true
"""
_ANSWERED = "UPDATE idempotency SET status = 200, body = $3 WHERE caller = $1 AND key = $2"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the waiting records: the first `limit` of those that fit, in the order they came."""

    kind: str
    topic: str | None = None
    case_id: str | None = None
    reason_begins: str | None = None
    up_to: int | None = None
    """The number of the last one that is meant."""
    limit: int = MOST

    def conditions(self) -> Conditions:
        """`$1` is the limit."""
        wanted = Conditions(self.limit)
        wanted.add("status = 'waiting'")
        wanted.equals("kind", self.kind)
        wanted.equals("topic", self.topic)
        wanted.equals("stream_id", self.case_id)
        wanted.add("starts_with(reason, {0})", self.reason_begins)
        wanted.add("parked_id <= {0}", self.up_to)
        return wanted


async def settle_many(
    inbox: Inbox, selection: Selection, request: CommandRequest, why: str, *, discard: bool
) -> tuple[dict[str, Any], bool]:
    """What became of them, and whether that was answered before. Raises `Unusable` where the key was used for something
    else, and one of `TRANSIENT_ERRORS`; then the same request goes on with what is left.
    """
    given, chosen = await _chosen(inbox, selection, request)
    if given is not None:
        return given, True
    settled, refused, until = 0, list[dict[str, Any]](), time.monotonic() + _SECONDS
    done = 0
    for parked_id in chosen:
        if time.monotonic() > until:
            break
        done += 1
        try:
            await settle(inbox, Decision(parked_id, discard, request.actor, why))
            settled += 1
        except Refused as fault:
            if fault.rule == "parked.settled":  # by this request before it was interrupted, or behind one of its own
                settled += 1
            else:
                refused.append({"parked_id": parked_id, "rule": fault.rule, "reason": str(fault)})
    wanted = selection.conditions()
    left = (await inbox.database.fetch(_LEFT.format(where=wanted.where), *wanted.arguments))[0][0]
    answer = {
        "chosen": done,
        "settled": settled,
        "refused": len(refused),
        "refusals": refused[:_NAMED],
        "left": left,
    }
    if request.idempotency_key is not None:
        body = orjson.dumps(answer)
        await inbox.database.fetch(_ANSWERED, request.actor, request.idempotency_key, body)
    return answer, False


async def _chosen(
    inbox: Inbox, selection: Selection, request: CommandRequest
) -> tuple[dict[str, Any] | None, Sequence[int]]:
    """The answer that was given to this request before, or the records that it is about."""

    async def work(connection: Connection) -> tuple[dict[str, Any] | None, Sequence[int]]:
        wanted = selection.conditions()
        ids = [row[0] for row in await connection.fetch(_CHOOSE.format(where=wanted.where), *wanted.arguments)]
        if request.idempotency_key is None:
            return None, ids
        key = request.actor, request.idempotency_key
        if await connection.fetchval(_CLAIM, *key, request.fingerprint, orjson.dumps(ids)):
            return None, ids
        row = await connection.fetchrow(_GIVEN, *key)
        assert row is not None
        if row["fingerprint"] != request.fingerprint:
            raise Unusable("Idempotency-Key", "was used before with another request")
        found = orjson.loads(row["body"])
        return (found, ()) if row["status"] is not None else (None, found)

    return await inbox.database.transact(work)
