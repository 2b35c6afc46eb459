"""What a service's role may do in the database, and how much of the server it may use; set at every migration.

The tables belong to the administrator, so the role can neither change their definition nor disable their triggers. A
table that is not named here is one of the service's own: the role may read and write its rows, unless the migration
that makes the table grants less.
"""

from collections.abc import Mapping

import asyncpg

TABLES: Mapping[str, str] = {
    "migrations": "SELECT, UPDATE (rebuilt)",
    "outdated": "SELECT, INSERT, DELETE",
    "locks": "SELECT, UPDATE (number)",
    "reads": "SELECT, INSERT (reader, route, case_id, reporter_ref, first, last, coordinates, reason)",
    "taken": "SELECT, INSERT, UPDATE (next, topic_id)",
    "skips": "SELECT, INSERT (topic, partition, since, asked_by, reason), UPDATE (until, found, topic_id, done_at)",
    "streams": "SELECT, INSERT, UPDATE",
    "events": "SELECT, INSERT",
    "seen": "SELECT, INSERT",
    "outbox": "SELECT, INSERT, DELETE",
    "published": "SELECT, UPDATE (position, sent, missing)",
    "unsent": "SELECT, INSERT, DELETE",
    "leader": "SELECT, UPDATE",
    "parked": "SELECT, INSERT, UPDATE (status, kind, reason, settled_at, settled_by), DELETE",
    "propagations": "SELECT, INSERT, UPDATE (fault), DELETE",
    "tail": "SELECT, INSERT, UPDATE (next)",
    "origin": "SELECT, UPDATE (system, timeline, events)",
    "lost": "SELECT, INSERT, DELETE",
    "forgeries": "SELECT, INSERT",
    "accesses": "SELECT, INSERT, UPDATE (until)",
    "idempotency": "SELECT, INSERT, UPDATE (status, body, version)",
}
"""Table of the chassis -> the role's privileges on it. A row lock needs UPDATE of some column."""

SETTINGS: Mapping[str, str] = {"statement_timeout": "2min", "idle_in_transaction_session_timeout": "1min"}
"""Of every session of the role, unless it asks for others, as a rebuild does. The server then ends what a process that
hangs has left; one that works ends its statements itself, and earlier.
"""

_SHARE = 3
"""One role gets the connections of the server divided by this, so that no service can take all of them."""

_POWERS = """
SELECT array_remove(ARRAY[
           CASE WHEN rolsuper THEN 'is a superuser' END,
           CASE WHEN rolcreatedb THEN 'may create databases' END,
           CASE WHEN rolcreaterole THEN 'may create roles' END,
           CASE WHEN rolreplication THEN 'may replicate' END,
           CASE WHEN rolbypassrls THEN 'bypasses row security' END], NULL)
       || ARRAY(SELECT 'is a member of ' || roleid::regrole FROM pg_auth_members WHERE member = r.oid)
       || ARRAY(SELECT 'owns ' || oid::regclass FROM pg_class
                  WHERE relowner = r.oid AND relkind IN ('r', 'v') AND relpersistence <> 't')
  FROM pg_roles r WHERE rolname = $1
"""

_LACKS = """
SELECT array_remove(ARRAY[
           CASE WHEN NOT (rolsuper OR rolcreaterole) THEN 'may not create roles' END,
           CASE WHEN NOT pg_has_role(datdba, 'MEMBER')
                THEN format('does not own database %I, as %I does', datname, pg_get_userbyid(datdba)) END], NULL)
       || ARRAY(SELECT format('does not own schema %I, as %I does', nspname, pg_get_userbyid(nspowner))
                  FROM pg_namespace WHERE nspname = $1 AND NOT pg_has_role(nspowner, 'MEMBER'))
       || ARRAY(SELECT format('does not own table %s, as %I does', c.oid::regclass, pg_get_userbyid(relowner))
                  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = $1 AND relkind = 'r' AND NOT pg_has_role(relowner, 'MEMBER') ORDER BY 1 LIMIT 1)
  FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""


async def lacks(connection: asyncpg.Connection, schema: str) -> list[str]:
    """What the connection's own user is not or may not, but must to migrate that schema, in words."""
    (row,) = await connection.fetch(_LACKS, schema)
    return list(row[0])


async def powers(connection: asyncpg.Connection, role: str) -> list[str]:
    """What an existing role is or may beyond what a service needs, in words."""
    return [power for row in await connection.fetch(_POWERS, role) for power in row[0]]


async def limit(connection: asyncpg.Connection, role: str) -> None:
    """Bounds the role's connections and its sessions; settings that it has made for itself go."""
    most = await connection.fetchval("SELECT current_setting('max_connections')::integer / $1", _SHARE)
    await connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT {most}')
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f'ALTER ROLE "{role}" RESET ALL; ALTER ROLE "{role}" IN DATABASE {database} RESET ALL')
    for name, value in SETTINGS.items():
        await connection.execute(f"ALTER ROLE \"{role}\" SET {name} = '{value}'")


async def grant(connection: asyncpg.Connection, role: str) -> None:
    """Leaves the role what it needs of the database, and of the tables of the chassis in the current schema."""
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    # The views write many rows through a temporary table, which is the session's own.
    await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE {database} TO "{role}"')
    there = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    for table in {row["tablename"] for row in there} & TABLES.keys():
        await connection.execute(f'REVOKE ALL ON {table} FROM "{role}"; GRANT {TABLES[table]} ON {table} TO "{role}"')
