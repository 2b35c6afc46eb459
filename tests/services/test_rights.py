"""What the role of each service may do in a real PostgreSQL, and what it is denied, attempt by attempt."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.store.database import Database
from chassis.store.migrations import Migration, MigrationError, migrate
from chassis.store.rights import SETTINGS, TABLES
from deploy.stack.plan import SERVICES
from tests.docs.pages import page, rows
from tests.docs.pages import written as source
from tests.support import infrastructure
from tests.support.infrastructure import PASSWORD, execute, migrations_of


def other(service: str) -> str:
    return SERVICES[SERVICES.index(service) - 1]


def facts(service: str) -> str:
    """The table of what must never change."""
    return "log" if service == "audit" else "events"


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
async def migrated(postgres_admin: str) -> AsyncIterator[infrastructure.Database]:
    """A database that was made as `make up` makes it (a copy would lack the rights on the database itself)."""
    made = infrastructure.Database("test_rights", postgres_admin)
    await execute(postgres_admin, f"CREATE DATABASE {made.name}")
    await infrastructure.migrate_services(made.admin_url)
    yield made
    await execute(postgres_admin, f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture
async def session(migrated: infrastructure.Database, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Of the service's own role, beside one of another service."""
    found = await asyncpg.connect(migrated.url(service), server_settings={"search_path": service})
    beside = await asyncpg.connect(migrated.url(other(service)))
    yield found
    await beside.close()
    await found.close()


ATTEMPTS = {
    "change a fact": "UPDATE {facts} SET body = ''",
    "delete a fact": "DELETE FROM {facts}",
    "empty the facts": "TRUNCATE {facts}",
    "drop the facts": "DROP TABLE {facts}",
    "change their definition": "ALTER TABLE {facts} ADD COLUMN more text",
    "disable their triggers": "ALTER TABLE {facts} DISABLE TRIGGER ALL",
    "act as a replica, for which triggers rest": "SET session_replication_role = replica",
    "add a rule": "CREATE RULE nothing AS ON INSERT TO {facts} DO INSTEAD NOTHING",
    "hold up who appends": "BEGIN; LOCK TABLE {facts} IN SHARE MODE",
    "change what was read": "UPDATE reads SET reader = 'another'",
    "delete what was read": "DELETE FROM reads",
    "empty what was read": "TRUNCATE reads",
    "drop what was read": "DROP TABLE reads",
    "say that it was read at another time": "INSERT INTO reads (reader, route, read_at) VALUES ('x', 'x', now())",
    "number what was read": "INSERT INTO reads (reader, route, read_id) OVERRIDING SYSTEM VALUE VALUES ('x', 'x', 7)",
    "disable the triggers of what was read": "ALTER TABLE reads DISABLE TRIGGER ALL",
    "change what the trigger does": (
        "CREATE OR REPLACE FUNCTION refuse_change_of_reads() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'"
    ),
    "see what was read of another service": "SELECT FROM {other}.reads",
    "claim a migration": "INSERT INTO migrations (component, number, name, digest) VALUES ('store', 99, 'x', 'x')",
    "rename a migration": "UPDATE migrations SET name = 'x'",
    "forge a digest": "UPDATE migrations SET digest = 'x'",
    "hide that a migration demands a rebuild": "UPDATE migrations SET rebuilds = false",
    "forget a migration": "DELETE FROM migrations",
    "empty the migrations": "TRUNCATE migrations",
    "hold up a migration": "BEGIN; LOCK TABLE migrations IN EXCLUSIVE MODE",
    "hold up any migration": "COMMENT ON DATABASE {database} IS 'mine'",
    "make a table": "CREATE TABLE mine (id text)",
    "make a table where everybody may look": "CREATE TABLE public.mine (id text)",
    "make a function": "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql RETURN 1",
    "make a schema": "CREATE SCHEMA mine",
    "make an extension": "CREATE EXTENSION postgres_fdw",
    "make a database": "CREATE DATABASE mine",
    "make a role": "CREATE ROLE mine",
    "become a superuser": "ALTER ROLE {service} SUPERUSER",
    "take more connections": "ALTER ROLE {service} CONNECTION LIMIT -1",
    "become another service": "SET ROLE {other}",
    "take another service's password": "ALTER ROLE {other} PASSWORD 'mine'",
    "read another service's facts": "SELECT FROM {other}.{others_facts}",
    "read what another service has applied": "SELECT FROM {other}.migrations",
    "write another service's facts": "INSERT INTO {other}.{others_facts} DEFAULT VALUES",
    "hold up another service's workers": "SELECT FROM {other}.locks WHERE number = 0 FOR UPDATE",
    "hold up all of another service": "BEGIN; LOCK TABLE {other}.locks IN ACCESS EXCLUSIVE MODE",
    "lead instead of another service's relay": "UPDATE {other}.leader SET pid = 0",
    "read the server's files": "SELECT pg_read_file('postgresql.conf')",
    "run a program": "COPY {facts} (body) FROM PROGRAM 'true'",
    "read the passwords": "SELECT FROM pg_authid",
    "change the server": "ALTER SYSTEM SET max_connections = 10",
    "end another service's session": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{other}'",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_the_role_of_a_service_is_denied_to(
    attempt: str, service: str, session: asyncpg.Connection, migrated: infrastructure.Database
) -> None:
    names = {"service": service, "facts": facts(service), "database": migrated.name}
    names |= {"other": other(service), "others_facts": facts(other(service))}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute(ATTEMPTS[attempt].format_map(names))


