"""Instants, durations and calendars."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import isodate
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flexmeasures.domain.errors import InvalidDuration, InvalidInput, InvalidTime, NaiveTime
from flexmeasures.domain.time import (
    add_duration,
    event_grid,
    find_zone,
    format_duration,
    format_instant,
    from_datetime64,
    is_timezone,
    local_midnights,
    parse_duration,
    parse_horizon,
    parse_instant,
    to_datetime64,
    to_microseconds,
    utc_offsets,
)

ZONES = ("Europe/Amsterdam", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia")
AMSTERDAM = ZoneInfo("Europe/Amsterdam")

zones = st.sampled_from(ZONES)
utc_instants = st.datetimes(
    datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01"), timezones=st.just(UTC)
)
durations = st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000))
quarters = st.integers(-2 * 10**6, 8 * 10**6).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + n * timedelta(minutes=15)
)


@given(utc_instants, zones)
def test_instants_round_trip(instant, zone):
    """Writing an instant and reading it again gives the same instant, whatever the zone."""
    local = instant.astimezone(ZoneInfo(zone))
    assert parse_instant(format_instant(local)) == instant
    assert format_instant(instant).endswith("Z")


@given(utc_instants, zones)
def test_instants_survive_numpy(instant, zone):
    """An instant keeps its microseconds on its way into an array and back, whatever its zone."""
    assert from_datetime64(to_datetime64(instant.astimezone(ZoneInfo(zone)))) == instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2021-03-28T02:00:00+01:00", datetime(2021, 3, 28, 1, tzinfo=UTC), id="offset"),
        pytest.param("2021-03-28T02:00Z", datetime(2021, 3, 28, 2, tzinfo=UTC), id="Z, and no seconds"),
        pytest.param("2021-03-28 02:00:00+01:00", datetime(2021, 3, 28, 1, tzinfo=UTC), id="space for T"),
        pytest.param("2021-03-28T02:00:00 01:00", datetime(2021, 3, 28, 1, tzinfo=UTC), id="space for plus"),
        pytest.param("20210328T020000+0100", datetime(2021, 3, 28, 1, tzinfo=UTC), id="basic form"),
        pytest.param("2021-03-28T02:00:00-09:30", datetime(2021, 3, 28, 11, 30, tzinfo=UTC), id="west"),
    ],
)
def test_instants_are_read(text, expected):
    """The forms of ISO 8601 that programs send are read, the one that browsers mangle included."""
    assert parse_instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="nothing"),
        pytest.param(1616893200, id="a number"),
        pytest.param("", id="empty"),
        pytest.param("2021-03-28", id="a date alone"),
        pytest.param("2021-W12-7T02:00:00Z", id="a week date"),
        pytest.param("2021-02-30T00:00:00Z", id="30 February"),
        pytest.param("2021-03-28T25:00:00Z", id="hour 25"),
        pytest.param("٢٠٢١-03-28T02:00:00Z", id="digits of another script"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before the calendar"),
        pytest.param("9999-12-31T23:00:00-10:00", id="after the calendar"),
        pytest.param("0001-06-01T00:00:00Z", id="the first year, with which nobody can reckon backwards"),
        pytest.param("9999-06-01T00:00:00Z", id="the last year"),
    ],
)
def test_other_texts_are_no_instants(text):
    """What is not an instant is refused with its name and an example."""
    with pytest.raises(InvalidTime, match=r"'prior' is .*2021-06-01T12:00:00"):
        parse_instant(text, "prior")


def test_naive_instants_are_told_apart():
    """A missing time zone is an error of its own, in parsing and in arithmetic."""
    with pytest.raises(NaiveTime, match="2021-03-28T02:00:00Z for UTC"):
        parse_instant("2021-03-28T02:00:00")
    with pytest.raises(NaiveTime):
        to_datetime64(datetime.fromisoformat("2021-03-28"))


@given(durations)
@example(timedelta(microseconds=-1))
@example(timedelta(days=1, microseconds=1))
def test_durations_round_trip(duration):
    """Writing a duration and reading it again gives the same duration, to the microsecond and with its sign."""
    assert parse_duration(format_duration(duration)) == duration


@given(durations)
def test_microseconds_are_exact(duration):
    """Durations are counted in microseconds without rounding."""
    assert timedelta(microseconds=to_microseconds(duration)) == duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("PT1H", timedelta(hours=1), id="an hour"),
        pytest.param("PT0H15M", timedelta(minutes=15), id="as the documentation writes a quarter"),
        pytest.param("P1DT12H", timedelta(hours=36), id="days and hours"),
        pytest.param("P2W", timedelta(weeks=2), id="weeks"),
        pytest.param("PT1.5H", timedelta(minutes=90), id="a fraction"),
        pytest.param("-PT5M", timedelta(minutes=-5), id="negative"),
        pytest.param(" PT1H ", timedelta(hours=1), id="spaces around"),
    ],
)
def test_fixed_durations_are_read(text, expected):
    """Days and what is shorter have a fixed length."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "P", "1H", "15M", "P1", "PT1H30", "p1d", "P-1D", "PT1e5H", "P99999999999D", None, 15, ["PT1H"]],
)
def test_other_texts_are_no_durations(text):
    """What is not a duration is refused with its name and an example."""
    with pytest.raises(InvalidDuration, match=r"'resolution' is .*PT15M"):
        parse_duration(text, "resolution")


