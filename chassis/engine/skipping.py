"""An operator has a service step over the record that a partition stands at: it is parked with its bytes and discarded.

So it is told like any record that was discarded: as a step that audit shows, with where it lay, why, and by whom.
"""

from chassis.engine import parking
from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox, marked
from chassis.engine.incoming import Incoming
from chassis.engine.parking import Parked
from chassis.engine.settling import Decision, settle
from chassis.kafka.records import Record
from chassis.store.taken import Skip
from chassis.store.transaction import Transaction

_PARKED = 'SELECT parked_id FROM parked WHERE topic = $1 AND partition = $2 AND "offset" = $3'


async def step_over(inbox: Inbox, record: Record, skip: Skip) -> None:
    """Parks and discards the record; it counts as seen then. Durable when it returns, and done once if called again."""
    item = inbox.reader.read_or_fail(record) or Incoming(record, None)
    kind = "invalid" if item.event is None else "unfit"
    held = Parked(None, kind, item.reason or "the partition stood at it, and an operator stepped over it", record)

    async def run(transaction: Transaction) -> None:
        transaction.write(marked({item.identity: item.digest}, first=False))
        parking.park(transaction, [held])

    await inbox.database.decide(run)
    row = await inbox.database.fetchrow(_PARKED, record.topic, record.partition, record.offset)
    assert row is not None
    try:
        await settle(inbox, Decision(row["parked_id"], discard=True, by=skip.asked_by, reason=skip.reason))
    except Refused as refusal:
        if refusal.rule != "parked.settled":
            raise
