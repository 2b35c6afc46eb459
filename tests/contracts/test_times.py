"""Which instant counts: laws over all claims."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.times import Counted, counted

NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

_DISTANCES = st.timedeltas(timedelta(days=-400), timedelta(days=400)) | st.sampled_from(
    [timedelta(0), MINUTE, -MINUTE, MINUTE + timedelta.resolution, -MINUTE - timedelta.resolution]
)
_CLAIMS = _DISTANCES.map(lambda distance: NOON + distance)
_EARLIER = st.none() | st.timedeltas(timedelta(0), timedelta(days=30)).map(lambda before: NOON - before)
_SKEWS = st.timedeltas(timedelta(0), timedelta(hours=1))


@given(_SKEWS, _EARLIER, st.booleans())
def test_without_a_claim_the_arrival_counts(skew: timedelta, earliest: datetime | None, believed: bool) -> None:
    found = counted(None, NOON, skew=skew, earliest=earliest, believed=believed)
    assert found == Counted(NOON)
    assert (found.at, found.claimed_at, found.doubtful) == (NOON, None, False)


@given(_CLAIMS | st.none(), st.booleans())
def test_nothing_arrives_before_what_it_follows(claimed: datetime | None, believed: bool) -> None:
    follows = NOON + MINUTE
    found = counted(claimed, NOON, skew=MINUTE, earliest=follows, believed=believed)
    assert found == counted(claimed, follows, skew=MINUTE, earliest=follows, believed=believed)
    assert found.at == follows


@given(_CLAIMS, _SKEWS, _EARLIER)
def test_the_arrival_counts_whatever_is_claimed(claimed: datetime, skew: timedelta, earliest: datetime | None) -> None:
    assert counted(claimed, NOON, skew=skew, earliest=earliest).at == NOON


@given(_CLAIMS, _SKEWS, _EARLIER)
def test_a_claim_that_is_believed_counts_between_what_went_before_and_the_arrival(
    claimed: datetime, skew: timedelta, earliest: datetime | None
) -> None:
    at = counted(claimed, NOON, skew=skew, earliest=earliest, believed=True).at
    assert at <= NOON
    assert earliest is None or earliest <= at
    if claimed <= NOON and (earliest is None or earliest <= claimed):
        assert at == claimed


@given(_CLAIMS, _SKEWS, _EARLIER, st.booleans())
def test_a_claim_stands_beside_what_counts_exactly_where_it_differs(
    claimed: datetime, skew: timedelta, earliest: datetime | None, believed: bool
) -> None:
    found = counted(claimed, NOON, skew=skew, earliest=earliest, believed=believed)
    assert found.claimed_at == (None if found.at == claimed else claimed)


@given(_CLAIMS, _SKEWS, _EARLIER, st.booleans())
def test_a_claim_is_doubtful_exactly_outside_its_bounds(
    claimed: datetime, skew: timedelta, earliest: datetime | None, believed: bool
) -> None:
    ahead, before = claimed - NOON > skew, earliest is not None and earliest - claimed > skew
    found = counted(claimed, NOON, skew=skew, earliest=earliest, believed=believed)
    assert found.doubtful is (ahead or before)


def test_the_bounds_themselves_are_inside() -> None:
    assert not counted(NOON + MINUTE, NOON, skew=MINUTE).doubtful
    assert counted(NOON + MINUTE + timedelta.resolution, NOON, skew=MINUTE).doubtful
    assert not counted(NOON - MINUTE, NOON, skew=MINUTE, earliest=NOON).doubtful
    assert counted(NOON - MINUTE - timedelta.resolution, NOON, skew=MINUTE, earliest=NOON).doubtful
