"""When the values of an event hold."""

from datetime import UTC, datetime, timedelta

import isodate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.domain.coordination import DrEvent, Interval, IntervalPeriod, Span, start_offset, unfold
from flexmeasures.domain.errors import InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(*intervals: Interval, **fields: object) -> DrEvent:
    """Make an event that arrives at noon."""
    return DrEvent(id="e", version=NOON, received_at=NOON, intervals=intervals, **fields)


def prices(*numbers: float, number: int = 0, period: IntervalPeriod | None = None) -> Interval:
    """Make an interval of prices."""
    return Interval(number, {"PRICE": numbers}, period)


def test_intervals_without_a_period_follow_each_other_by_the_default_of_the_event():
    """Two intervals under a default of one hour from 12:00 hold from 12 to 13 and from 13 to 14 o'clock."""
    spans = unfold(event(prices(1), prices(2, number=1), period=IntervalPeriod(NOON, HOUR)), "PRICE")
    assert spans == (Span(NOON, NOON + HOUR, 1, 0), Span(NOON + HOUR, NOON + 2 * HOUR, 2, 1))


def test_an_event_with_a_start_waits_for_it():
    """An event received at noon for two hours later holds from 14:00."""
    (span,) = unfold(event(prices(1), period=IntervalPeriod(NOON + 2 * HOUR, HOUR)), "PRICE")
    assert (span.start, span.end) == (NOON + 2 * HOUR, NOON + 3 * HOUR)


def test_an_event_without_a_start_begins_when_it_is_received():
    """The word now means the moment of receipt; "now" is the moment of receipt."""
    (span,) = unfold(event(prices(1), period=IntervalPeriod(None, HOUR)), "PRICE")
    assert (span.start, span.end) == (NOON, NOON + HOUR)


def test_an_interval_with_only_a_duration_starts_where_the_one_before_ends():
    """A second interval of half an hour, without a start, ends at 13:30."""
    half = IntervalPeriod(None, HOUR / 2)
    spans = unfold(
        event(prices(1), prices(2, number=1, period=half), period=IntervalPeriod(NOON, HOUR)), "PRICE"
    )
    assert (spans[1].start, spans[1].end) == (NOON + HOUR, NOON + 1.5 * HOUR)


def test_packed_values_share_their_interval_evenly():
    """Three prices in PT3H hold for one hour each."""
    spans = unfold(event(prices(1, 2, 3), period=IntervalPeriod(NOON, 3 * HOUR)), "PRICE")
    assert [(s.start, s.value) for s in spans] == [(NOON + n * HOUR, n + 1) for n in range(3)]


def test_an_event_longer_than_its_intervals_repeats_them():
    """Two hours of intervals under an event of PT5H: 1 2 1 2 1."""
    spans = unfold(
        event(prices(1), prices(2, number=1), period=IntervalPeriod(NOON, HOUR), duration=5 * HOUR), "PRICE"
    )
    assert [s.value for s in spans] == [1, 2, 1, 2, 1]
    assert spans[-1].end == NOON + 5 * HOUR


def test_an_event_shorter_than_its_intervals_cuts_them():
    """Two hours of intervals under an event of PT1H30M end at 13:30."""
    spans = unfold(
        event(prices(1), prices(2, number=1), period=IntervalPeriod(NOON, HOUR), duration=1.5 * HOUR), "PRICE"
    )
    assert [s.end for s in spans] == [NOON + HOUR, NOON + 1.5 * HOUR]


def test_a_duration_of_zero_cancels_an_event():
    """PT0S leaves nothing."""
    assert unfold(event(prices(1), period=IntervalPeriod(NOON, HOUR), duration=timedelta(0)), "PRICE") == ()


def test_an_interval_without_end_holds_until_the_event_ends():
    """P9999Y is without end, unless the event itself has a duration."""
    endless = event(prices(1), period=IntervalPeriod(NOON, None))
    assert unfold(endless, "PRICE")[0].end is None
    assert (
        unfold(event(prices(1), period=IntervalPeriod(NOON, None), duration=HOUR), "PRICE")[0].end
        == NOON + HOUR
    )


def test_months_follow_the_calendar():
    """P1M from 1 March ends on 1 April."""
    (span,) = unfold(event(prices(1), period=IntervalPeriod(NOON, isodate.Duration(months=1))), "PRICE")
    assert span.end == datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        event(prices(1), prices(2, number=1), period=IntervalPeriod(NOON, None)),
        event(prices(1, 2), period=IntervalPeriod(NOON, None)),
        event(prices(1), period=IntervalPeriod(NOON, timedelta(seconds=1)), duration=timedelta(days=365)),
    ],
    ids=["follows one without end", "several values without end", "a year of seconds"],
)
def test_what_has_no_meaning_is_refused(wrong):
    """An interval after one without end, several values without end, and endless repetition are refused."""
    with pytest.raises(InvalidInput):
        unfold(wrong, "PRICE")


def test_a_shift_moves_the_event_as_a_whole():
    """A randomised start moves every interval, once."""
    moved = unfold(
        event(prices(1), prices(2, number=1), period=IntervalPeriod(NOON, HOUR)),
        "PRICE",
        shift=timedelta(minutes=3),
    )
    assert [s.start for s in moved] == [NOON + timedelta(minutes=3), NOON + timedelta(minutes=63)]


@given(st.text(max_size=10), st.integers(0, 3600))
def test_a_randomised_start_stays_within_its_bound_and_is_kept(receiver, seconds):
    """The shift lies within ± the bound and is the same when it is asked for again."""
    bound = timedelta(seconds=seconds)
    shift = start_offset("e", NOON, receiver, bound)
    assert -bound <= shift <= bound
    assert shift == start_offset("e", NOON, receiver, bound)


def test_randomised_starts_spread_evenly():
    """Of 4,000 receivers about half start early, and a tenth in each tenth of the range (± 4 standard deviations)."""
    shifts = [start_offset("e", NOON, str(n), HOUR) / HOUR for n in range(4000)]
    for tenth in range(10):
        count = sum(-1 + tenth / 5 <= s < -1 + (tenth + 1) / 5 for s in shifts)
        assert abs(count - 400) < 4 * (4000 * 0.1 * 0.9) ** 0.5
