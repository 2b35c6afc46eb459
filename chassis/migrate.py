"""Creates a service's role, schema and tables, once; run with an administrator's connection before the service."""

import hashlib
from pathlib import Path

import asyncpg

_CHASSIS = Path(__file__).with_name("schema.sql")


async def migrate(admin_url: str, name: str, password: str | None, schema_sql: str) -> bool:
    """Makes role and schema `name` if need be, and applies the chassis' and the service's SQL; True if anything was
    done.

    Idempotent and safe to run at the same time twice. Raises `RuntimeError` where the schema was made from another
    version of the SQL. With `password` None the role's password stays as it is. SQL in `schema_sql` runs as the
    connection's user with search_path set to the schema; the role gets all rights on the tables but what the SQL
    itself revokes.
    """
    sql = _CHASSIS.read_text() + "\n" + schema_sql
    digest = hashlib.sha256(sql.encode()).hexdigest()
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('casegrid-migrate'))")
            await _role(connection, name, password)
            if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", name):
                applied = await connection.fetchval(f'SELECT digest FROM "{name}".schema_version')
                if applied != digest:
                    raise RuntimeError(
                        f"schema {name} was made from another version ({applied[:12]}, now {digest[:12]}):"
                        " `make reset` drops the data of a development stack"
                    )
                return False
            await connection.execute(f'CREATE SCHEMA "{name}"')
            await connection.execute(f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"')
            await connection.execute(f'SET LOCAL search_path TO "{name}"')
            await connection.execute(
                f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}"'
                f' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{name}"'
            )
            await connection.execute(
                f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}" GRANT USAGE, SELECT ON SEQUENCES TO "{name}"'
            )
            await connection.execute(sql)
            await connection.execute("CREATE TABLE schema_version (digest text NOT NULL)")
            await connection.execute("INSERT INTO schema_version VALUES ($1)", digest)
            return True
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection, name: str, password: str | None) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
    secret = await connection.fetchval("SELECT quote_literal($1::text)", password) if password is not None else None
    if not exists:
        await connection.execute(f'CREATE ROLE "{name}" LOGIN')
    if secret is not None:
        await connection.execute(f'ALTER ROLE "{name}" PASSWORD {secret}')
