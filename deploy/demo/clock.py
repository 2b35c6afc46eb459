"""The stack's clock, moved by a file: virtual time runs as fast as a scene needs, and never backwards."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

CHENGDU = ZoneInfo("Asia/Shanghai")
_AHEAD_SECONDS = 0.15
"""Longer than a service takes to look at the file again: a slower law begins that much later, so no clock runs back."""


class Stage:
    """The clock file while it exists; `close` gives the stack its own clock back."""

    def __init__(self, file: Path, starts: datetime, rate: float) -> None:
        self._file = file
        self._real = time.time()
        self._first = starts.astimezone(CHENGDU)
        self._virtual = starts.timestamp()
        self._rate = rate
        self._write()

    def now(self) -> datetime:
        """What time it is on stage."""
        return datetime.fromtimestamp(self._at(time.time()), UTC)

    async def until(self, day: int, clock: str, *, seconds: float) -> None:
        """Lets time fly to that hour of the first or second day within so many real seconds, then go slowly again."""
        hour, minute = map(int, clock.split(":"))
        date = self._first + timedelta(days=day - 1)
        target = date.replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()
        slow, distance = self._rate, target - self._at(time.time())
        if distance > 0:
            self._turn(max(slow, distance / seconds))
            await asyncio.sleep((target - self._at(time.time())) / self._rate)
            self._turn(slow)

    def close(self) -> None:
        """Takes the file away."""
        self._file.unlink(missing_ok=True)

    def _at(self, real: float) -> float:
        return self._virtual + (real - self._real) * self._rate

    def _turn(self, rate: float) -> None:
        now = time.time()
        self._virtual = self._at(now + _AHEAD_SECONDS) if rate < self._rate else self._at(now)
        self._real, self._rate = now, rate
        self._write()

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps({"real": self._real, "virtual": self._virtual, "rate": self._rate}))
        beside.replace(self._file)
