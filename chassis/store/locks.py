"""Advisory locks that a transaction holds until it ends, by name."""

from collections.abc import Collection

from chassis.store.database import Connection

# One statement takes its locks in the order of their numbers, so that two workers do not deadlock over it. PostgreSQL
# would make a generic plan while the tables are small, and keep it; the transaction's further statements profit, too.
_LOCK = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), pg_advisory_xact_lock($2, number)
  FROM (SELECT DISTINCT hashtext(name) & $3 AS number FROM unnest($1::text[]) AS name ORDER BY 1) AS numbers
"""

_EVERY_BIT = -1


async def lock(connection: Connection, lock_class: int, names: Collection[str], *, mask: int = _EVERY_BIT) -> None:
    """Waits for the locks of these names in a class. Names whose hashes agree in the bits of `mask` share a lock."""
    await connection.execute(_LOCK, list(names), lock_class, mask)
