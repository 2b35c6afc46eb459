"""The time, as an input: the machine's clock held against two witnesses, or one that a file moves for development.

wall_clock       what the machine says
WitnessedClock   the same as long as the database's clock, and the time that has passed, agree with it
FileClock        moves and hastens the time of the machine
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chassis.retry import NotNow

Clock = Callable[[], datetime]
"""Gives the current instant in UTC. A clock that cannot say raises `NotNow`."""

AGREEMENT = timedelta(seconds=10)
"""How far two clocks that agree may differ. Hosts that keep their time by NTP differ by milliseconds."""
_STANDS_SECONDS = 60.0
"""How long both clocks must stand where they have been moved to together, until that counts as the time."""
_LOOK_AGAIN_SECONDS = 0.05
_PASSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def wall_clock() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def passed() -> float:
    """The seconds that have passed since the machine started, also while it slept. Nobody can set them."""
    return time.clock_gettime(_PASSED)


class WitnessedClock:
    """The machine's time while the database's clock agrees with it; else the last time on which they agreed, carried on
    by the seconds that have passed. So neither clock dates anything wrongly when it is set wrong, and each is believed
    again when it is right again. Raises `NotNow` until they have agreed once.
    """

    def __init__(self, machine: Clock = wall_clock, passed: Callable[[], float] = passed) -> None:
        self.machine = machine
        self._passed = passed
        self._agreed: tuple[datetime, float] | None = None
        self._moved_at: float | None = None
        self.fault: str | None = "the machine's clock has not been compared with the database's yet"
        """What the last comparison found; None where they agreed."""

    def __call__(self) -> datetime:
        if self._agreed is None:
            raise NotNow(f"the time is not known: {self.fault}")
        return self.best()

    def best(self) -> datetime:
        """The same; what the machine says where they have never agreed."""
        now = self.machine()
        return now if abs(self._moved(now)) <= AGREEMENT else now - self._moved(now)

    @property
    def doubt(self) -> str | None:
        """Why the time is in doubt now, also where that is newer than the last comparison; None where it is not."""
        moved = self._moved(self.machine())
        if self.fault is None and abs(moved) > AGREEMENT:
            return f"the machine's clock was moved by {moved.total_seconds():.0f} seconds"
        return self.fault

    def compare(self, before: datetime, witness: datetime) -> None:
        """Takes in what the database's clock said between `before`, by this machine's clock, and now."""
        now, since = self.machine(), self._passed()
        apart, moved = max(witness - now, before - witness), self._moved(now)
        if apart > AGREEMENT:
            self._moved_at = None
            self.fault = f"the machine's clock and the database's differ by {apart.total_seconds():.0f} seconds"
            return
        if abs(moved) > AGREEMENT:
            self._moved_at = since if self._moved_at is None else self._moved_at
            if since - self._moved_at < _STANDS_SECONDS:
                self.fault = (
                    f"the machine's clock and the database's were both moved by {moved.total_seconds():.0f} seconds"
                )
                return
        self._agreed, self._moved_at, self.fault = (now, since), None, None

    def _moved(self, now: datetime) -> timedelta:
        """How far the machine's clock is from where the seconds that have passed have carried the last agreement."""
        if self._agreed is None:
            return timedelta(0)
        at, since = self._agreed
        return now - at - timedelta(seconds=self._passed() - since)


class FileClock:
    """Reads `{"real": s, "virtual": s, "rate": r}` (POSIX seconds): at `real` it was `virtual`, and time runs `rate`
    times as fast since. While the file is absent it is the machine's clock. The file is to be replaced atomically.
    """

    def __init__(self, path: Path, machine: Clock = wall_clock) -> None:
        self.machine = machine
        self._path = path
        self._looked_at = 0.0
        self._changed_at: int | None = None
        self._law: tuple[float, float, float] | None = None

    def __call__(self) -> datetime:
        now = self.machine().timestamp()
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
    """The clock the settings ask for; what is to be witnessed of it is the machine's."""
    return WitnessedClock() if path is None else FileClock(path, WitnessedClock())


def witnessed(clock: Clock) -> WitnessedClock | None:
    """The witnessed clock that this one is, or moves; None where there is none."""
    clock = clock.machine if isinstance(clock, FileClock) else clock
    return clock if isinstance(clock, WitnessedClock) else None


def unmoved(clock: Clock) -> Clock:
    """The best that is known of the real time, where `clock` may be one that is moved: never raises."""
    found = witnessed(clock)
    return wall_clock if found is None else found.best
