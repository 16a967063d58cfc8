"""Watching over measurements: each kind of finding by hand, and that each is raised once."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.monitoring import (
    AlertKind,
    Finding,
    KnownAlert,
    WatchRule,
    inspect,
    patience_for,
    reconcile,
)
from flexmeasures.domain.time import event_grid

NOW = datetime(2024, 5, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULE = WatchRule(-10.0, 10.0, silent_after=DAY, hole_after=4 * HOUR, idle_below=0.5)


def hourly(values, end=NOW):
    """Make a series of hours that ends at an instant; leave out what is not a number."""
    values = np.asarray(values, dtype=float)
    starts = event_grid(end - len(values) * HOUR, HOUR, len(values))
    known = ~np.isnan(values)
    return Series(starts[known], values[known], HOUR, "MW")


def usual():
    """Give fourteen days that need no attention: 1 MW by night, 4 MW by day."""
    return np.tile(np.repeat([1.0, 4.0], 12), 14)


def found(values, rule=RULE, last_end=NOW):
    """Inspect hours up to now."""
    return inspect(hourly(values), rule, NOW, last_end)


def test_usual_measurements_need_no_attention():
    """Of what keeps its limits, comes and varies as always nothing is reported."""
    assert found(usual()) == []


@pytest.mark.parametrize(("value", "limit"), [(11.0, 10.0), (-12.0, -10.0)])
def test_a_breach_has_its_extreme_and_its_limit(value, limit):
    """Three hours beyond a limit are one finding, with the value furthest off; what has ended has an end."""
    values = usual()
    values[-8:-5] = [np.sign(value) * 10.5, value, np.sign(value) * 10.5]
    assert found(values) == [Finding(AlertKind.THRESHOLD, NOW - 8 * HOUR, NOW - 5 * HOUR, value, limit)]


def test_a_breach_up_to_the_newest_value_goes_on():
    """While the newest value is beyond the limit, the finding has no end."""
    values = usual()
    values[-2:] = 11.0
    assert found(values) == [Finding(AlertKind.THRESHOLD, NOW - 2 * HOUR, None, 11.0, 10.0)]


def test_a_value_at_the_limit_is_no_breach():
    """A limit itself may be reached."""
    values = usual()
    values[-3] = 10.0
    assert found(values) == []


def test_a_hole_is_a_gap_from_the_last_value_to_the_next():
    """Four missing hours are a gap where four are allowed at most; three are none."""
    values = usual()
    values[-10:-6] = np.nan
    assert found(values) == [Finding(AlertKind.GAP, NOW - 10 * HOUR, NOW - 6 * HOUR)]
    values[-7] = 4.0
    assert found(values) == []


def test_silence_is_a_gap_that_goes_on_however_long_it_lasts():
    """Who has sent nothing for more than a day is missed, also if nothing is left in the time that is looked at."""
    long_ago = NOW - 90 * DAY
    assert inspect(hourly([]), RULE, NOW, long_ago) == [Finding(AlertKind.GAP, long_ago, None)]
    assert inspect(hourly([]), RULE, NOW, NOW - DAY) == []
    assert inspect(hourly([]), RULE, NOW, None) == []


def test_patience_suits_the_resolution():
    """What comes once a day is missed after four days; what comes every quarter of an hour, after a day."""
    assert patience_for(timedelta(minutes=15)) == DAY
    assert patience_for(DAY) == 4 * DAY


def test_a_value_three_times_the_usual_is_an_outlier():
    """99 % of the sizes before are at most 4 MW, so 12 MW is usual still and 12.1 MW is not."""
    values = usual()
    rule = WatchRule(None, None, DAY, 4 * HOUR)
    values[-5] = 12.0
    assert found(values, rule) == []
    values[-5] = 12.1
    assert found(values, rule) == [Finding(AlertKind.OUTLIER, NOW - 5 * HOUR, NOW - 4 * HOUR, 12.1, 12.0)]
    values[-5] = -13.0
    assert [(one.value, one.limit) for one in found(values, rule)] == [(-13.0, -12.0)]


def test_few_values_make_nothing_usual():
    """With less than 96 values before the last two days no value is called an outlier."""
    values = np.ones(48 + 95)
    values[-1] = 9.0
    assert found(values) == []


def test_a_day_of_small_consumption_is_idle():
    """A day and more at 0.2 MW, where up to 0.5 MW is that of something idle, is reported; with a break it is not."""
    values = usual()
    values[-30:] = 0.2
    assert [one for one in found(values) if one.kind is AlertKind.IDLE] == [
        Finding(AlertKind.IDLE, NOW - 30 * HOUR, None, pytest.approx(0.2), 0.5)
    ]
    values[-10] = 0.0
    assert [one for one in found(values) if one.kind is AlertKind.IDLE] == []


def test_nothing_at_all_is_not_idle():
    """What stands still wastes nothing."""
    values = usual()
    values[-30:] = 0.0
    assert found(values) == []


def test_a_risen_base_load_is_a_leak():
    """Usually the least of a day is 1 MW; 2.1 MW is more than twice as much, 2 MW is not."""
    values = usual()
    values[-24:] = np.maximum(values[-24:], 2.0)
    assert found(values) == []
    values[-24:] = np.maximum(values[-24:], 2.1)
    assert found(values) == [Finding(AlertKind.LEAK, NOW - DAY, None, pytest.approx(2.1), 2.0)]


KEY = (7, AlertKind.GAP)


def test_what_goes_on_is_raised_once():
    """A gap that is found again, however its start moved, is the alert that is known."""
    known = [KnownAlert(1, KEY, NOW - 5 * DAY, None)]
    finding = Finding(AlertKind.GAP, NOW - 2 * DAY, None)
    changes = reconcile(known, [(7, finding)])
    assert (changes.new, changes.seen, changes.ended) == ((), ((1, finding),), ())


def test_what_is_over_ends_and_what_comes_back_is_new():
    """An alert that is not found any more ends; one that ended before a finding is another."""
    known = [KnownAlert(1, KEY, NOW - 5 * DAY, None)]
    assert reconcile(known, []).ended == (1,)
    finding = Finding(AlertKind.GAP, NOW - HOUR, None)
    before = [KnownAlert(1, KEY, NOW - 5 * DAY, NOW - 2 * HOUR)]
    assert reconcile(before, [(7, finding)]).new == ((7, finding),)


def test_other_sensors_and_kinds_are_other_alerts():
    """The same time at another sensor, or of another kind, is not the same alert."""
    known = [KnownAlert(1, KEY, NOW - 5 * DAY, None)]
    others = [(8, Finding(AlertKind.GAP, NOW - DAY, None)), (7, Finding(AlertKind.IDLE, NOW - DAY, None))]
    changes = reconcile(known, others)
    assert list(changes.new) == others
    assert changes.ended == (1,)
