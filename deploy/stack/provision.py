"""What the services find in PostgreSQL: the database, and in it a role and a schema each."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from chassis.migrate import migrate
from deploy.stack.plan import DATABASE, SERVICES
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT


async def database(cluster_url: str, passwords: Mapping[str, str], services: tuple[str, ...] = SERVICES) -> list[str]:
    """Makes what is missing; the names of the schemas that are new. Raises `Problem`."""
    connection = await asyncpg.connect(cluster_url, timeout=10)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    try:
        return [
            name
            for name in services
            if await migrate(
                with_database(cluster_url, DATABASE),
                name,
                passwords[name],
                (ROOT / "services" / name / "schema.sql").read_text(),
            )
        ]
    except RuntimeError as fault:
        raise Problem(str(fault)) from fault


def with_database(url: str, database: str, login: tuple[str, str] | None = None) -> str:
    """The same server's URL for another database and, if given, another (user, password)."""
    parts = urlsplit(url)
    network = parts.netloc if login is None else f"{login[0]}:{login[1]}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=network, path=f"/{database}"))