SHADOW = """
BEGIN; CREATE TEMPORARY TABLE log (index bigint); INSERT INTO pg_temp.log VALUES (6);
INSERT INTO audit.log (index, topic, partition, "offset", headers, valid) VALUES (7, 'x', 0, 0, '[]', true)
"""


@pytest.mark.parametrize("service", ["audit"])
@pytest.mark.parametrize("first", ["", "SET search_path = pg_temp, audit;"])
async def test_a_table_of_the_session_does_not_stand_in_for_the_log(session: asyncpg.Connection, first: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="the log is gapless: indexes 7 to 7"):
        await session.execute(first + SHADOW)


async def test_functions_of_a_service_look_for_tables_where_no_session_can_put_one(
    service: str, session: asyncpg.Connection
) -> None:
    """Those that look for none need no path."""
    rows = await session.fetch(
        "SELECT proname, proconfig::text AS settings FROM pg_proc"
        " WHERE pronamespace = $1::regnamespace AND prosrc ~* '\\y(from|into|update|join)\\y'",
        service,
    )
    assert {row["proname"] for row in rows} == ({"refuse_gap"} if service == "audit" else set())
    assert [row["settings"] for row in rows] == [f'{{"search_path={service}, pg_temp"}}' for _ in rows]


RIGHTS = """
SELECT t.tablename, array_agg(DISTINCT g.privilege_type) FILTER (WHERE g.privilege_type IS NOT NULL) AS whole,
       ARRAY(SELECT DISTINCT c.privilege_type || ' ' || c.column_name FROM information_schema.column_privileges c
              WHERE (c.table_schema, c.table_name, c.grantee) = (t.schemaname, t.tablename, $1)
                AND NOT EXISTS (SELECT FROM information_schema.role_table_grants w
                                 WHERE (w.table_schema, w.table_name, w.grantee) = (t.schemaname, t.tablename, $1)
                                   AND w.privilege_type = c.privilege_type)) AS columns
  FROM pg_tables t LEFT JOIN information_schema.role_table_grants g
    ON (g.table_schema, g.table_name, g.grantee) = (t.schemaname, t.tablename, $1)
 WHERE t.schemaname = $1 GROUP BY t.schemaname, t.tablename
"""


async def granted(connection: asyncpg.Connection, service: str) -> dict[str, set[str]]:
    """Table -> privileges, with the column where it is not all of the table."""
    return {
        row["tablename"]: {*(row["whole"] or ()), *row["columns"]} for row in await connection.fetch(RIGHTS, service)
    }


def written(rights: str) -> set[str]:
    """Privileges as a GRANT names them."""
    found = set()
    for privilege, columns in re.findall(r"(\w+)(?: \(([^)]*)\))?", rights):
        found |= {f"{privilege} {column}" for column in columns.split(", ")} if columns else {privilege}
    return found


async def test_a_service_has_the_rights_that_the_page_says_and_no_other(
    service: str, session: asyncpg.Connection
) -> None:
    """A table that is not on the page is derived; any other must be put there."""
    told = {
        row["table"].strip("`"): written(row["rights"]) for row in rows(page("security/database.md")) if "of" in row
    }
    found = await granted(session, service)
    assert found == {table: told.get(table, {"SELECT", "INSERT", "UPDATE", "DELETE"}) for table in found}
    appended = {table: {"SELECT", "INSERT"} for table in ("log", "unrecorded")}
    assert told == {**{table: written(rights) for table, rights in TABLES.items()}, **appended}


