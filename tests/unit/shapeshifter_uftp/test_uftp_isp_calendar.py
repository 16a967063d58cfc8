"""The ISP calendar, over clock changes and odd zones."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.isp_calendar import IspCalendar, day_bounds, instant_of, isp_count, same_offsets

QUARTER = dt.timedelta(minutes=15)
ZONES = [
    "Europe/Amsterdam",
    "Europe/Madrid",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
]


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        ("Europe/Amsterdam", "2030-06-12", 96), ("Europe/Amsterdam", "2030-03-31", 92),
        ("Europe/Amsterdam", "2030-10-27", 100), ("Australia/Lord_Howe", "2025-10-05", 94),
        ("Australia/Lord_Howe", "2025-04-06", 98), ("Pacific/Apia", "2011-12-30", 0),
        ("Pacific/Apia", "2011-12-31", 96),
        ("Pacific/Apia", "2011-12-29", 96),
        # Sao Paulo skipped the hour after midnight on this day: it starts at 01:00.
        ("America/Sao_Paulo", "2018-11-04", 92),
    ],
)  # fmt: skip
def test_days_have_as_many_isps_as_they_are_long(zone, day, count):
    """Quarter-hours of a day: 92 to 100 where clocks change by an hour, 94 and 98 by half an hour, 0 for a lost day."""
    assert isp_count(dt.date.fromisoformat(day), zone, QUARTER) == count


def test_a_day_without_midnight_starts_when_the_gap_ends():
    """In Sao Paulo 4 November 2018 began at 01:00 local, 03:00 UTC."""
    start, _ = day_bounds(dt.date(2018, 11, 4), "America/Sao_Paulo")
    assert start == dt.datetime(2018, 11, 4, 3, tzinfo=dt.UTC)


def test_isps_are_counted_in_elapsed_time():
    """On the day when the clock goes back ISP 13 starts at 03:00 summer time minus one hour: 01:00 UTC."""
    calendar = IspCalendar()
    day = dt.date(2030, 10, 27)
    assert calendar.start_of(day, 1) == dt.datetime(2030, 10, 26, 22, tzinfo=dt.UTC)
    assert calendar.start_of(day, 13) == dt.datetime(2030, 10, 27, 1, tzinfo=dt.UTC)
    assert calendar.end_of(day, 100) == dt.datetime(2030, 10, 27, 23, tzinfo=dt.UTC)


@given(
    st.sampled_from(ZONES),
    st.datetimes(dt.datetime(2010, 1, 1), dt.datetime(2035, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001
    st.sampled_from([5, 15, 30, 60]),
)
def test_every_instant_belongs_to_exactly_one_isp(zone, instant, minutes):
    """The law of the calendar: the ISP of an instant contains it, and its start belongs to the same ISP."""
    calendar = IspCalendar(zone, dt.timedelta(minutes=minutes))
    period, isp = calendar.isp_at(instant)
    if isp > calendar.count(period):
        # A day of 23.5 hours is not a whole number of hours: the rest belongs to no ISP.
        assert zone == "Australia/Lord_Howe"
        assert minutes == 60
        return
    assert calendar.start_of(period, isp) <= instant < calendar.end_of(period, isp)
    assert calendar.isp_at(calendar.start_of(period, isp)) == (period, isp)


@given(st.sampled_from(ZONES), st.dates(dt.date(2010, 1, 1), dt.date(2035, 1, 1)))
def test_days_follow_each_other_without_gap(zone, day):
    """A day ends at the instant at which the next one starts."""
    assert day_bounds(day, zone)[1] == day_bounds(day + dt.timedelta(days=1), zone)[0]


def test_isps_outside_the_day_are_refused():
    """A day has no ISP 0 and none beyond its length."""
    calendar = IspCalendar()
    for isp in (0, 93, -1):
        with pytest.raises(InvalidValue, match="ISPs 1 to 92"):
            calendar.start_of(dt.date(2030, 3, 31), isp)


def test_instants_need_a_zone():
    """A naive datetime is not an instant."""
    with pytest.raises(InvalidValue, match="no time zone"):
        IspCalendar().isp_at(dt.datetime(2030, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2030-06-12T08:00:00+02:00", None, "2030-06-12T06:00:00+00:00"),
        ("2030-06-12T08:00:00Z", "Europe/Amsterdam", "2030-06-12T08:00:00+00:00"),
        ("2030-06-12T08:00:00", "Europe/Amsterdam", "2030-06-12T06:00:00+00:00"),
        ("2030-06-12T08:00:00", None, "2030-06-12T08:00:00+00:00"),
        ("2021-10-29T06:54:36.8868538Z", None, "2021-10-29T06:54:36.886853+00:00"),
    ],
)
def test_texts_are_read_as_instants(text, zone, expected):
    """Without a zone an instant is local time of the message's zone, or UTC; nine decimals are cut to six."""
    assert instant_of(text, zone).isoformat() == expected


@pytest.mark.parametrize("text", ["", "soon", "2030-13-01T00:00:00Z", "2030-06-12T25:00:00Z"])
def test_texts_that_are_no_instant_are_refused(text):
    """What cannot be read as an instant is refused with advice."""
    with pytest.raises(InvalidValue, match="is not an instant"):
        instant_of(text)


def test_zones_with_the_same_offset_may_stand_for_each_other():
    """Brussels may stand for Amsterdam; London may not."""
    day = dt.date(2030, 3, 31)
    assert same_offsets(day, "Europe/Brussels", "Europe/Amsterdam")
    assert not same_offsets(day, "Europe/London", "Europe/Amsterdam")
    with pytest.raises(InvalidValue, match="is not a known time zone"):
        same_offsets(day, "Europe/Atlantis", "Europe/Amsterdam")
