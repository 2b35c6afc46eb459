"""A clock that is wrong dates nothing and decides no deadline, says so, and is believed again when it is right."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.clock import FileClock, WitnessedClock, unmoved, witnessed
from chassis.retry import NotNow

START = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTES = timedelta(minutes=10)
SECOND = timedelta(seconds=1)


class Machine:
    """Two machines, the database's and this one, that show the time with an error of their own."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.error = self.database_error = timedelta(0)
        self.clock = WitnessedClock(lambda: self.time + self.error, lambda: 1000 + self.seconds)

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def later(self, seconds: float = 5) -> str | None:
        """What is in doubt after that time and another comparison."""
        self.seconds += seconds
        self.clock.compare(self.time + self.error, self.time + self.database_error)
        return self.clock.doubt

    def right(self) -> bool:
        """Whether the clock is, as near as clocks that agree are."""
        return abs(self.clock() - self.time) <= timedelta(seconds=20)


def agreed() -> Machine:
    machine = Machine()
    assert machine.later() is None
    return machine


@pytest.mark.parametrize("by", [DAY, -DAY, MINUTES, -MINUTES])
def test_a_machine_that_is_set_wrong_dates_nothing_wrongly_from_the_first_moment(by: timedelta) -> None:
    machine = agreed()
    machine.error = by
    assert machine.clock() == machine.time
    assert machine.clock.doubt == f"the machine's clock was moved by {by.total_seconds():.0f} seconds"
    for _ in range(1000):
        assert "the machine's clock and the database's differ by" in (machine.later() or "")
        assert machine.clock() == machine.time
    machine.error = timedelta(0)
    assert machine.later() is None
    assert machine.right()


def test_a_database_that_is_set_wrong_dates_nothing_wrongly() -> None:
    machine = agreed()
    machine.database_error = DAY
    assert machine.later() == "the machine's clock and the database's differ by 86400 seconds"
    assert machine.clock() == machine.time
    machine.database_error = timedelta(0)
    assert machine.later() is None


def test_both_clocks_of_one_machine_that_are_moved_for_seconds_count_for_nothing() -> None:
    machine = agreed()
    machine.error = machine.database_error = DAY
    for _ in range(3):
        assert machine.later() == "the machine's clock and the database's were both moved by 86400 seconds"
        assert machine.clock() == machine.time
    machine.error = machine.database_error = timedelta(0)
    assert machine.later() is None
    assert machine.right()


def test_both_clocks_that_stand_where_they_were_moved_to_are_right_after_a_minute() -> None:
    """As after a machine was paused, and hears what time it is."""
    machine = agreed()
    machine.error = machine.database_error = DAY
    assert [machine.later(20) is None for _ in range(5)] == [False, False, False, True, True]
    assert machine.clock() == machine.time + DAY


def test_a_process_that_starts_with_a_wrong_clock_waits_until_it_is_right() -> None:
    machine = Machine()
    with pytest.raises(NotNow, match="the time is not known: the machine's clock has not been compared"):
        machine.clock()
    machine.error = MINUTES
    assert machine.later() is not None
    with pytest.raises(NotNow, match="differ by 600 seconds"):
        machine.clock()
    assert machine.clock.best() == machine.time + MINUTES
    machine.error = timedelta(0)
    assert machine.later() is None
    assert machine.right()


@given(st.lists(st.tuples(st.sampled_from(["machine", "database"]), st.integers(-(10**6), 10**6), st.integers(1, 30))))
def test_while_one_of_the_two_is_right_the_time_is(errors: list[tuple[str, int, int]]) -> None:
    machine = agreed()
    for whose, seconds, after in errors:
        machine.error = timedelta(seconds=seconds) if whose == "machine" else timedelta(0)
        machine.database_error = timedelta(seconds=seconds) if whose == "database" else timedelta(0)
        assert machine.right()
        machine.later(after)
        assert machine.right()
        machine.error = machine.database_error = timedelta(0)
        machine.later(1)
        assert machine.clock.doubt is None


def test_an_answer_of_the_database_that_took_long_is_no_difference() -> None:
    machine = agreed()
    before = machine.time
    machine.seconds += 60
    machine.clock.compare(before, before + 30 * SECOND)
    assert machine.clock.doubt is None


def test_a_clock_that_a_file_moves_is_witnessed_below_the_file(tmp_path: Path) -> None:
    machine = agreed()
    clock = FileClock(tmp_path / "clock.json", machine.clock)
    (tmp_path / "clock.json").write_text(f'{{"real": {machine.time.timestamp()}, "virtual": 0, "rate": 60}}')
    machine.seconds += 1
    machine.error = DAY
    assert clock() == datetime.fromtimestamp(60, UTC)
    assert witnessed(clock) is machine.clock
    assert unmoved(clock)() == machine.time
