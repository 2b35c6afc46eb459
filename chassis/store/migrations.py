"""Creates and upgrades a service's role, schema and tables; run with an administrator's connection before the service.

A migration is a file `<number>_<name>.sql` in a folder; the numbers of a folder run from 1 without a gap. Each is
applied once, in order, and never edited afterwards: `migrations.lock` beside this file holds the digests of all, and a
test compares them. A migration whose first line is `-- rebuild` changes tables that are derived from the service's own
events: whoever migrates runs the service's `rebuild`, and no process of this version starts before.

Expand and contract: the old version of a service may still run while a migration is applied, so a migration only adds
(nullable columns, tables, indexes, functions); what nobody reads any more is dropped by a later release's migration.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from chassis.retry import NotNow
from chassis.store import rights

EVERY = Path(__file__).with_name("every")
"""The tables that every service has."""
STORE = Path(__file__).with_name("schema")
"""The tables of the event store, which every deciding service has."""

Session = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_DO = "run `make up`, in containers `setup`"
_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_BOOKKEEPING: Mapping[str, Mapping[str, str]] = {
    "migrations": {
        "component": "text NOT NULL",
        "number": "integer NOT NULL",
        "name": "text NOT NULL",
        "digest": "text NOT NULL",
        "applied_at": "timestamptz NOT NULL DEFAULT now()",
        "rebuilds": "boolean NOT NULL DEFAULT false",
        "rebuilt": "boolean NOT NULL DEFAULT true",
    },
    "outdated": {"stream_id": 'text COLLATE "C" NOT NULL'},
}
"""Table -> column -> type. `migrate` makes what a schema lacks of it, and `require` demands all of it, so that a column
or a table is added here alone; a column that is added needs a default."""
_KEYS = {"migrations": "component, number", "outdated": "stream_id"}
_COLUMNS = """
SELECT relname || '.' || attname FROM pg_attribute
  JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE nspname = current_schema() AND relname = ANY($1::text[]) AND attnum > 0 AND NOT attisdropped
"""
_PATIENCE_SECONDS = 75
"""How long a migration waits for a lock: longer than the server lets a role's session sit idle in a transaction."""
_HOLDERS = """
SELECT a.pid, a.usename AS role FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
   AND coalesce(a.xact_start, '-infinity') < now() - $2 * interval '1 second'
   AND EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation
                WHERE l.pid = a.pid AND l.granted
                  AND (c.relnamespace = to_regnamespace(quote_ident($1))
                       OR a.usename = $1 AND l.locktype = 'transactionid'))
 ORDER BY 1
"""
"""The sessions of so old a transaction that hold a lock in the schema, or have changed something as its role. How old
a transaction of another role is not every administrator may see.
"""
_COMMENT = "SELECT format('COMMENT ON DATABASE %I IS %L', current_database(), $1::text)"

REBUILDS = "casegrid.rebuilds"
"""The setting by which a session says how many migrations it knows that demand a rebuild."""
OLDER = f"""(
    (SELECT count(*) FROM migrations WHERE rebuilds) > coalesce(current_setting('{REBUILDS}', true), '0')::integer
)"""
"""SQL: whether the session's version does not know every such migration of the schema."""
_INSERT = """
INSERT INTO migrations (component, number, name, digest, rebuilds, rebuilt) VALUES ($1, $2, $3, $4, $5, $6)
"""


