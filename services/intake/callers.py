"""Who calls intake: the channels they may report through, and the names their reports are filed under.

A private person, who reports with a login of their own, appears in events only under an opaque reference.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends

from chassis.web.errors import Forbidden
from chassis.web.identity import Caller
from chassis.web.reading import ScopeDep
from chassis.web.requests import CallerDep, DatabaseDep, RegistryDep, partner_behind
from contracts.intake import Channel
from contracts.roles import Role
from services.intake import queries
from services.intake.domain.commands import By

CHANNELS: Mapping[Role, tuple[Channel, ...]] = {
    Role.PARTNER: ("partner", "hotline", "open311", "sensor"),
    Role.ACCEPTOR: ("hotline", "citizen"),
    Role.DISPATCHER: ("hotline",),
    Role.SHIFT_LEADER: ("hotline",),
    Role.GRID_MEMBER: ("handset",),
    Role.REPORTER: ("citizen",),
}
"""Role -> the channels it may report through, the usual one first. Of a caller's roles the first in this table counts.
"""
ON_BEHALF = frozenset({Role.ACCEPTOR, Role.SHIFT_LEADER})
"""Who may speak for a reporter."""


def channel_of(caller: Caller, asked: Channel | None) -> Channel:
    """The channel that was asked for, or the usual one. Raises `Forbidden`."""
    allowed: list[Channel] = [
        channel for role, channels in CHANNELS.items() if role in caller.roles for channel in channels
    ]
    if asked is not None and asked not in allowed:
        roles = ", ".join(sorted(caller.roles))
        raise Forbidden(f"channel {asked} is not allowed for {roles}; allowed: {', '.join(allowed)}")
    return asked or allowed[0]


async def _own_name(caller: CallerDep, scope: ScopeDep, database: DatabaseDep) -> str | None:
    if not scope.own:
        return None
    return await queries.find_account(database, caller.subject) if caller.private else caller.subject


async def speaks_for(caller: CallerDep, registry: RegistryDep) -> By:
    """For whom the caller asks. Raises `Forbidden` for a partner that is not registered for reports."""
    partner = partner_behind(caller, registry, "reports")
    if partner is not None:
        return By.of(partner)
    return By(on_behalf=bool(caller.roles & ON_BEHALF), unit=caller.unit)


OwnNameDep = Annotated[str | None, Depends(_own_name)]
"""The name under which the caller's reports are filed; None for a private person who has filed none, and where it does
not matter who filed them.
"""
ByDep = Annotated[By, Depends(speaks_for)]
