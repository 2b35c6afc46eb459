"""A partner that is registered only while a program of ours runs, as the benchmark's is.

Beside the file of partners lies a note of the process, so that the next `make up`, or the next such program, clears
away what one that was killed has left.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chassis.kafka.connection import Connection
from deploy.partners.entries import Wanted, retired
from deploy.partners.file import change
from deploy.partners.registration import Installation, as_partner, register, unregister
from deploy.stack import identity, limits
from deploy.stack.access import partner_user
from deploy.stack.problem import Problem

_NOTE = ".passing"


@asynccontextmanager
async def passing(installation: Installation, wanted: Wanted) -> AsyncIterator[Connection]:
    """How that partner connects, registered from here to the end, without a partner's limits on the broker.

    Raises `Unacceptable`, and `Problem`, also where another process has it registered so.
    """
    folder, note = installation.partners.parent, _note(wanted.id)
    if (pid := identity.noted(folder, note)) is not None:
        raise Problem(f"process {pid} has the partner {wanted.id} registered: wait until it is done")
    clear(installation.partners)
    folder.mkdir(parents=True, exist_ok=True)
    identity.note(folder, note)
    try:
        issued = await register(installation, wanted, rotate=True)
        if installation.broker.names_user:
            await limits.put(installation.broker, partner_user(wanted.id, installation.prefix), {})
        yield as_partner(installation, wanted.id, issued.password)
    finally:
        try:
            await unregister(installation, wanted.id)
        finally:
            identity.forget(folder, note)


def clear(partners: Path) -> list[str]:
    """Registers those no longer whose process is dead; their ids. Their users go at the next `accounts.settle`."""
    cleared = []
    for file in sorted(partners.parent.glob(f".*{_NOTE}.identity")):
        partner = file.name.removeprefix(".").removesuffix(f"{_NOTE}.identity")
        if identity.noted(partners.parent, _note(partner)) is None:
            _retire(partners, partner)
            identity.forget(partners.parent, _note(partner))
            cleared.append(partner)
    return cleared


def _retire(partners: Path, partner: str) -> None:
    change(partners, lambda found: retired(found, partner))


def _note(partner: str) -> str:
    return f".{partner}{_NOTE}"
