"""When each step of a case happened: as the row says, and where it says nothing, some time within the limits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.replay.district import share
from deploy.replay.rows import Report

_LOOK = timedelta(minutes=10)
_CHECK = timedelta(hours=1)
_EARLIEST, _LATEST = 0.3, 0.95
"""The shares of the limit between which work ends whose end is unknown."""


@dataclass(frozen=True, slots=True)
class Times:
    """Of one report. Instants are in order and never later than `now`."""

    report: Report
    now: datetime

    def looked_at(self) -> datetime:
        """When somebody ruled on it or verified it, before it was given out."""
        look = _LOOK
        if self.report.ended_at is not None:
            look = min(look, (self.report.ended_at - self.report.reported_at) / 10)
        return min(self.report.reported_at + look, self.now)

    def resolved_at(self, resolve_by: datetime) -> datetime:
        """When the work ended: at its limit for what was still open, else as the row says, else within the limit."""
        since = self.report.reported_at
        if self.report.ended_at is not None:
            ended_at = self.report.ended_at
        elif self.report.open:
            ended_at = resolve_by
        else:
            part = _EARLIEST + (_LATEST - _EARLIEST) * share(self.report.external_id)
            ended_at = since + (resolve_by - since) * part
        return max(since, min(ended_at, self.now))

    def acknowledged_at(self, acknowledge_by: datetime, resolved_at: datetime) -> datetime:
        """When the unit took it on: half-way to the limit, or soon where the work was done early."""
        since = self.report.reported_at
        return max(since, min(since + (acknowledge_by - since) / 2, since + (resolved_at - since) * 0.3))

    def checked_at(self, resolved_at: datetime) -> datetime:
        """When somebody checked the work."""
        return min(resolved_at + _CHECK, self.now)
