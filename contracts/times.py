"""Which instant counts: when something reached Casegrid, whatever was claimed of it.

Lateness counts from arrival: over HTTP by the service's clock, on `from.<partner>` by the broker's. Only in a case
that was entered long after the fact does the claimed time count, for nothing else is known; but not against what went
before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.fields import instant

AHEAD = timedelta(hours=1)
"""How far a fact's instants may lie ahead: its `time` of when it was recorded, and both of its reader's clock.

Between two machines in order it is milliseconds. A fact beyond the bound takes no effect, or whatever is counted from
it would pass a time zone, or a year, too late. Claims of people and partners are no facts: see `counted`.
"""


def ahead(at: datetime, clock: datetime) -> str | None:
    """Why a fact with that instant cannot take effect where the clock says so; None if it can."""
    if at <= clock:
        return None
    return f"{instant(at)} lies more than an hour ahead of {instant(clock)}" if at > clock + AHEAD else None


@dataclass(frozen=True, slots=True)
class Counted:
    """`at` counts; `claimed_at` is what was claimed instead, if anything; `doubtful`: that cannot be."""

    at: datetime
    claimed_at: datetime | None = None
    doubtful: bool = False


def counted(
    claimed: datetime | None,
    arrived: datetime,
    *,
    skew: timedelta,
    earliest: datetime | None = None,
    believed: bool = False,
) -> Counted:
    """What counts of a claim that arrived then. Never a reason to refuse.

    Doubtful is a claim more than `skew` ahead of its arrival, or more than `skew` before `earliest`, the instant of
    what it follows. `believed`: the claim counts, kept between `earliest` and the arrival.
    """
    if earliest is not None:
        arrived = max(arrived, earliest)  # two clocks may differ; nothing arrives before what it follows
    if claimed is None:
        return Counted(arrived)
    doubtful = claimed > arrived + skew or (earliest is not None and claimed < earliest - skew)
    at = arrived
    if believed:
        at = min(max(claimed, earliest) if earliest is not None else claimed, arrived)
    return Counted(at, claimed if claimed != at else None, doubtful)
