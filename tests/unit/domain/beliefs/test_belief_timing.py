"""When something can be known, and what that makes of belief times and horizons."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexmeasures.domain.beliefs import (
    AtDate,
    DaysAgo,
    ExAnte,
    ExPost,
    belief_horizons,
    belief_times,
    parse_knowledge_rule,
)
from flexmeasures.domain.errors import BadBeliefTiming
from flexmeasures.domain.time import event_grid, from_datetime64, to_datetime64

ZONES = ("Europe/Amsterdam", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia")
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)

starts = st.integers(-100_000, 3_000_000).map(lambda n: datetime(2000, 1, 1, tzinfo=UTC) + n * QUARTER)
lengths = st.timedeltas(timedelta(days=-400), timedelta(days=400))
resolutions = st.sampled_from([timedelta(0), timedelta(minutes=5), QUARTER, HOUR, timedelta(days=365)])
rules = (
    st.builds(ExPost, lengths)
    | st.builds(ExAnte, lengths)
    | st.builds(AtDate, starts)
    | st.builds(DaysAgo, st.integers(0, 3), st.sampled_from([0.0, 9.5, 12.0, 24.0]), st.sampled_from(ZONES))
)


@settings(max_examples=60)
@given(rules, starts, resolutions, st.integers(1, 20), starts, st.none() | lengths)
def test_belief_time_and_horizon_make_knowledge_time(rule, start, resolution, count, recorded_by, horizon):
    """For every rule and every event, belief time + belief horizon = knowledge time."""
    events = event_grid(start, resolution, count)
    times = belief_times(events, resolution, recorded_by, horizon)
    horizons = belief_horizons(rule, events, resolution, times)
    assert (times + horizons == rule.knowledge_times(events, resolution)).all()


@given(rules)
def test_rules_round_trip(rule):
    """A rule is rebuilt from the name and the parameters with which it is stored."""
    assert parse_knowledge_rule(rule.name, rule.parameters) == rule


@settings(max_examples=30)
@given(starts, st.sampled_from(ZONES), st.integers(0, 3), st.integers(1, 300))
def test_days_ago_agrees_with_the_calendar(start, zone, days, count):
    """An auction some days before at noon is at noon by the local clock of that date, one event at a time."""
    events = event_grid(start, HOUR, count)
    tz = ZoneInfo(zone)
    expected = []
    for event in events:
        day = from_datetime64(event).astimezone(tz).date() - timedelta(days=days)
        expected.append(to_datetime64(datetime(day.year, day.month, day.day, 12, tzinfo=tz)))
    assert DaysAgo(days, 12, zone).knowledge_times(events, HOUR).tolist() == np.array(expected).tolist()


# EPEX: the day before at 12:00 in Paris, which is 11:00 UTC in winter and 10:00 UTC in summer.
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param("2014-12-31T23:00", "2014-12-31T11:00", id="first hour of a winter day"),
        pytest.param("2015-01-01T22:00", "2014-12-31T11:00", id="last hour of that day"),
        pytest.param("2015-01-01T23:00", "2015-01-01T11:00", id="first hour of the next one"),
        # Clocks went forward on 29 March 2015 at 01:00 UTC: that day lasts from 28 March 23:00 to 29 March 22:00.
        pytest.param("2015-03-28T22:00", "2015-03-27T11:00", id="last hour before the day with 23 hours"),
        pytest.param(
            "2015-03-28T23:00", "2015-03-28T11:00", id="first of 23 hours, auctioned in winter time"
        ),
        pytest.param("2015-03-29T21:00", "2015-03-28T11:00", id="last of 23 hours"),
        pytest.param("2015-03-29T22:00", "2015-03-29T10:00", id="next day, auctioned in summer time"),
        # Clocks went back on 25 October 2015 at 01:00 UTC: that day lasts from 24 October 22:00 to 25 October 23:00.
        pytest.param(
            "2015-10-24T22:00", "2015-10-24T10:00", id="first of 25 hours, auctioned in summer time"
        ),
        pytest.param("2015-10-25T22:00", "2015-10-24T10:00", id="last of 25 hours"),
        pytest.param("2015-10-25T23:00", "2015-10-25T11:00", id="next day, auctioned in winter time"),
    ],
)
def test_epex_prices_are_known_at_the_auction(event, expected):
    """The prices of a local day are known at noon of the day before, by the clock in Paris."""
    rule = parse_knowledge_rule("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Paris"})
    assert rule.knowledge_times(np.array([event], dtype="datetime64[us]"), HOUR)[0] == np.datetime64(expected)


def test_hours_of_auctions_may_have_fractions():
    """Half past nine is 9.5."""
    rule = DaysAgo(2, 9.5, "Asia/Seoul")  # UTC+9 all year
    known = rule.knowledge_times(np.array(["2021-06-03T15:00"], dtype="datetime64[us]"), HOUR)
    # That is the first hour of 4 June in Seoul; 2 June 09:30 there is 00:30 UTC.
    assert known[0] == np.datetime64("2021-06-02T00:30")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(ExPost(), "2021-06-01T00:15", id="a meter knows at the end"),
        pytest.param(ExPost(timedelta(minutes=5)), "2021-06-01T00:20", id="or some time after it"),
        pytest.param(ExAnte(), "2021-06-01T00:00", id="a tariff is known at the start"),
        pytest.param(ExAnte(timedelta(days=1)), "2021-05-31T00:00", id="or some time before it"),
        pytest.param(
            AtDate(datetime(2021, 1, 1, tzinfo=UTC)), "2021-01-01T00:00", id="a budget once and for all"
        ),
    ],
)
def test_rules_mean_what_they_say(rule, expected):
    """A quarter-hour that starts at midnight is known when its rule says."""
    events = np.array(["2021-06-01T00:00"], dtype="datetime64[us]")
    assert rule.knowledge_times(events, QUARTER)[0] == np.datetime64(expected)


@pytest.mark.parametrize("name", ["ex_post", "ex_ante"])
def test_rules_need_no_parameters(name):
    """What is left out counts as no time at all."""
    assert parse_knowledge_rule(name, {}) in (ExPost(), ExAnte())


def test_rules_take_hours_as_numbers():
    """A duration may be given as a number of hours, as older databases have it."""
    assert parse_knowledge_rule("ex_ante", {"ex_ante_horizon": 24}) == ExAnte(timedelta(days=1))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param("ex_nunc", {}, id="no such rule"),
        pytest.param("ex_post", {"ex_ante_horizon": "PT1H"}, id="the parameter of another rule"),
        pytest.param("ex_post", {"ex_post_horizon": "P1M"}, id="months have no fixed length"),
        pytest.param("ex_post", {"ex_post_horizon": None}, id="nothing for a duration"),
        pytest.param("ex_ante", {"ex_ante_horizon": math.nan}, id="not a number of hours"),
        pytest.param("ex_ante", {"ex_ante_horizon": 1e300}, id="more hours than there are"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1, "y": 12}, id="a parameter is missing"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Pari"}, id="no such zone"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": 5}, id="a zone of a wrong type"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1.5, "y": 12, "z": "UTC"}, id="half a day"),
        pytest.param("x_days_ago_at_y_oclock", {"x": math.inf, "y": 12, "z": "UTC"}, id="endless days"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1, "y": 25, "z": "UTC"}, id="hour 25"),
        pytest.param("x_days_ago_at_y_oclock", {"x": 1, "y": math.nan, "z": "UTC"}, id="no hour"),
        pytest.param("at_date", {}, id="no date"),
        pytest.param("at_date", {"knowledge_time": "2020-01-01"}, id="no instant"),
    ],
)
def test_other_rules_are_refused(name, parameters):
    """A rule that does not exist or cannot have its parameters is refused, and named."""
    with pytest.raises(BadBeliefTiming, match=name):
        parse_knowledge_rule(name, parameters)


# Two quarter-hours from midnight, ending at 00:15 and 00:30.
@pytest.mark.parametrize(
    ("recorded_by", "horizon", "expected"),
    [
        pytest.param("00:40", None, ["00:40", "00:40"], id="all at once"),
        pytest.param(None, timedelta(0), ["00:15", "00:30"], id="each at its end"),
        pytest.param(None, timedelta(minutes=-5), ["00:20", "00:35"], id="each five minutes later"),
        pytest.param(None, timedelta(minutes=10), ["00:05", "00:20"], id="each ten minutes before"),
        pytest.param("00:25", timedelta(0), ["00:15", "00:25"], id="whichever is earlier"),
    ],
)
def test_belief_times_follow_from_messages(recorded_by, horizon, expected):
    """Beliefs are held from the earliest time that a message's recording time and horizon allow."""
    start = datetime(2021, 6, 1, tzinfo=UTC)
    by = None if recorded_by is None else start + timedelta(minutes=int(recorded_by[-2:]))
    times = belief_times(event_grid(start, QUARTER, 2), QUARTER, by, horizon)
    assert times.tolist() == [datetime.fromisoformat(f"2021-06-01T{text}") for text in expected]


def test_belief_times_need_a_hint():
    """Without recording time and horizon nothing can be said, and nothing is guessed."""
    with pytest.raises(BadBeliefTiming, match="Give a horizon or a time"):
        belief_times(event_grid(datetime(2021, 6, 1, tzinfo=UTC), QUARTER, 2), QUARTER, None, None)


@pytest.mark.parametrize(
    "rule", [ExPost(), ExAnte(), DaysAgo(1, 12, "Europe/Paris"), AtDate(datetime(2021, 1, 1, tzinfo=UTC))]
)
def test_no_events_have_no_knowledge_times(rule):
    """Every rule takes an empty list of events."""
    assert len(rule.knowledge_times(np.array([], dtype="datetime64[us]"), HOUR)) == 0