async def test_what_a_role_grants_changes_nothing(service: str, session: asyncpg.Connection) -> None:
    query = (
        "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY oid"
    )
    before = await session.fetch(query)
    await session.execute(f"GRANT ALL ON {facts(service)} TO PUBLIC; GRANT ALL ON {facts(service)} TO {service}")
    assert await session.fetch(query) == before


async def test_sessions_of_a_role_are_bounded_by_the_server(service: str, session: asyncpg.Connection) -> None:
    assert {name: await session.fetchval(f"SHOW {name}") for name in SETTINGS} == SETTINGS
    (limits,) = await session.fetch(
        "SELECT rolconnlimit, current_setting('max_connections')::integer FROM pg_roles WHERE rolname = current_user"
    )
    assert 0 < limits[0] < limits[1] / 2


async def fill(held: list[asyncpg.Connection], url: str) -> None:
    """Connects until that is refused."""
    while True:
        held.append(await asyncpg.connect(url))


async def test_a_role_gets_its_share_of_the_connections_and_leaves_the_rest(migrated: infrastructure.Database) -> None:
    held = []
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError, match="intake"):
            await fill(held, migrated.url("intake"))
        await execute(migrated.url("triage"), "SELECT 1")
    finally:
        for connection in held:
            await connection.close()


async def test_a_rebuild_has_no_statement_time(service: str, migrated: infrastructure.Database) -> None:
    for seconds, expected in ((60, SETTINGS["statement_timeout"]), (None, "0")):
        found = Database(
            migrated.url(service), service, size=1, migrations=migrations_of(service), statement_seconds=seconds
        )
        await found.open(rebuilt=False)
        assert await found.fetch("SHOW statement_timeout") == [(expected,)]
        await found.close()


def test_no_lock_is_taken_that_every_role_of_the_database_could_take() -> None:
    code = ("chassis/**/*.py", "services/**/*.py", "chassis/**/*.sql", "services/**/*.sql")
    assert "advisory_" not in source(*code)


async def test_roles_of_no_service_may_not_enter_the_database(migrated: infrastructure.Database) -> None:
    await execute(migrated.admin_url, f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(migrated.url("stranger"))
    finally:
        await execute(migrated.admin_url, "DROP ROLE stranger")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ALTER ROLE haughty SUPERUSER", "is a superuser"),
        ("ALTER ROLE haughty CREATEDB CREATEROLE", "may create databases, may create roles"),
        ("GRANT pg_read_all_data TO haughty", "is a member of pg_read_all_data"),
        ("CREATE TABLE own (id text); ALTER TABLE own OWNER TO haughty", "owns own"),
    ],
)
async def test_a_role_that_is_more_than_a_services_is_refused(
    empty_database: infrastructure.Database, given: str, words: str
) -> None:
    await execute(empty_database.admin_url, f"CREATE ROLE haughty; {given}")
    try:
        with pytest.raises(MigrationError, match=f"role haughty {words}, which"):
            await migrate(empty_database.admin_url, "haughty", PASSWORD, migrations_of("triage"))
    finally:
        await execute(empty_database.admin_url, "DROP OWNED BY haughty; DROP ROLE haughty")


async def test_a_table_that_a_running_service_has_for_its_session_is_no_power(
    session: asyncpg.Connection, service: str, migrated: infrastructure.Database
) -> None:
    """The views write many rows through one, so every service that has worked has some: `make up` runs beside it."""
    await session.execute("CREATE TEMPORARY TABLE cases_written (case_id text)")
    assert (await migrate(migrated.admin_url, service, PASSWORD, migrations_of(service))).applied == ()


async def test_rights_that_somebody_added_are_taken_back_at_the_next_migration(
    empty_database: infrastructure.Database,
) -> None:
    await migrate(empty_database.admin_url, "triage", PASSWORD, migrations_of("triage"))
    await execute(empty_database.admin_url, "GRANT ALL ON triage.events TO triage; ALTER ROLE triage RESET ALL")
    await migrate(empty_database.admin_url, "triage", PASSWORD, migrations_of("triage"))
    session = await asyncpg.connect(empty_database.url("triage"))
    assert (await granted(session, "triage"))["events"] == {"SELECT", "INSERT"}
    assert await session.fetchval("SHOW statement_timeout") == SETTINGS["statement_timeout"]
    await session.close()


