"""A battery that a community shares."""

from __future__ import annotations

import numpy as np
import pytest

from flexmeasures.domain.communities.allocation import GivenKeys, Round, allocate
from flexmeasures.domain.communities.methods import pooled_energy
from flexmeasures.domain.communities.storage import (
    SharedBattery,
    plan_shared_battery,
    propose_with_battery,
    reachable_load,
)

from .cases import FIXED


def test_noon_is_moved_into_the_evening():
    """3 kWh of surplus over two hours fill a battery that gives 95 % of 95 % of it back, and no more than is needed."""
    sun = np.array([4_000_000, 3_000_000, 0, 0])
    load = np.array([2_000_000, 2_000_000, 1_000_000, 5_000_000])
    power = plan_shared_battery(sun, load, SharedBattery(10, 100), 1.0)
    assert power[:2] == pytest.approx([2, 1], abs=1e-6)
    assert power[2:].sum() == pytest.approx(-3 * 0.95 * 0.95, abs=1e-6)
    assert power[2] >= -1 - 1e-6


def test_limits_of_the_battery_hold():
    """Power and size bound what is stored; it neither charges from the grid nor discharges into it."""
    rng = np.random.default_rng(2)
    sun = (np.maximum(np.sin((np.arange(240) % 24 - 6) / 12 * np.pi), 0) * 6e6).astype(np.int64)
    load = rng.integers(0, 2_000_000, 240)
    battery = SharedBattery(2, 5)
    power = plan_shared_battery(sun, load, battery, 1.0, window=72)
    assert np.abs(power).max() <= 2 + 1e-6
    assert (power <= np.maximum(sun - load, 0) / 1e6 + 1e-6).all()
    assert (-power <= np.maximum(load - sun, 0) / 1e6 + 1e-6).all()
    stored = np.cumsum(np.where(power > 0, power * 0.95, power / 0.95))
    assert stored.min() >= -1e-5
    assert stored.max() <= 5 + 1e-5


def test_how_far_coefficients_reach():
    """At 0.5, 0.3 and 0.2 and uses of 1, 0.9 and 2 kWh, A is satisfied at 2 kWh, B at 3, C at 10.

    Beyond 2 kWh only half of each kWh is used, beyond 3 kWh a fifth.
    """
    use = np.array([[1_000_000, 900_000, 2_000_000]])
    keys = FIXED[None, :]
    assert [int(reachable_load(keys, use, share)[0]) for share in (0.6, 0.4, 0.1)] == [
        2_000_000,
        3_000_000,
        10_000_000,
    ]


def test_coefficients_and_battery_together_beat_coefficients_alone():
    """Ten days of three homes: with the battery more is used, and at most what the pooled community could."""
    rng = np.random.default_rng(4)
    sun = (np.maximum(np.sin((np.arange(240) % 24 - 6) / 12 * np.pi), 0) * 6e6).astype(np.int64)
    use = rng.integers(0, 1_500_000, (240, 3))
    groups = np.arange(240) % 24
    made = propose_with_battery(sun, use, groups, SharedBattery(3, 10), 1.0)

    def shared(generation):
        rounds = (Round(GivenKeys(made.table[groups])),)
        return allocate(generation[:, None], use, rounds).used.sum()

    assert shared(made.net) > shared(sun)
    assert shared(made.net) <= pooled_energy(made.net[:, None], use).sum()
    assert (made.table.sum(axis=1) == 10**6).all()
