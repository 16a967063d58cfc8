"""The slots of a market within a planning window, and the power of assets on them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.errors import InvalidDuration, InvalidTime
from flexmeasures.domain.flexibility.market_slots import AskedTime, MarketSlots, make_market_slots
from flexmeasures.domain.flexibility.positions import total_power

QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
NOW = datetime(2024, 3, 1, 10, 7, tzinfo=UTC)
ELEVEN = datetime(2024, 3, 1, 11, tzinfo=UTC)


def asked(start=ELEVEN, end=None, slot=None, horizon=timedelta(hours=24)):
    """A time for which is asked."""
    return AskedTime(start, end, slot, horizon)


def test_slots_begin_with_the_first_that_can_change():
    """At 10:07 the first slot of an hour begins at 11:00; a day of plans has 24, and one is asked for."""
    slots = make_market_slots(asked(), NOW, [QUARTER, HOUR])
    assert (slots.origin, slots.slot, slots.slots, slots.asked) == (ELEVEN, HOUR, 24, range(1))
    assert slots.start_of(24) == ELEVEN + timedelta(days=1)


def test_asked_slots_are_counted_from_the_first():
    """From 12:30 to 13:15 in quarter-hours, with 10:15 as the first: slots 9, 10 and 11."""
    time = asked(ELEVEN + timedelta(minutes=90), ELEVEN + timedelta(minutes=135), QUARTER)
    assert make_market_slots(time, NOW, [QUARTER]).asked == range(9, 12)


def test_a_period_touches_slots_in_part():
    """From 11:10 to 12:01 the slots of 11 and 12 are touched; a period that ends at 12:00 does not touch the next."""
    slots = MarketSlots(ELEVEN, HOUR, 24, range(1))
    minutes = lambda n: ELEVEN + timedelta(minutes=n)  # noqa: E731
    assert slots.touched_by(minutes(10), minutes(61)) == range(2)
    assert slots.touched_by(minutes(0), minutes(60)) == range(1)
    assert slots.touched_by(minutes(-30), minutes(30)) == range(-1, 1)


@pytest.mark.parametrize(
    ("time", "error", "told"),
    [
        (asked(slot=timedelta(0)), InvalidDuration, "length above 0"),
        (asked(end=ELEVEN), InvalidTime, "is empty"),
        (asked(start=ELEVEN - HOUR), InvalidTime, "is past"),
        (asked(start=ELEVEN + QUARTER), InvalidTime, "take 2024-03-01T11:00:00"),
        (asked(end=ELEVEN + HOUR + QUARTER), InvalidTime, "ends at .* off the slots"),
        (asked(end=ELEVEN + timedelta(hours=25)), InvalidTime, "plans reach until 2024-03-02T11:00"),
    ],
)
def test_windows_off_the_slots_are_refused(time, error, told):
    """A window without length, before now, off the slots or beyond the plans is refused with what to do."""
    with pytest.raises(error, match=told):
        make_market_slots(time, NOW, [HOUR])


def test_a_window_that_ends_with_the_plans_is_taken():
    """The last slot of the horizon can be asked for."""
    slots = make_market_slots(asked(end=ELEVEN + timedelta(hours=24)), NOW, [HOUR])
    assert slots.asked == range(24)


@dataclass
class Planned:
    """As much of a plan as its power."""

    net_mw: np.ndarray


@dataclass
class Placed:
    """As much of a position as its power."""

    planned: Planned
    resolution: timedelta


def test_power_is_the_mean_of_each_slot_and_zero_after_the_plan():
    """Quarter-hours 1, 2, 3, 4 MW have a mean of 2.5 MW; a plan of one hour counts as 0 MW in the second."""
    slots = MarketSlots(ELEVEN, HOUR, 2, range(2))
    short = Placed(Planned(np.array([1.0, 2.0, 3.0, 4.0])), QUARTER)
    long = Placed(Planned(np.array([-1.0, 5.0])), HOUR)
    np.testing.assert_allclose(total_power([short, long], slots), [1.5, 5.0])