@pytest.mark.parametrize("where", ["", " IN DATABASE {database}"])
async def test_what_a_role_has_set_for_its_sessions_is_gone_after_the_next_migration(
    empty_database: infrastructure.Database, where: str
) -> None:
    """Whoever has its password can stop the service so, until `make up`; the password is set again, too."""
    own, admin = empty_database.url("triage"), empty_database.admin_url
    await migrate(admin, "triage", PASSWORD, migrations_of("triage"))
    setting = f"ALTER ROLE triage{where.format(database=empty_database.name)} SET"
    for value in ("default_transaction_read_only = on", "search_path = nowhere", "statement_timeout = 0"):
        await execute(own, f"BEGIN READ WRITE; {setting} {value}; COMMIT")
    await execute(own, "BEGIN READ WRITE; ALTER ROLE triage PASSWORD 'another'; COMMIT")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await execute(empty_database.url("triage", "another"), "DELETE FROM triage.outdated")
    await migrate(admin, "triage", PASSWORD, migrations_of("triage"))
    session = await asyncpg.connect(own)
    await session.execute("DELETE FROM triage.outdated")
    assert {name: await session.fetchval(f"SHOW {name}") for name in SETTINGS} == SETTINGS
    await session.close()


@asynccontextmanager
async def manager(server: infrastructure.Database, rights: str) -> AsyncIterator[str]:
    """The URL of an administrator as managed servers give them: no superuser."""
    owner = urlsplit(server.admin_url).username
    await execute(server.admin_url, f"CREATE ROLE manager LOGIN PASSWORD '{PASSWORD}' {rights}")
    try:
        yield server.url("manager")
    finally:
        await execute(
            server.admin_url, f"REASSIGN OWNED BY manager TO {owner}; DROP OWNED BY manager; DROP ROLE manager"
        )


async def test_an_administrator_that_does_not_own_what_it_migrates_is_told_so(
    empty_database: infrastructure.Database,
) -> None:
    admin, database, migrations = empty_database.admin_url, empty_database.name, migrations_of("triage")
    owner = urlsplit(admin).username
    async with manager(empty_database, "NOCREATEROLE") as url:
        told = (
            f"the administrator manager may not create roles, does not own database {database}, as {owner} does: name"
        )
        with pytest.raises(MigrationError, match=f"schema triage: {told} one that may and does in DATABASE_URL"):
            await migrate(url, "triage", PASSWORD, migrations)
        await execute(admin, f"ALTER ROLE manager CREATEROLE; ALTER DATABASE {database} OWNER TO manager")
        await migrate(admin, "triage", PASSWORD, migrations)
        told = (
            f"manager does not own schema triage, as {owner} does, does not own table triage.+, as {owner} does: name"
        )
        with pytest.raises(MigrationError, match=told):
            await migrate(url, "triage", PASSWORD, migrations)


async def test_an_administrator_that_lacks_another_right_is_told_which(empty_database: infrastructure.Database) -> None:
    async with manager(empty_database, "CREATEROLE") as url:
        await execute(empty_database.admin_url, f"ALTER DATABASE {empty_database.name} OWNER TO manager")
        beyond = Migration("tally", 1, "0001_file", "CREATE TABLE lines (line text); COPY lines FROM '/etc/hostname'")
        with pytest.raises(
            MigrationError, match="schema managed: the administrator lacks a right in the database: must be superuser"
        ):
            await migrate(url, "managed", PASSWORD, [beyond])


@pytest.mark.parametrize("name", SERVICES)
async def test_an_administrator_need_be_no_superuser(
    empty_database: infrastructure.Database, migrated: infrastructure.Database, name: str
) -> None:
    """From PostgreSQL 16 on it may change only roles that it made, or was given; `migrated` has made these."""
    async with manager(empty_database, "CREATEROLE") as url:
        await execute(
            empty_database.admin_url,
            f"ALTER DATABASE {empty_database.name} OWNER TO manager; GRANT {name} TO manager WITH ADMIN OPTION",
        )
        assert (await migrate(url, name, PASSWORD, migrations_of(name))).applied
        assert not (await migrate(url, name, PASSWORD, migrations_of(name))).applied