@given(
    st.text(max_size=12)
    | st.from_regex(r"-?P[0-9.,]{0,8}[YMWDTHS]{0,3}[0-9.,]{0,4}[YMWDHS]?", fullmatch=True)
)
def test_no_text_breaks_the_clock(text):
    """Whatever stands for a duration is read or refused, and so is the end of the period that it makes."""
    try:
        end = add_duration(datetime(2020, 2, 22, tzinfo=UTC), parse_duration(text))
    except InvalidInput:
        return
    assert end.tzinfo is not None


@given(st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d.{0,14}", fullmatch=True))
def test_no_text_breaks_the_calendar(text):
    """Whatever stands for an instant is read or refused."""
    try:
        instant = parse_instant(text)
    except InvalidTime:
        return
    assert instant.utcoffset() is not None


# The examples of the former test-suite: from 2020-02-22 18:07 in Amsterdam (winter time, UTC+1).
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 2020 is a leap year: February has 29 days.
        pytest.param("P1M", timedelta(days=29), id="a month over a leap day"),
        # To 22 April: 29 + 31 days, but clocks went forward on 29 March.
        pytest.param("P2M", timedelta(days=60) - timedelta(hours=1), id="two months into summer time"),
        pytest.param("P1Y", timedelta(days=366), id="a year over a leap day"),
        pytest.param("P1D", timedelta(days=1), id="a day has 24 hours"),
        # To 22 March 18:07, and from there 14 days of 24 hours.
        pytest.param(
            "P1M14D", timedelta(days=43), id="a month, and then days of 24 hours over the clock change"
        ),
        pytest.param("-P1M", timedelta(days=-31), id="a month back"),
    ],
)
def test_nominal_durations_follow_the_calendar(text, expected):
    """Months and years are grounded on the local calendar, what is shorter has its fixed length."""
    start = datetime(2020, 2, 22, 18, 7, tzinfo=AMSTERDAM)
    end = add_duration(start, parse_duration(text))
    assert end.astimezone(UTC) - start.astimezone(UTC) == expected
    assert end.tzinfo is AMSTERDAM


def test_the_calendar_may_be_that_of_another_zone():
    """A period given in UTC can follow the calendar of a site."""
    start = datetime(2020, 2, 29, 23, tzinfo=UTC)  # 1 March 00:00 in Amsterdam
    end = add_duration(start, parse_duration("P1M"), "Europe/Amsterdam")
    # 1 April 00:00 in Amsterdam is summer time, UTC+2.
    assert end == datetime(2020, 3, 31, 22, tzinfo=UTC)
    assert end.tzinfo is UTC


@given(utc_instants, st.timedeltas(timedelta(0), timedelta(days=800)), zones)
def test_fixed_durations_ignore_clock_changes(start, duration, zone):
    """A fixed duration is as long as it says, in every zone and over every change of clocks."""
    end = add_duration(start.astimezone(ZoneInfo(zone)), duration)
    assert end.astimezone(UTC) == start + duration


@pytest.mark.parametrize("text", ["P9000Y", "P99999Y", "P3000000D", "P0.5Y"])
def test_periods_end_within_the_calendar(text):
    """A period that would end beyond the calendar, or that has no certain end, is refused."""
    with pytest.raises(InvalidTime, match="outside the calendar"):
        add_duration(datetime(2020, 1, 1, tzinfo=UTC), parse_duration(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("PT6H", (timedelta(hours=6), False), id="plain"),
        pytest.param("-PT5M", (timedelta(minutes=-5), False), id="after the fact"),
        pytest.param("R/PT6H", (timedelta(hours=6), True), id="repeated"),
        pytest.param("R12/PT6H", (timedelta(hours=6), True), id="repeated so many times"),
        pytest.param("-R/PT5M", (timedelta(minutes=-5), True), id="the minus stands before the R"),
        pytest.param("PT0H", (timedelta(0), False), id="none at all"),
    ],
)
def test_horizons_are_read(text, expected):
    """A horizon may be negative and may be written as a repeating interval."""
    assert parse_horizon(text) == expected


