"""Tables as people keep them: times on local clocks, numbers with commas, and what is wrong in which line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.meter_readings import energy_between_readings
from flexmeasures.domain.reading_tables import (
    MOST_FAULTS,
    Mapping,
    ValueColumn,
    guess_mapping,
    parse_columns,
    parse_number,
    parse_readings,
)
from flexmeasures.domain.reading_times import BadTime, parse_time, parse_times
from flexmeasures.domain.time import utc_offsets

QUARTER = timedelta(minutes=15)
ZONES = ("Europe/Amsterdam", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia")
FORMATS = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%Y/%m/%d %H:%M",
)


def year_of_quarters(zone: str, year: int, pattern: str) -> tuple[list[list[str]], np.ndarray]:
    """Write each quarter of an hour of a year as a clock on the wall shows it, and list the instants."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    instants = [start + n * QUARTER for n in range(365 * 96)]
    rows = [[one.astimezone(ZoneInfo(zone)).strftime(pattern), str(n)] for n, one in enumerate(instants)]
    return rows, np.array([one.replace(tzinfo=None) for one in instants], dtype="datetime64[us]")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("backwards", [False, True], ids=["oldest first", "newest first"])
def test_a_year_on_a_local_clock(zone, backwards):
    """A year of quarter-hours is read over both changes of the clock, the doubled hour in order, in both directions."""
    rows, instants = year_of_quarters(zone, 2010, "%Y-%m-%d %H:%M")
    read = parse_readings(rows[::-1] if backwards else rows, Mapping(0, 1, zone), QUARTER)
    assert read.faults == ()
    assert (read.starts == instants).all()
    assert (read.values == np.arange(len(rows))).all()


@pytest.mark.parametrize("pattern", FORMATS)
def test_each_way_of_writing_times(pattern):
    """Each format is read whole columns at once as it is read one by one."""
    rows, _ = year_of_quarters("Europe/Berlin", 2023, pattern)
    sample = rows[:200] + rows[8000:8400] + rows[28_700:28_900]
    read = parse_times([row[0] for row in sample], "Europe/Berlin")
    assert read.reasons == {}
    one_by_one = [parse_time(row[0], "Europe/Berlin").replace(tzinfo=None) for row in sample[:50]]
    assert (read.instants[:50] == np.array(one_by_one, dtype="datetime64[us]")).all()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2021-03-29T14:15:00Z", "2021-03-29T14:15"),
        ("2021-03-29T14:15Z", "2021-03-29T14:15"),
        ("2021-03-29 14:15:00+02:00", "2021-03-29T12:15"),
        ("2021-03-29T14:15:00-0530", "2021-03-29T19:45"),
        ("2021-03-29T14:15:00.000+02:00", "2021-03-29T12:15"),
        ("2021-03-29", "2021-03-28T22:00"),
        ("44284,59375", "2021-03-29T12:15"),  # days since 1899-12-30: 14:15 is 0.59375 of a day
        (44284.59375, "2021-03-29T12:15"),
        (datetime.fromisoformat("2021-03-29T14:14:59.999"), "2021-03-29T12:15"),
        (datetime.fromisoformat("2021-03-29T14:15"), "2021-03-29T12:15"),
    ],
)
def test_times_with_offsets_and_of_spreadsheets(text, instant):
    """An offset wins over the zone of the table; a spreadsheet counts days, and loses a millisecond on the way."""
    read = parse_times([text], "Europe/Berlin")
    assert read.reasons == {}
    assert read.instants[0] == np.datetime64(instant)


def test_months_may_come_first():
    """03/04/2021 is 3 April unless the month comes first."""
    day_first, month_first = (
        parse_times(["03/04/2021 10:00"], "UTC", one).instants[0] for one in (False, True)
    )
    assert (day_first, month_first) == (np.datetime64("2021-04-03T10:00"), np.datetime64("2021-03-04T10:00"))
    assert parse_times(["03/25/2021 10:00"], "UTC").reasons
    assert not parse_times(["03/25/2021 10:00"], "UTC", month_first=True).reasons


@pytest.mark.parametrize(
    "text",
    [
        "2021-02-29 10:00",
        "2021-13-01 10:00",
        "2021-01-01 24:00",
        "31.04.2021 10:00",
        "tomorrow",
        "",
        "1" * 5000,
        "12",
    ],
)
def test_what_is_not_a_time(text):
    """A day that a month does not have, an hour 24 and other texts are told, and do not stop the rest."""
    read = parse_times([text, "2021-01-01 00:00"], "UTC")
    assert list(read.reasons) == [0]
    assert read.instants[1] == np.datetime64("2021-01-01")


def test_the_hour_that_clocks_skip():
    """A time that no clock has shown is told."""
    read = parse_times(["2021-03-28 01:45", "2021-03-28 02:15", "2021-03-28 03:00"], "Europe/Berlin")
    assert read.reasons == {1: "this hour does not exist: clocks go forward"}
    with pytest.raises(BadTime, match="clocks go forward"):
        parse_time("2021-03-28 02:15", "Europe/Berlin")


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 3)), st.booleans(), st.booleans())
def test_numbers_are_read_as_they_were_written(number, comma, grouped):
    """With a point or a comma before decimals, and with or without signs between thousands."""
    text = f"{number:,.3f}" if grouped else f"{number:.3f}"
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    assert parse_number(text, comma) == number


