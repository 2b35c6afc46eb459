"""Locks that a transaction holds until it ends: rows of the service's own table `locks`.

Advisory locks would do the same, but every role of the database can take each of them, and hold up another service.
"""

from collections.abc import Collection

from chassis.store.database import Connection

# One statement takes its locks in the order of their numbers, so that two workers do not deadlock over it. PostgreSQL
# would make a generic plan while the tables are small, and keep it; the transaction's further statements profit, too.
# Names share 4,096 locks, because each is a row.
_LOCK = """
SELECT FROM locks
 WHERE number = ANY (ARRAY(SELECT 1 + (hashtext(name) & 4095) FROM unnest($1::text[]) AS name))
   AND (SELECT set_config('plan_cache_mode', 'force_custom_plan', true)) IS NOT NULL
 ORDER BY number FOR UPDATE
"""
_LOCK_ALONE = "SELECT FROM locks WHERE number = 0 FOR UPDATE"


async def lock(connection: Connection, names: Collection[str]) -> None:
    """Waits for the locks of these names. A few names share each lock."""
    assert connection.is_in_transaction()
    await connection.execute(_LOCK, list(names))


async def lock_alone(connection: Connection) -> None:
    """Waits for the one lock that goes by no name."""
    assert connection.is_in_transaction()
    await connection.execute(_LOCK_ALONE)
