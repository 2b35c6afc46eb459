"""Connections to PostgreSQL for a question or two, and the schema that is there only while something is measured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

SCHEMA = "bench"
"""The schema, and the role of a service that has it."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that is closed in the end."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def schema(url: str) -> AsyncIterator[None]:
    """There is room for the schema; in the end it is gone. `url` is an administrator's."""
    await drop(url)  # of a run that was killed
    try:
        yield
    finally:
        await drop(url)


async def drop(url: str) -> None:
    """Drops the schema and the role."""
    async with connected(url) as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", SCHEMA):
            await connection.execute(f"DROP OWNED BY {SCHEMA}; DROP ROLE {SCHEMA}")
