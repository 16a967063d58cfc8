"""What holds when several events overlap."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.domain.coordination import Claim, Rule, Segment, Span, overlay

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def claim(event_id, first, last, value, *, priority=None, changed=0):
    """Make a claim from one hour after noon to another; None: without end."""
    end = None if last is None else NOON + last * HOUR
    return Claim(Span(NOON + first * HOUR, end, value, 0), event_id, NOON + changed * HOUR, priority)


def hours(timeline):
    """List segments as hours after noon."""
    return [
        ((s.start - NOON) / HOUR, None if s.end is None else (s.end - NOON) / HOUR, s.value)
        for s in timeline.segments
    ]


def test_a_lower_priority_fills_only_what_a_higher_one_leaves():
    """Priority 0 from 1 to 2 o'clock splits an event of priority 5 from 0 to 3."""
    assert hours(
        overlay([claim("a", 0, 3, 10, priority=5), claim("b", 1, 2, 20, priority=0)], Rule.NEWEST)
    ) == [
        (0, 1, 10),
        (1, 2, 20),
        (2, 3, 10),
    ]


def test_an_event_without_priority_is_below_all_others():
    """A price without priority gives way to one of priority 100."""
    timeline = overlay([claim("a", 0, 1, 1), claim("b", 0, 1, 2, priority=100)], Rule.NEWEST)
    assert hours(timeline) == [(0, 1, 2)]


def test_of_equal_limits_the_strictest_holds_and_of_equal_prices_the_newest():
    """Limits of 5 and 3 kW give 3 kW; prices of 5 and then 3 give 3, of 3 and then 5 give 5."""
    assert hours(overlay([claim("a", 0, 1, 5), claim("b", 0, 1, 3)], Rule.STRICTEST)) == [(0, 1, 3)]
    assert hours(overlay([claim("a", 0, 1, 3), claim("b", 0, 1, 5, changed=1)], Rule.NEWEST)) == [(0, 1, 5)]


def test_price_differences_of_several_events_add_up():
    """−0.4 and 0.1 at once are −0.3, and both events are named."""
    (segment,) = overlay([claim("a", 0, 1, -0.4), claim("b", 0, 1, 0.1)], Rule.SUM).segments
    assert segment == Segment(NOON, NOON + HOUR, -0.4 + 0.1, ("a", "b"))


def test_a_limit_without_end_holds_until_a_stricter_one_and_after_it():
    """11 kW for ever, 4.2 kW from 1 to 2 o'clock."""
    timeline = overlay([claim("a", 0, None, 11), claim("b", 1, 2, 4.2)], Rule.STRICTEST)
    assert hours(timeline) == [(0, 1, 11), (1, 2, 4.2), (2, None, 11)]
    assert timeline.at(NOON + 1000 * HOUR).value == 11
    assert timeline.at(NOON - HOUR) is None


def test_a_limit_binds_every_slot_that_it_touches():
    """A limit of 2 kW from 12:20 to 12:40 binds the quarters from 12:15 and from 12:30."""
    timeline = overlay([claim("a", 1 / 3, 2 / 3, 2)], Rule.STRICTEST)
    assert timeline.smallest(NOON, HOUR / 4, 4).tolist() == [np.inf, 2, 2, np.inf]


def test_prices_are_averaged_by_time_over_a_slot():
    """10 for 20 minutes and 40 for 40 minutes average to 30; without a price there is no average."""
    timeline = overlay([claim("a", 0, 1 / 3, 10), claim("b", 1 / 3, 1, 40)], Rule.NEWEST)
    averages = timeline.averages(NOON, HOUR, 2)
    assert averages[0] == (20 * 10 + 40 * 40) / 60
    assert np.isnan(averages[1])


claims = st.lists(
    st.builds(
        lambda first, length, value, priority, changed, number: claim(
            str(number),
            first,
            None if length is None else first + length,
            value,
            priority=priority,
            changed=changed,
        ),
        st.integers(0, 10),
        st.one_of(st.none(), st.integers(1, 5)),
        st.integers(0, 20),
        st.one_of(st.none(), st.integers(0, 2)),
        st.integers(0, 3),
        st.integers(0, 1000),
    ),
    max_size=8,
    unique_by=lambda c: c.event_id,
)


@given(claims, st.randoms(), st.sampled_from([Rule.STRICTEST, Rule.NEWEST]))
def test_the_order_of_arrival_does_not_matter_and_the_highest_priority_holds(events, random, rule):
    """Shuffled claims give the same timeline; at each half hour the value is that of a claim of the best priority."""
    timeline = overlay(events, rule)
    random.shuffle(events)
    assert overlay(events, rule) == timeline
    for half_hour in range(40):
        instant = NOON + half_hour * HOUR / 2
        live = [c for c in events if c.span.start <= instant and (c.span.end is None or instant < c.span.end)]
        held = timeline.at(instant)
        assert (held is None) == (not live)
        if held:
            best = min(99 if c.priority is None else c.priority for c in live)
            equals = [c for c in live if (99 if c.priority is None else c.priority) == best]
            newest = max(c.version for c in equals)
            allowed = (
                {min(c.span.value for c in equals)}
                if rule is Rule.STRICTEST
                else {c.span.value for c in equals if c.version == newest}
            )
            assert held.value in allowed


@given(claims)
def test_segments_never_overlap(events):
    """Segments follow each other in time."""
    segments = overlay(events, Rule.STRICTEST).segments
    assert all(a.end is not None and a.end <= b.start for a, b in itertools.pairwise(segments))
