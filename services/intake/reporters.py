"""Writes to the table of reporters, the only place with a person's name and telephone number.

Every statement writes one row, and no transaction writes two, so two writers never deadlock here.
"""

import secrets

from chassis.store.database import Connection


class Taken(Exception):
    """The person with this login got another reference meanwhile, by a report that came at the same time."""


def new_reference() -> str:
    """A reference that says nothing about the person."""
    return f"reporter:{secrets.token_hex(12)}"


async def open_account(
    connection: Connection, *, reporter_ref: str, subject: str, name: str | None, phone: str | None
) -> None:
    """Stores that a new reference stands for the person with this login. Raises `Taken`."""
    opened = await connection.fetchval(
        "INSERT INTO reporters (reporter_ref, subject, name, phone) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (subject) DO NOTHING RETURNING true",
        reporter_ref,
        subject,
        name,
        phone,
    )
    if not opened:
        raise Taken(reporter_ref)


async def remember(connection: Connection, *, reporter_ref: str, name: str | None, phone: str | None) -> None:
    """Stores who a new reference stands for."""
    await connection.execute(
        "INSERT INTO reporters (reporter_ref, name, phone) VALUES ($1, $2, $3)", reporter_ref, name, phone
    )


async def update(connection: Connection, *, reporter_ref: str, name: str | None, phone: str | None) -> None:
    """Stores what a person with a login says of themselves; nothing if they were erased meanwhile."""
    await connection.execute(
        "UPDATE reporters SET name = coalesce($2, name), phone = coalesce($3, phone) WHERE reporter_ref = $1",
        reporter_ref,
        name,
        phone,
    )


async def erase(connection: Connection, reporter_ref: str) -> bool:
    """Deletes the row that says who a reference stands for; returns whether there was one."""
    found = await connection.fetchrow("DELETE FROM reporters WHERE reporter_ref = $1 RETURNING true", reporter_ref)
    return found is not None
