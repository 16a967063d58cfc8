"""Instants in texts as people write them: in their zone, on their day, rounded to slots."""

from datetime import UTC, datetime, timedelta

import pytest

from flexmeasures.domain.time import format_in_zone, word_instants

QUARTER = timedelta(minutes=15)
EVENING = datetime(2021, 6, 1, 20, tzinfo=UTC)
"""22:00 in Amsterdam."""


@pytest.mark.parametrize(
    ("instant", "worded"),
    [
        pytest.param("2021-06-01T20:30:00Z", "22:30", id="the same day"),
        pytest.param("2021-06-01T22:00:00Z", "24:00", id="its end"),
        pytest.param("2021-06-01T21:58:12.5Z", "24:00", id="rounded to its end"),
        pytest.param("2021-06-02T06:05:00Z", "2021-06-02 08:00", id="the next day, rounded"),
        pytest.param("2021-06-02T22:00:00Z", "2021-06-03 00:00", id="the midnight after"),
        pytest.param("2021-06-02T11:30:00+05:30", "2021-06-02 08:00", id="from another offset"),
    ],
)
def test_local_times(instant, worded):
    """Local times of Amsterdam, two hours ahead of UTC in June; other days have their date."""
    text = f"soc target of car at {instant}: wanted"
    assert (
        word_instants(text, "Europe/Amsterdam", EVENING, QUARTER) == f"soc target of car at {worded}: wanted"
    )


def test_long_slots_are_not_rounded_to():
    """Times of daily events stay as they are: a day is not a grid for a clock."""
    assert word_instants("2021-06-01T20:30:00Z", "UTC", EVENING, timedelta(days=1)) == "20:30"


def test_an_instant_in_a_zone():
    """The offset is that of the zone on that day: an hour in winter, two in summer."""
    assert format_in_zone(datetime(2021, 1, 1, tzinfo=UTC), "Europe/Amsterdam") == "2021-01-01T01:00:00+01:00"
    assert format_in_zone(datetime(2021, 7, 1, tzinfo=UTC), "UTC") == "2021-07-01T00:00:00Z"
