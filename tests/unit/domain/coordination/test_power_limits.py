"""Dimming under § 14a and the fail-safe of a silent source."""

from datetime import UTC, datetime, timedelta

import pytest

from flexmeasures.domain.coordination import FailSafe, LimitState, LimitWatch, least_dimmed_power_kw
from flexmeasures.domain.errors import BadValues

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def watch() -> LimitWatch:
    """Start a watch at noon with a fail-safe limit of 4.2 kW."""
    return LimitWatch(rules=FailSafe(4.2), since=NOON)


def limited() -> LimitWatch:
    """Bring a watch to a limit of 6 kW, written one second after a heartbeat at noon."""
    return watch().heartbeat(NOON).write(NOON + SECOND, 6.0)


@pytest.mark.parametrize(
    ("devices", "kilowatts"),
    [
        (1, 4.2),
        (2, 4.2 + 0.8 * 4.2),
        (3, 4.2 + 2 * 0.75 * 4.2),
        (8, 4.2 + 7 * 0.5 * 4.2),
        (9, 4.2 + 8 * 0.45 * 4.2),
    ],
)
def test_devices_keep_their_least_power(devices, kilowatts):
    """4.2 kW for the first device, and a share that falls with their number for each further one."""
    assert least_dimmed_power_kw(devices) == pytest.approx(kilowatts)


def test_large_heat_pumps_keep_two_fifths_of_their_power():
    """A heat pump of 15 kW and a car: 0.4 · 15 + 0.8 · 4.2 = 9.36 kW; one of 10.5 kW would keep 4.2 kW."""
    assert least_dimmed_power_kw(2, heat_pumps_kw=15) == pytest.approx(9.36)
    assert least_dimmed_power_kw(1, heat_pumps_kw=10.5) == pytest.approx(4.2)


@pytest.mark.parametrize(
    "wrong", [{"devices": 0}, {"devices": 1, "heat_pumps_kw": -1}, {"devices": 1, "cooling_kw": float("nan")}]
)
def test_impossible_devices_are_refused(wrong):
    """No device at all, or a negative or unknown power, is refused."""
    with pytest.raises(BadValues):
        least_dimmed_power_kw(**wrong)


def test_before_anything_is_heard_the_fail_safe_holds():
    """At start-up the fail-safe limit is applied; a heartbeat alone does not lift it."""
    assert watch().holds_kw == 4.2
    assert watch().heartbeat(NOON).holds_kw == 4.2


def test_a_limit_after_a_heartbeat_holds():
    """Heartbeat, then a limit of 6 kW; then none."""
    assert (limited().state, limited().holds_kw) == (LimitState.LIMITED, 6.0)
    released = limited().write(NOON + 2 * SECOND, None)
    assert (released.state, released.holds_kw) == (LimitState.UNLIMITED, None)


def test_a_heartbeat_after_exactly_two_minutes_is_in_time():
    """120 s of silence are bearable, 121 s are not."""
    assert limited().tick(NOON + 120 * SECOND).state is LimitState.LIMITED
    lost = limited().tick(NOON + 121 * SECOND)
    assert (lost.state, lost.since, lost.holds_kw) == (LimitState.FAILSAFE, NOON + 120 * SECOND, 4.2)


def test_a_connection_that_comes_back_does_not_lift_the_fail_safe():
    """After a silence a heartbeat alone leaves the fail-safe; a fresh limit after it ends it."""
    back = limited().heartbeat(NOON + 300 * SECOND)
    assert back.state is LimitState.FAILSAFE
    assert back.write(NOON + 301 * SECOND, 8.0).holds_kw == 8.0


def test_a_limit_without_a_heartbeat_before_it_does_not_end_the_fail_safe():
    """A limit that arrives after the silence, before any heartbeat, waits."""
    waiting = limited().write(NOON + 300 * SECOND, 8.0)
    assert (waiting.state, waiting.holds_kw) == (LimitState.FAILSAFE, 4.2)


def test_without_a_limit_after_its_return_the_system_is_free_after_two_minutes():
    """The source beats again from 300 s on, but sends no limit: free after 420 s, not before."""
    back = limited()
    for second in range(300, 421, 60):
        back = back.heartbeat(NOON + second * SECOND)
    assert back.tick(NOON + 420 * SECOND).state is LimitState.FAILSAFE
    assert back.tick(NOON + 421 * SECOND).state is LimitState.AUTONOMOUS


def test_a_source_that_stays_away_is_waited_for_two_hours():
    """The fail-safe starts 120 s after the last heartbeat and lasts two hours."""
    free = NOON + 120 * SECOND + timedelta(hours=2)
    assert limited().tick(free).state is LimitState.FAILSAFE
    assert limited().tick(free + SECOND).state is LimitState.AUTONOMOUS
    assert limited().tick(free + SECOND).holds_kw is None


def test_a_limit_with_a_duration_ends_by_itself():
    """A limit of one minute is gone after it, the source being alive."""
    brief = watch().heartbeat(NOON).write(NOON, 6.0, timedelta(minutes=1))
    assert brief.tick(NOON + 59 * SECOND).holds_kw == 6.0
    assert brief.tick(NOON + 60 * SECOND).holds_kw is None


def test_a_negative_limit_is_refused():
    """−1 kW is not a limit."""
    with pytest.raises(BadValues):
        limited().write(NOON, -1.0)
