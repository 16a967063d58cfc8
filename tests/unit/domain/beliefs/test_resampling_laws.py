"""From one resolution to another."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexmeasures.domain.beliefs import bin_edges, infer_repetition, mean_per_bin, repeat_values
from flexmeasures.domain.errors import ResolutionMismatch
from flexmeasures.domain.time import event_grid, from_datetime64, to_datetime64

ZONES = ("Europe/Amsterdam", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia")
START = datetime(2021, 3, 27, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)

powers = st.floats(-1e3, 1e3, allow_nan=False)
lists_of_powers = st.lists(powers, min_size=1, max_size=50).map(np.array)
dates = st.dates(date(2009, 1, 1), date(2030, 1, 1))


def in_hours(durations):
    """Durations as numbers of hours."""
    return durations / np.timedelta64(1, "h")


@settings(max_examples=60)
@given(
    lists_of_powers, st.integers(1, 120), st.lists(st.integers(0, 6000), min_size=2, max_size=12, unique=True)
)
def test_energy_is_kept(power, minutes, cuts):
    """Where all is known, mean power × width adds up to the energy, wherever bins begin and end."""
    starts = event_grid(START, minutes * MINUTE, len(power))
    inside = sorted({0, len(power) * minutes} | {cut for cut in cuts if cut < len(power) * minutes})
    edges = to_datetime64(START) + np.array(inside, dtype="timedelta64[m]").astype("timedelta64[us]")
    means, covered = mean_per_bin(starts, power, minutes * MINUTE, edges)
    assert covered == pytest.approx(1)
    assert (covered <= 1).all()
    assert means @ in_hours(np.diff(edges)) == pytest.approx(power.sum() * minutes / 60, rel=1e-9, abs=1e-6)
    assert means.min() >= power.min() - 1e-9
    assert means.max() <= power.max() + 1e-9


events = st.lists(
    st.tuples(st.integers(0, 90), st.floats(-9, 9) | st.just(math.nan)),
    unique_by=lambda row: row[0],
    max_size=12,
)


@settings(max_examples=60)
@given(events, st.integers(1, 20), st.lists(st.integers(-5, 120), min_size=2, max_size=8, unique=True))
def test_means_agree_with_a_loop(rows, length, cuts):
    """Minute by minute: gaps count for nothing, and of overlapping events the later one counts."""
    rows, cuts = sorted(rows, key=lambda row: row[0]), sorted(cuts)
    minute = np.timedelta64(1, "m")
    origin = to_datetime64(START)
    starts = origin + np.array([at for at, _ in rows], dtype=int) * minute
    edges = origin + np.array(cuts) * minute
    means, covered = mean_per_bin(
        starts, np.array([value for _, value in rows], dtype=float), length * MINUTE, edges
    )
    for number, (first, last) in enumerate(pairwise(cuts)):
        known = []
        for instant in range(first, last):
            begun = [row for row in rows if row[0] <= instant]
            if begun and instant < begun[-1][0] + length and not math.isnan(begun[-1][1]):
                known.append(begun[-1][1])
        assert covered[number] == pytest.approx(len(known) / (last - first))
        if known:
            assert means[number] == pytest.approx(sum(known) / len(known), abs=1e-9)
        else:
            assert math.isnan(means[number])


@settings(max_examples=30)
@given(lists_of_powers, st.integers(1, 8))
def test_up_and_down_again_is_where_we_were(power, times):
    """Values repeated for finer events and averaged again are the values themselves, to the last digit."""
    resolution = times * QUARTER
    fine = repeat_values(power, times)
    edges = event_grid(START, resolution, len(power) + 1)
    means, covered = mean_per_bin(event_grid(START, QUARTER, len(fine)), fine, QUARTER, edges)
    assert (covered == 1).all()
    assert means == pytest.approx(power, rel=1e-14)


@settings(max_examples=30)
@given(lists_of_powers, st.integers(1, 8))
def test_bins_inside_events_get_their_value(power, times):
    """Prices of an hour are the price of each of its quarters, to the last digit."""
    edges = event_grid(START, QUARTER, len(power) * times + 1)
    means, covered = mean_per_bin(
        event_grid(START, times * QUARTER, len(power)), power, times * QUARTER, edges
    )
    assert (means == np.repeat(power, times)).all()
    assert (covered == 1).all()


def test_the_example_of_the_documentation_is_averaged():
    """Six quarter-hours become three half-hours."""
    power = np.array([306.66, 306.66, 0, 0, 306.66, 306.66])
    edges = event_grid(START, 2 * QUARTER, 4)
    means, _ = mean_per_bin(event_grid(START, QUARTER, 6), power, QUARTER, edges)
    assert means.tolist() == [306.66, 0, 306.66]


def test_an_event_on_the_last_edge_belongs_to_no_bin():
    """Of the quarter-hours 0, 1 and 2, two bins of one quarter-hour hold the first two."""
    means, covered = mean_per_bin(
        event_grid(START, QUARTER, 3), np.array([1.0, 2.0, 9.0]), QUARTER, event_grid(START, QUARTER, 3)
    )
    assert (means.tolist(), covered.tolist()) == ([1.0, 2.0], [1.0, 1.0])


def test_nothing_is_known_of_nothing():
    """Without events every bin is a gap."""
    none = np.array([], dtype="datetime64[us]")
    means, covered = mean_per_bin(none, np.array([]), QUARTER, event_grid(START, QUARTER, 3))
    assert np.isnan(means).all()
    assert covered.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("period", "count", "resolution", "expected"),
    [
        pytest.param(timedelta(hours=1), 4, QUARTER, 1, id="as fine as the events"),
        pytest.param(timedelta(hours=1), 1, QUARTER, 4, id="coarser"),
        pytest.param(timedelta(days=1), 96, QUARTER, 1, id="a day"),
        pytest.param(timedelta(hours=23), 92, QUARTER, 1, id="a day with 23 hours"),
        pytest.param(timedelta(hours=1), 3, timedelta(0), 1, id="instants have no length to fit"),
    ],
)
def test_values_fit_the_resolution(period, count, resolution, expected):
    """Values stand for one event each, or for several if they are coarser."""
    assert infer_repetition(period, count, resolution) == expected


@pytest.mark.parametrize(
    ("period", "count"),
    [
        pytest.param(timedelta(minutes=2), 1, id="shorter than an event"),
        pytest.param(timedelta(hours=1), 5, id="no whole number of minutes"),
        pytest.param(timedelta(hours=1), 8, id="finer"),
        pytest.param(timedelta(minutes=50), 2, id="no multiple"),
    ],
)
def test_other_values_do_not_fit(period, count):
    """Values which would have to be divided are refused, and the resolution that fits is named."""
    with pytest.raises(ResolutionMismatch, match="resolution of PT15M") as refused:
        infer_repetition(period, count, QUARTER)
    assert refused.value.details == {"required": "PT15M"}


# Quarter-hours in each day around a change of clocks; from the announcements of these places.
@pytest.mark.parametrize(
    ("zone", "first", "expected"),
    [
        pytest.param("Europe/Amsterdam", "2021-03-27", [96, 92, 96], id="into summer time in Amsterdam"),
        pytest.param("Europe/Amsterdam", "2021-10-30", [96, 100, 96], id="out of summer time in Amsterdam"),
        pytest.param("Europe/Madrid", "2021-10-30", [96, 100, 96], id="out of summer time in Madrid"),
        pytest.param("Australia/Lord_Howe", "2021-04-03", [96, 98, 96], id="half an hour on Lord Howe"),
        pytest.param(
            "Pacific/Apia", "2011-12-28", [96, 96, 96], id="Apia skips a day between the second and third"
        ),
    ],
)
def test_days_are_local_days(zone, first, expected):
    """Bins of a day that start at a local midnight have as many quarter-hours as the day has."""
    start = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone))
    end = start.astimezone(UTC) + sum(expected) * QUARTER
    edges = bin_edges(start, end, timedelta(days=1), zone)
    assert (np.diff(edges) / np.timedelta64(15, "m")).tolist() == expected


@settings(max_examples=60)
@given(dates, st.integers(1, 40), st.integers(1, 10), st.sampled_from(ZONES))
def test_bins_of_days_begin_at_midnights(day, count, width, zone):
    """However many local days a bin has, it begins at a local midnight, and all bins together cover the period."""
    tz = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=tz)
    end = start + timedelta(days=count)
    edges = bin_edges(start, end, timedelta(days=width), zone)
    locals_ = [from_datetime64(edge).astimezone(tz) for edge in edges]
    assert all(local.hour == local.minute == 0 for local in locals_[:-1])
    assert edges[0] == to_datetime64(start)
    assert edges[-2] < to_datetime64(end) <= edges[-1]
    assert (np.diff(edges) > np.timedelta64(0)).all()


@settings(max_examples=30)
@given(st.integers(0, 2000), st.integers(1, 3000), st.integers(1, 200), st.sampled_from(ZONES))
def test_other_bins_are_even(offset, minutes, width, zone):
    """Bins that are not days follow each other from the start, as few as cover the period."""
    start = START + (7 + offset) * MINUTE
    edges = bin_edges(start, start + minutes * MINUTE, width * MINUTE, zone)
    assert len(edges) == -(-minutes // width) + 1
    assert (np.diff(edges) == np.timedelta64(width, "m")).all()
    assert edges[0] == to_datetime64(start)


@pytest.mark.parametrize("width", [timedelta(days=9_000_000), timedelta.max, timedelta(minutes=15) * 10**9])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_bins_may_be_longer_than_the_calendar(width, zone):
    """A bin as long as anybody can ask for is one bin that covers the period."""
    end = datetime(2021, 3, 30, tzinfo=UTC)
    edges = bin_edges(datetime(2021, 3, 28, tzinfo=UTC), end, width, zone)
    assert len(edges) == 2
    assert edges[1] >= to_datetime64(end)
