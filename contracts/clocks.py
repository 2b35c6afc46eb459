"""Clock arithmetic: from a start and a limit to the instant it is due, and back, on the four kinds of clock.

    continuous      real time
    working_hours   runs only inside the calendar's working hours on its workdays
    working_days    the same clock, one day being the hours of one workday; so a day begun outside working time ends
                    with the workday it falls on
    calendar_days   local wall-clock time: N days later, same time of day

Every clock is linear in its own time: advancing by a, then by b, is advancing by a + b; `elapsed` undoes `advance`.
A suspension is therefore: measure what has elapsed until it, and advance by the rest from its end.
Instants go in with any offset and come out in UTC.
"""

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from contracts.reference import Calendar, Clock, Limit

MONDAY = date(1, 1, 1).toordinal()


def due(start: datetime, limit: Limit, calendar: Calendar) -> datetime:
    """When a limit that starts at `start` is reached: the first instant at which its clock has run in full."""
    return advance(start, length(limit, calendar), limit.clock, calendar)


def length(limit: Limit, calendar: Calendar) -> timedelta:
    """A limit in its clock's own time; a working day is as long as the working hours of a workday."""
    if limit.clock == "working_days":
        return limit.amount * _timetable(calendar).day
    return timedelta(**{limit.unit: limit.amount})


def advance(start: datetime, by: timedelta, clock: Clock, calendar: Calendar) -> datetime:
    """The first instant at which `clock`, running since `start`, has run for `by`. `by` must not be negative."""
    if by < timedelta(0):
        raise ValueError(f"by must not be negative, is {by}")
    _refuse_naive(start)
    if clock == "continuous":
        return start.astimezone(UTC) + by
    timetable = _timetable(calendar)
    local = timetable.local(start)
    if clock == "calendar_days":
        return timetable.utc(local + by)
    if by == timedelta(0):
        return start.astimezone(UTC)
    return timetable.utc(timetable.when(timetable.worked(local) + by))


def elapsed(start: datetime, end: datetime, clock: Clock, calendar: Calendar) -> timedelta:
    """How long `clock` has run from `start` to `end`; negative if `end` comes first."""
    _refuse_naive(start)
    _refuse_naive(end)
    if clock == "continuous":
        return end - start
    timetable = _timetable(calendar)
    if clock == "calendar_days":
        return timetable.local(end) - timetable.local(start)
    return timetable.worked(timetable.local(end)) - timetable.worked(timetable.local(start))


def is_workday(day: date, calendar: Calendar) -> bool:
    """Whether a local date is a workday: a weekday that is no holiday, or a make-up workday."""
    timetable = _timetable(calendar)
    return timetable.workdays_before(day.toordinal() + 1) > timetable.workdays_before(day.toordinal())


def _refuse_naive(at: datetime) -> None:
    if at.tzinfo is None:
        raise ValueError(f"an instant needs an offset, {at.isoformat()} has none")


class _Timetable:
    """Working time as one number line: how much of it lies before a local time, and the way back, without day loops."""

    def __init__(self, calendar: Calendar) -> None:
        self.zone = ZoneInfo(calendar.time_zone)
        self.opens = [_offset(hours.starts) for hours in calendar.working_hours]
        self.spans = [_offset(hours.ends) - _offset(hours.starts) for hours in calendar.working_hours]
        self.before_span = list(accumulate(self.spans, initial=timedelta(0)))
        self.day = self.before_span[-1]
        self.weekdays_before = [sum(d <= n for d in calendar.weekdays) for n in range(7)]
        self.per_week = len(set(calendar.weekdays))
        changes = [(day.date, -1) for day in calendar.holidays if day.date.isoweekday() in calendar.weekdays]
        changes += [
            (day.date, 1) for day in calendar.make_up_workdays if day.date.isoweekday() not in calendar.weekdays
        ]
        changes.sort()
        self.changed = [day.toordinal() for day, _ in changes]
        self.change_before = list(accumulate((by for _, by in changes), initial=0))

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None)

    def utc(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def workdays_before(self, ordinal: int) -> int:
        weeks, rest = divmod(ordinal - MONDAY, 7)
        changes = self.change_before[bisect_left(self.changed, ordinal)]
        return weeks * self.per_week + self.weekdays_before[rest] + changes

    def nth_workday(self, n: int) -> int:
        """The ordinal of the workday that has `n` workdays before it; past the last date there is, no date's."""
        ordinals = range(date.max.toordinal() + 1)
        return bisect_right(ordinals, n, key=lambda ordinal: self.workdays_before(ordinal + 1))

    def worked(self, local: datetime) -> timedelta:
        """Working time from the beginning of the calendar to a local time."""
        ordinal = local.toordinal()
        days = self.workdays_before(ordinal)
        today = timedelta(0)
        if self.workdays_before(ordinal + 1) > days:
            clock = _offset(local.time())
            for opens, span in zip(self.opens, self.spans, strict=True):
                today += min(max(clock - opens, timedelta(0)), span)
        return days * self.day + today

    def when(self, worked: timedelta) -> datetime:
        """The first local time with `worked` working time before it; on a boundary, a close rather than an opening."""
        days, rest = divmod(worked, self.day)
        if rest == timedelta(0):
            days, rest = days - 1, self.day
        span = bisect_left(self.before_span, rest) - 1
        midnight = datetime.fromordinal(self.nth_workday(days))
        return midnight + self.opens[span] + (rest - self.before_span[span])


def _offset(clock: time) -> timedelta:
    return timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)


@lru_cache(maxsize=16)
def _timetable(calendar: Calendar) -> _Timetable:
    return _Timetable(calendar)