@pytest.mark.parametrize("text", ["T6H", "R/", "RR/PT1H", "R/R/PT1H", "P1M", "R/P1Y", None, 6, "R--/PT1H"])
def test_other_texts_are_no_horizons(text):
    """A horizon has a fixed length."""
    with pytest.raises(InvalidDuration, match="'horizon' is"):
        parse_horizon(text)


@given(st.text(max_size=40))
def test_zones_exist_or_are_refused(name):
    """Whatever is called a zone is one or not, and no file is opened outside the database of zones."""
    assert is_timezone(name) in (True, False)


@pytest.mark.parametrize(
    "name", ["", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "\ud800", "x" * 5000]
)
def test_odd_names_are_no_zones(name):
    """Names of folders, of other files and of nothing are refused with an example."""
    with pytest.raises(InvalidInput, match="Europe/Amsterdam"):
        find_zone(name)


# By the announcements of these places; in quarter-hours, from midnight to midnight.
@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        pytest.param("Europe/Amsterdam", date(2021, 3, 27), 96, id="a usual day"),
        pytest.param("Europe/Amsterdam", date(2021, 3, 28), 92, id="Amsterdam loses an hour"),
        pytest.param("Europe/Amsterdam", date(2021, 10, 31), 100, id="Amsterdam gains an hour"),
        pytest.param("Europe/Madrid", date(2021, 3, 28), 92, id="Madrid loses an hour"),
        pytest.param("Australia/Lord_Howe", date(2021, 4, 4), 98, id="Lord Howe gains half an hour"),
        pytest.param("Australia/Lord_Howe", date(2021, 10, 3), 94, id="Lord Howe loses half an hour"),
        pytest.param("Pacific/Apia", date(2011, 12, 29), 96, id="the day before the one that Apia skipped"),
        pytest.param("America/Sao_Paulo", date(2018, 11, 4), 92, id="midnight itself is skipped"),
    ],
)
def test_days_have_their_quarters(zone, day, expected):
    """A day lasts from one local midnight to the next, whatever clocks do in between."""
    noon = to_datetime64(datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)))
    days, starts = local_midnights(noon, noon + np.timedelta64(1, "D"), zone)
    assert days[0] == day
    assert (starts[1] - starts[0]) / np.timedelta64(15, "m") == expected


def test_a_skipped_day_is_left_out():
    """Samoa went from 29 to 31 December 2011: there was no 30 December to have anything in it."""
    days, starts = local_midnights(
        np.datetime64("2011-12-29T12:00", "us"), np.datetime64("2012-01-01T00:00", "us"), "Pacific/Apia"
    )
    assert days == [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]
    # Until then midnight was at 10:00 UTC (UTC-10 in summer), and so it was afterwards (UTC+14).
    assert starts.astype("datetime64[h]").astype(str).tolist() == [
        "2011-12-29T10",
        "2011-12-30T10",
        "2011-12-31T10",
    ]


@given(quarters, st.integers(0, 200), zones)
def test_instants_lie_in_their_local_day(instant, later, zone):
    """Each instant lies between the midnight of its local date and the next one."""
    last = instant + later * timedelta(hours=1)
    days, starts = local_midnights(to_datetime64(instant), to_datetime64(last), zone)
    assert days[0] == instant.astimezone(ZoneInfo(zone)).date()
    assert days[-1] == last.astimezone(ZoneInfo(zone)).date()
    assert starts[0] <= to_datetime64(instant)
    assert starts[-1] <= to_datetime64(last)
    assert (np.diff(starts) > np.timedelta64(0)).all()


@given(quarters, st.integers(1, 10**10), st.integers(0, 200))
def test_grids_are_even(start, microseconds, count):
    """Consecutive events follow each other without gaps, however odd their length."""
    grid = event_grid(start, timedelta(microseconds=microseconds), count)
    assert grid.shape == (count,)
    assert [from_datetime64(t) for t in grid] == [
        start + n * timedelta(microseconds=microseconds) for n in range(count)
    ]


def test_durations_with_months_are_written():
    """A nominal duration is written as it was read."""
    assert format_duration(parse_duration("P1Y2M3DT4H")) == "P1Y2M3DT4H"
    assert isinstance(parse_duration("P1M"), isodate.Duration)


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Amsterdam",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "UTC",
        "Pacific/Chatham",
    ],
)
def test_offsets_of_many_instants_are_those_of_each(zone):
    """Over a year with a day that Apia left out, each half-hour has the offset that its zone gives for it alone."""
    starts = np.datetime64("2011-01-01T00:07", "us") + np.arange(366 * 48) * np.timedelta64(30, "m")
    alone = [
        start.astype(datetime).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() for start in starts
    ]
    np.testing.assert_array_equal(utc_offsets(starts, zone), np.array(alone, "timedelta64[us]"))