class MigrationError(Exception):
    """The schema cannot be brought to this version; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file. `component` is what its folder belongs to: `every`, `store`, or the service."""

    component: str
    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def rebuilds(self) -> bool:
        """Whether derived tables must be rebuilt afterwards."""
        return self.sql.startswith("-- rebuild")


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` did: the names of the migrations applied, and whether `rebuild` must run before the service."""

    applied: tuple[str, ...]
    rebuild: bool


def read(component: str, folder: Path) -> list[Migration]:
    """The migrations of a folder, in order. Raises `MigrationError` where a number is missing or a name is wrong."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise MigrationError(f"{path}: migration {number} must be named {number:04}_<name>.sql")
        found.append(Migration(component, number, path.stem, path.read_text()))
    return found


async def migrate(
    admin_url: str,
    name: str,
    password: str | None,
    migrations: Sequence[Migration],
    *,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Migrated:
    """Makes role and schema `name` if need be, and applies the migrations that are not applied yet, all or none.

    Idempotent, and safe to run twice at the same time. Raises `MigrationError` where an applied migration was edited,
    where the schema is newer than these migrations, or where the role is more than a service's. With `password` None
    its password stays as it is. The connection's user must own the database and create roles, else `MigrationError`,
    too. The SQL runs as that user with search_path set to the schema; the role gets what chassis.store.rights says.
    A transaction that holds a lock for longer than `patience_seconds` is a `MigrationError` that names its session.
    """
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        async with connection.transaction():
            await _by_an_administrator(connection, name)
            await _alone(connection)
            await connection.execute(f"SET LOCAL lock_timeout = {round(patience_seconds * 1000)}")
            await _role(connection, name, password)
            await _schema(connection, name)
            await connection.execute(f'SET LOCAL search_path TO "{name}"')
            known = await _known(connection, name)
            pending = list(_pending(name, migrations, known))
            for migration in pending:
                # The client cannot read the answer to a script without any statement, as one of comments alone is.
                await connection.execute(f"{migration.sql}\n;SELECT")
                await connection.execute(
                    _INSERT,
                    migration.component,
                    migration.number,
                    migration.name,
                    migration.digest,
                    migration.rebuilds,
                    not (migration.rebuilds and known),
                )
            await rights.grant(connection, name)
            rebuild = await connection.fetchval("SELECT NOT coalesce(bool_and(rebuilt), true) FROM migrations")
            return Migrated(tuple(one.name for one in pending), rebuild)
    except asyncpg.LockNotAvailableError as fault:
        raise MigrationError(await _held_up(connection, name, patience_seconds)) from fault
    except asyncpg.InsufficientPrivilegeError as fault:
        raise MigrationError(
            f"schema {name}: the administrator lacks a right in the database: {fault.args[0]}"
        ) from fault
    finally:
        await connection.close()


async def require(connection: Session, migrations: Sequence[Migration], *, rebuilt: bool) -> None:
    """Raises `NotNow` while the schema lacks one of these migrations, part of this version's bookkeeping or, with
    `rebuilt`, a rebuild that one of them demands. A newer schema will do.
    """
    columns = await _lacking(connection)
    if ("migrations", "component") in columns:
        raise NotNow(f"the database's schema was not made yet: {_DO}")
    known = {(one.component, one.number): f"{one.component} {one.name}" for one in migrations}
    found: dict[tuple[str, int], bool] = {}
    lacking = [f"the column {table}.{column}" for table, column in columns]
    if not lacking:
        rows = await connection.fetch("SELECT component, number, rebuilt FROM migrations")
        found = {(row["component"], row["number"]): row["rebuilt"] for row in rows}
        lacking = [name for key, name in known.items() if key not in found]
    if lacking:
        raise NotNow(f"the database's schema is older than this version: it lacks {', '.join(lacking)}; {_DO}")
    if rebuilt and (waiting := [name for key, name in known.items() if not found[key]]):
        raise NotNow(f"tables are not rebuilt yet, as {', '.join(waiting)} demands; {_DO}")


async def _by_an_administrator(connection: asyncpg.Connection, schema: str) -> None:
    if words := await rights.lacks(connection, schema):
        user = await connection.fetchval("SELECT current_user")
        raise MigrationError(
            f"schema {schema}: the administrator {user} {', '.join(words)}: name one that may and does in DATABASE_URL"
        )


async def _alone(connection: asyncpg.Connection) -> None:
    """Waits until no other migration runs: a comment locks its object against other comments until the transaction
    ends, and only the owner of a database may write one, so no service's role can take that lock.
    """
    (row,) = await connection.fetch(_COMMENT, "Casegrid: a schema and a role for each service")
    await connection.execute(row[0])


async def _held_up(connection: asyncpg.Connection, schema: str, seconds: float) -> str:
    holders = await connection.fetch(_HOLDERS, schema, seconds)
    named = ", ".join(f"process {one['pid']} of role {one['role']}" for one in holders) or "a session that is gone"
    return (
        f"schema {schema}: held up for {seconds:g} seconds by {named}, whose transaction is open; nothing was changed:"
        " end it with SELECT pg_terminate_backend(<process>), and migrate again"
    )


async def _role(connection: asyncpg.Connection, name: str, password: str | None) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
    if powers := await rights.powers(connection, name):
        raise MigrationError(f"role {name} {', '.join(powers)}, which a service's role may not: take that from it")
    secret = await connection.fetchval("SELECT quote_literal($1::text)", password) if password is not None else None
    if not exists:
        await connection.execute(f'CREATE ROLE "{name}" LOGIN')
    if secret is not None:
        await connection.execute(f'ALTER ROLE "{name}" PASSWORD {secret}')
    await rights.limit(connection, name)


async def _schema(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
    await connection.execute(f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"')
    defaults = f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}" GRANT'
    await connection.execute(f'{defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{name}"')
    await connection.execute(f'{defaults} USAGE, SELECT ON SEQUENCES TO "{name}"')


async def _known(connection: asyncpg.Connection, name: str) -> dict[tuple[str, int], tuple[str, str]]:
    """(component, number) -> (name, digest) of what has been applied."""
    if await connection.fetchval("SELECT to_regclass('schema_version') IS NOT NULL"):
        raise MigrationError(
            f"schema {name} was made before there were migrations: `make reset` drops the data of this stack, once"
        )
    await _keep_books(connection)
    rows = await connection.fetch("SELECT component, number, name, digest FROM migrations")
    return {(row["component"], row["number"]): (row["name"], row["digest"]) for row in rows}


async def _keep_books(connection: asyncpg.Connection) -> None:
    for table, columns in _BOOKKEEPING.items():
        definition = ", ".join([*(f"{name} {kind}" for name, kind in columns.items()), f"PRIMARY KEY ({_KEYS[table]})"])
        await connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definition})")
    for table, column in await _lacking(connection):  # asked, because ALTER TABLE would wait for every writer
        await connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {_BOOKKEEPING[table][column]}")


async def _lacking(connection: Session) -> list[tuple[str, str]]:
    """(table, column) of the bookkeeping that the schema does not have."""
    found = {row[0] for row in await connection.fetch(_COLUMNS, list(_BOOKKEEPING))}
    wanted = [(table, column) for table, columns in _BOOKKEEPING.items() for column in columns]
    return [(table, column) for table, column in wanted if f"{table}.{column}" not in found]


def _pending(
    name: str, migrations: Sequence[Migration], known: dict[tuple[str, int], tuple[str, str]]
) -> Iterable[Migration]:
    left = dict(known)
    for migration in migrations:
        applied = left.pop((migration.component, migration.number), None)
        if applied is None:
            yield migration
        elif applied[1] != migration.digest:
            raise MigrationError(
                f"schema {name}: {migration.component} migration {migration.name} was edited after it had been applied"
                f" as {applied[0]} ({applied[1][:12]}, now {migration.digest[:12]}): write a new one instead"
            )
    if left:
        newest = ", ".join(sorted(f"{component} {applied}" for (component, _), (applied, _) in left.items()))
        raise MigrationError(f"schema {name} is newer than this version: it has {newest}, which is not known here")
