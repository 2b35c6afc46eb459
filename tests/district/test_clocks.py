"""Clock arithmetic: known dates, and laws that hold for every start and limit."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clocks import advance, due, elapsed, is_workday, length
from contracts.reference import Calendar, Clock, Limit
from deploy.district.__main__ import HERE


def _day(date: str) -> dict[str, str]:
    return {"date": date, "name": "x", "name_en": "x"}


CALENDAR = Calendar.model_validate_json((HERE / "calendar.json").read_bytes())
BARE = CALENDAR.model_copy(update={"version": "bare", "holidays": (), "make_up_workdays": ()})
"""Without holidays."""
SPARSE = Calendar.model_validate(
    {
        **CALENDAR.model_dump(),
        "version": "sparse",
        "years": (2026,),
        "weekdays": (2, 4, 5),
        "holidays": [_day("2026-05-07"), _day("2026-05-08"), _day("2026-05-11")],
        "make_up_workdays": [_day("2026-05-12"), _day("2026-05-13")],
    }
)
"""Of three weekdays; one holiday falls on a day that is no workday anyway, one make-up workday on one that is."""
CALENDARS = st.sampled_from([CALENDAR, BARE, SPARSE])
CHENGDU = ZoneInfo(CALENDAR.time_zone)
MICROSECOND = timedelta(microseconds=1)
CLOCKS: tuple[Clock, ...] = ("continuous", "working_hours", "working_days", "calendar_days")
WORKING: tuple[Clock, ...] = ("working_hours", "working_days")

starts = st.datetimes(datetime(2024, 12, 1), datetime(2027, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(0), timedelta(days=60))
limits = st.builds(
    lambda amount, kind: Limit(amount=amount, unit=kind[0], clock=kind[1]),
    st.integers(1, 60),
    st.sampled_from(
        [
            ("minutes", "continuous"),
            ("hours", "continuous"),
            ("days", "continuous"),
            ("minutes", "working_hours"),
            ("hours", "working_hours"),
            ("days", "working_days"),
            ("days", "calendar_days"),
        ]
    ),
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHENGDU)


def limit(amount: int, unit: str, clock: str) -> Limit:
    return Limit.model_validate({"amount": amount, "unit": unit, "clock": clock})


@pytest.mark.parametrize(
    ("start", "given_limit", "expected"),
    [
        ("2026-05-09T10:00", limit(90, "minutes", "continuous"), "2026-05-09T11:30"),
        ("2026-05-09T10:00", limit(1, "days", "continuous"), "2026-05-10T10:00"),
        ("2026-05-08T11:00", limit(2, "hours", "working_hours"), "2026-05-08T15:00"),
        ("2026-05-08T08:00", limit(4, "hours", "working_hours"), "2026-05-08T12:00"),
        ("2026-05-08T12:00", limit(1, "minutes", "working_hours"), "2026-05-08T14:01"),
        ("2026-05-08T12:30", limit(4, "hours", "working_hours"), "2026-05-08T18:00"),
        # Saturday 9 May 2026 is a make-up workday, Sunday is none.
        ("2026-05-08T17:00", limit(2, "hours", "working_hours"), "2026-05-09T09:00"),
        ("2026-05-09T17:00", limit(2, "hours", "working_hours"), "2026-05-11T09:00"),
        ("2026-05-08T10:00", limit(2, "days", "working_days"), "2026-05-11T10:00"),
        # From the eve of the Labour Day holiday (1-5 May).
        ("2026-04-30T16:00", limit(1, "days", "working_days"), "2026-05-06T16:00"),
        ("2026-05-02T03:00", limit(1, "days", "working_days"), "2026-05-06T18:00"),
        ("2026-05-08T20:00", limit(3, "days", "working_days"), "2026-05-12T18:00"),
        # Across the nine days of the Spring Festival and its make-up days on 14 and 28 February.
        ("2026-02-13T09:00", limit(5, "days", "working_days"), "2026-02-27T09:00"),
        ("2026-02-13T09:00", limit(6, "days", "working_days"), "2026-02-28T09:00"),
        ("2026-05-01T23:00", limit(7, "days", "calendar_days"), "2026-05-08T23:00"),
    ],
)
def test_known_due_dates(start, given_limit, expected):
    assert due(local(start), given_limit, CALENDAR) == local(expected)


@given(starts, limits)
def test_a_due_date_is_in_utc_and_after_its_start(start, given_limit):
    at = due(start, given_limit, CALENDAR)
    assert at.tzinfo is UTC
    assert at > start


@given(starts, spans, limits)
def test_a_later_start_is_never_due_earlier(start, later, given_limit):
    assert due(start, given_limit, CALENDAR) <= due(start + later, given_limit, CALENDAR)


@given(starts, limits, st.integers(1, 30))
def test_a_longer_limit_is_due_later(start, given_limit, more):
    longer = given_limit.model_copy(update={"amount": given_limit.amount + more})
    assert due(start, given_limit, CALENDAR) < due(start, longer, CALENDAR)


@given(starts, spans, spans, st.sampled_from(CLOCKS))
def test_advancing_twice_is_advancing_by_the_sum(start, first, second, clock):
    twice = advance(advance(start, first, clock, CALENDAR), second, clock, CALENDAR)
    assert twice == advance(start, first + second, clock, CALENDAR)


@given(starts, limits)
def test_an_extension_by_one_limit_is_the_limit_twice(start, given_limit):
    doubled = given_limit.model_copy(update={"amount": 2 * given_limit.amount})
    assert due(due(start, given_limit, CALENDAR), given_limit, CALENDAR) == due(start, doubled, CALENDAR)


@given(starts, spans, st.sampled_from(CLOCKS))
def test_elapsed_undoes_advance(start, by, clock):
    assert elapsed(start, advance(start, by, clock, CALENDAR), clock, CALENDAR) == by


@given(starts, spans, spans, st.sampled_from(CLOCKS))
def test_elapsed_time_adds_up_and_changes_sign(start, first, second, clock):
    middle, end = start + first, start + first + second
    whole = elapsed(start, end, clock, CALENDAR)
    assert elapsed(start, middle, clock, CALENDAR) + elapsed(middle, end, clock, CALENDAR) == whole
    assert elapsed(end, start, clock, CALENDAR) == -whole


@given(starts, spans.filter(bool), st.sampled_from(WORKING))
def test_a_working_clock_ends_in_working_time_and_at_its_first_instant(start, by, clock):
    at = advance(start, by, clock, CALENDAR)
    # A close counts as the end of its span, so it is the instant before that lies inside.
    assert is_working_time_by_list(at - MICROSECOND)
    assert elapsed(start, at - MICROSECOND, clock, CALENDAR) == by - MICROSECOND


@given(starts, spans.filter(bool), st.sampled_from(WORKING), CALENDARS)
def test_a_working_clock_agrees_with_counting_day_by_day(start, by, clock, calendar):
    expected = by
    at = start.astimezone(CHENGDU)
    while True:
        for opens, closes in ((8, 12), (14, 18)):
            begins = max(at, at.replace(hour=opens, minute=0, second=0, microsecond=0))
            ends = at.replace(hour=closes, minute=0, second=0, microsecond=0)
            if begins < ends and is_workday_by_list(at, calendar):
                if expected <= ends - begins:
                    assert advance(start, by, clock, calendar) == begins + expected
                    return
                expected -= ends - begins
        at = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def is_workday_by_list(at: datetime, calendar: Calendar) -> bool:
    day = at.date()
    if day in {made_up.date for made_up in calendar.make_up_workdays}:
        return True
    return at.isoweekday() in calendar.weekdays and day not in {holiday.date for holiday in calendar.holidays}


def is_working_time_by_list(at: datetime) -> bool:
    local = at.astimezone(CHENGDU)
    return is_workday_by_list(local, CALENDAR) and (8 <= local.hour < 12 or 14 <= local.hour < 18)


@given(starts, CALENDARS)
def test_workdays_agree_with_the_lists(start, calendar):
    at = start.astimezone(CHENGDU)
    assert is_workday(at.date(), calendar) == is_workday_by_list(at, calendar)


@pytest.mark.parametrize("calendar", [CALENDAR, BARE, SPARSE], ids=lambda one: one.version)
def test_every_day_of_a_year_is_a_workday_as_the_lists_say_and_ends_the_days_before_it(calendar):
    first = next(day for day in range(31) if is_workday_by_list(local("2026-01-01T18:00") + timedelta(day), calendar))
    begin, count = local("2026-01-01T18:00") + timedelta(first), 0
    for day in range(first + 1, 365):
        at = local("2026-01-01T18:00") + timedelta(day)
        worked = is_workday_by_list(at, calendar)
        assert is_workday(at.date(), calendar) == worked
        if worked:
            count += 1
            assert due(begin, limit(count, "days", "working_days"), calendar) == at


@given(starts, st.sampled_from(CLOCKS))
def test_no_time_at_all_ends_where_it_starts_also_outside_working_time(start, clock):
    at = advance(start.astimezone(CHENGDU), timedelta(0), clock, CALENDAR)
    assert (at, at.tzinfo) == (start, UTC)


def test_a_deadline_after_the_last_date_there_is_is_an_error():
    last = local("9999-12-31T18:00")
    assert due(last - timedelta(hours=2), limit(2, "hours", "working_hours"), CALENDAR) == last
    with pytest.raises(ValueError, match="out of range"):
        due(last, limit(1, "hours", "working_hours"), CALENDAR)


@given(starts, limits, spans, spans)
def test_a_suspended_clock_stands_still(start, given_limit, until_suspended, suspended):
    """What dispatch does at a suspension: measure what has run, and advance by the rest from its end."""
    suspended_at = min(start + until_suspended, due(start, given_limit, CALENDAR) - MICROSECOND)
    resumed_at = suspended_at + suspended
    used = elapsed(start, suspended_at, given_limit.clock, CALENDAR)
    rest = length(given_limit, CALENDAR) - used
    at = advance(resumed_at, rest, given_limit.clock, CALENDAR)
    assert used + elapsed(resumed_at, at, given_limit.clock, CALENDAR) == length(given_limit, CALENDAR)
    assert at >= due(start, given_limit, CALENDAR)


@given(starts, limits)
def test_the_offset_of_the_start_does_not_matter(start, given_limit):
    elsewhere = start.astimezone(ZoneInfo("America/New_York"))
    assert due(elsewhere, given_limit, CALENDAR) == due(start, given_limit, CALENDAR)


def test_calendar_days_keep_the_wall_clock_across_a_change_of_offset():
    new_york = CALENDAR.model_copy(update={"time_zone": "America/New_York", "version": "new-york"})
    start = datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("America/New_York"))
    at = due(start, limit(1, "days", "calendar_days"), new_york)
    assert at - start.astimezone(UTC) == timedelta(hours=23)
    assert at.astimezone(ZoneInfo("America/New_York")).hour == 12


def test_a_time_without_offset_and_a_negative_span_are_refused():
    with pytest.raises(ValueError, match="needs an offset"):
        due(datetime(2026, 5, 9), limit(1, "hours", "continuous"), CALENDAR)  # noqa: DTZ001 - the point of it
    naive, aware = datetime(2026, 5, 9), local("2026-05-09T10:00")  # noqa: DTZ001 - the point of it
    for clock in CLOCKS:
        for start, end in ((naive, naive), (naive, aware), (aware, naive)):
            with pytest.raises(ValueError, match="needs an offset"):
                elapsed(start, end, clock, CALENDAR)
    with pytest.raises(ValueError, match="must not be negative"):
        advance(local("2026-05-09T10:00"), -MICROSECOND, "continuous", CALENDAR)