@pytest.mark.parametrize(
    "text", ["1,5", "1_000", "nan", "inf", "1e999", "", "-", ".", "1.2.3", "12,34,567", "0x10", "1 kWh"]
)
def test_what_is_not_a_number(text):
    """A decimal comma in a file with decimal points is a fault, not fifteen; neither are other texts numbers."""
    if text not in ("-", ".", ""):
        assert len(parse_readings([["2021-01-01 00:00", text]], Mapping(0, 1, "UTC"), QUARTER).faults) == 1
    with pytest.raises(ValueError, match=r".*"):
        parse_number(text, decimal_comma=False)


def test_faults_name_their_lines():
    """Each fault names its line, the head being line 1, blank lines counted; all kinds of faults are told together."""
    rows = [
        ["2021-01-01 00:00", "1.5"],
        ["", ""],
        ["2021-01-01 00:15", "high"],
        ["2021-01-01 00:20", "1"],
        ["2021-01-01 00:00", "2"],
        ["yesterday", "3"],
        ["2021-01-01 01:00"],
    ]
    read = parse_readings(rows, Mapping(0, 1, "UTC"), QUARTER)
    assert [(fault.line, fault.text) for fault in read.faults] == [
        (4, "'high' is not a number."),
        (5, "'2021-01-01 00:20' is not the start of a slot of 0:15:00."),
        (6, "its time is that of line 2: keep one of them."),
        (7, "'yesterday' is not a time: write it as 2021-04-29 14:15 or 29.04.2021 14:15."),
        (8, "'' is not a number."),
    ]
    assert read.starts.tolist() == [datetime.fromisoformat("2021-01-01")]


def test_no_more_faults_than_people_read():
    """Of a column that is wrong altogether the first faults are told."""
    rows = [[f"2021-01-01 {n // 4:02}:{n % 4 * 15:02}", "x"] for n in range(96)]
    assert len(parse_readings(rows, Mapping(0, 1, "UTC"), QUARTER).faults) == MOST_FAULTS


def test_several_columns_have_their_own_gaps():
    """Of several columns each is read on its own; an empty cell is left out where that is allowed."""
    rows = [["2021-01-01 00:00", "1,5", ""], ["2021-01-01 00:15", "-", "2"]]
    columns = [ValueColumn(1, QUARTER, True, frozenset({"-"})), ValueColumn(2, QUARTER, True)]
    first, second = parse_columns(rows, Mapping(0, 1, "UTC", True), columns)
    assert (first.values.tolist(), second.values.tolist()) == ([1.5], [2.0])
    assert first.faults == second.faults == ()


def test_a_mapping_is_guessed():
    """The column of the times, that of the values and the decimal comma are found."""
    rows = [["A", "01.02.2021 00:00", "x", "1,5"], ["B", "01.02.2021 00:15", "y", "2,5"]]
    assert guess_mapping(("a", "b", "c", "d"), rows, "UTC") == Mapping(1, 3, "UTC", True)


def test_readings_of_a_meter():
    """Energy is what a meter counted between readings: 3 kWh, then from zero 2 kWh, then 4 kWh over two slots."""
    at = np.array(
        ["2021-01-01T00:00", "2021-01-01T00:15", "2021-01-01T00:30", "2021-01-01T01:00"],
        dtype="datetime64[us]",
    )
    used = energy_between_readings(at, np.array([100.0, 103.0, 2.0, 6.0]), QUARTER)
    assert used.energy.tolist() == [3.0, 2.0, 2.0, 2.0]
    assert (used.resets, used.spread) == (1, 2)
    assert (used.starts == np.datetime64("2021-01-01") + np.arange(4) * np.timedelta64(15, "m")).all()


def test_a_meter_needs_two_readings_and_a_credible_span():
    """One reading says nothing; readings millennia apart are a mistake, not a billion slots."""
    at = np.array(["0001-01-01", "9999-01-01"], dtype="datetime64[us]")
    with pytest.raises(BadValues, match="at least two"):
        energy_between_readings(at[:1], np.array([1.0]), QUARTER)
    with pytest.raises(BadValues, match="slots"):
        energy_between_readings(at, np.array([1.0, 2.0]), QUARTER)


@pytest.mark.parametrize("zone", ZONES)
def test_offsets_of_many_instants_are_those_of_each(zone):
    """Offsets of a dense series, found by their changes, are those that are looked up one by one."""
    instants = np.datetime64("2009-01-01", "us") + np.arange(4 * 365 * 24) * np.timedelta64(1, "h")
    dense, sparse = (
        utc_offsets(instants, zone),
        [utc_offsets(instants[n : n + 900], zone) for n in range(0, len(instants), 900)],
    )
    assert (dense == np.concatenate(sparse)).all()
