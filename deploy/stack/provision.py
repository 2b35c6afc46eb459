"""What the services find in PostgreSQL: the database, and in it a role and a schema each."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from chassis.store.derived import LEFT_ASIDE
from chassis.store.migrations import Migrated, MigrationError, migrate
from deploy.stack.plan import DATABASE, SERVICES
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT


async def database(
    cluster_url: str, passwords: Mapping[str, str], services: tuple[str, ...] = SERVICES
) -> dict[str, Migrated]:
    """Makes or upgrades the schemas; returns what was done for each service. Raises `Problem`."""
    connection = await asyncpg.connect(cluster_url, timeout=10)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    except asyncpg.InsufficientPrivilegeError:
        raise Problem(
            f"there is no database {DATABASE}, and the administrator may not create it: name one that may, or create it"
        ) from None
    finally:
        await connection.close()
    done = {}
    try:
        for name in services:
            migrations = import_module(f"services.{name}.service").MIGRATIONS
            done[name] = await migrate(with_database(cluster_url, DATABASE), name, passwords[name], migrations)
    except MigrationError as fault:
        raise Problem(str(fault)) from fault
    return done


async def has_tables(cluster_url: str, name: str) -> bool:
    """Whether the schema of a service has been made."""
    try:
        connection = await asyncpg.connect(with_database(cluster_url, DATABASE), timeout=10)
    except asyncpg.InvalidCatalogNameError:
        return False
    try:
        return await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{name}.migrations")
    finally:
        await connection.close()


def rebuild(name: str, environment: Mapping[str, str]) -> None:
    """Rebuilds what is derived from a service's events, and shows how far. Raises `Problem` where it could not; cases
    that meet a defect are named, and stop nobody.
    """
    command = (sys.executable, "-m", f"services.{name}", "rebuild")
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode not in (0, LEFT_ASIDE):
        raise Problem(f"{name} could not be rebuilt (see above); the tables are as before")


def skip(name: str, environment: Mapping[str, str], words: Sequence[str]) -> None:
    """Has a service's worker step over a record, and says what it was. Raises `Problem`."""
    command = (sys.executable, "-m", f"services.{name}", "skip", *words)
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        raise Problem("nothing was stepped over (see above)")


def with_database(url: str, database: str, login: tuple[str, str | None] | None = None) -> str:
    """The same server's URL for another database and, if given, another (user, password); None: without password."""
    parts = urlsplit(url)
    network = parts.netloc
    if login is not None:
        user, password = login
        named = user if password is None else f"{user}:{quote(password, safe='')}"
        network = f"{named}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=network, path=f"/{database}"))
