"""The time, as an input: the machine's clock, or for development one that a file moves and hastens."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

Clock = Callable[[], datetime]
"""Gives the current instant in UTC."""

_LOOK_AGAIN_SECONDS = 0.05


def wall_clock() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class FileClock:
    """Reads `{"real": s, "virtual": s, "rate": r}` (POSIX seconds): at `real` it was `virtual`, and time runs `rate`
    times
    as fast since. While the file is absent it is the machine's clock. The file is to be replaced atomically.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = 0.0
        self._changed_at: int | None = None
        self._law: tuple[float, float, float] | None = None

    def __call__(self) -> datetime:
        now = time.time()
        if abs(now - self._looked_at) > _LOOK_AGAIN_SECONDS:
            self._look(now)
        if self._law is None:
            return datetime.fromtimestamp(now, UTC)
        real, virtual, rate = self._law
        return datetime.fromtimestamp(virtual + (now - real) * rate, UTC)

    def _look(self, now: float) -> None:
        self._looked_at = now
        try:
            changed_at = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            self._changed_at = self._law = None
            return
        if changed_at != self._changed_at:
            law = json.loads(self._path.read_bytes())
            self._law = (float(law["real"]), float(law["virtual"]), float(law["rate"]))
            self._changed_at = changed_at


def clock_of(path: Path | None) -> Clock:
    """The clock the settings ask for."""
    return wall_clock if path is None else FileClock(path)
