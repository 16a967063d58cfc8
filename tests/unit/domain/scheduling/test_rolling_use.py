"""Rolling use: states of charge, earlier plans and agreements on the grid of a new plan."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.scheduling.rolling import AgreedPower, EarlierPlan, carry_soc, power_on_grid

NOON = datetime(2021, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAN = EarlierPlan(NOON, HOUR, np.array([1.0, -1.0, 0.5]), np.array([1.0, 2.0, 1.0, 1.5]))


@pytest.mark.parametrize(
    ("known", "hours", "expected"),
    [
        pytest.param((NOON, 1.0), 1, 2.0, id="the plan was followed"),
        pytest.param((NOON, 1.0), 0.5, 1.5, id="within a slot"),
        pytest.param((NOON, 1.2), 1, 2.2, id="measured when the plan starts"),
        pytest.param((NOON + HOUR, 1.7), 2, 0.7, id="a newer measurement"),
        pytest.param((NOON + 2 * HOUR, 3.0), 2, 3.0, id="measured right now"),
        pytest.param((NOON + 3 * HOUR, 3.0), 2, 3.0, id="measured later"),
        pytest.param((NOON, 1.0), 9, 1.5, id="after the plan it stays"),
        pytest.param(None, 1, 2.0, id="only the plan knows"),
        pytest.param((NOON - HOUR, 0.3), -0.5, 0.3, id="before the plan"),
    ],
)
def test_the_state_of_charge_is_carried_on(known, hours, expected):
    """What is known counts, and what the plan has moved since."""
    assert carry_soc(known, PLAN, NOON + hours * HOUR) == pytest.approx(expected)


def test_without_a_plan_the_state_of_charge_stays():
    """What no plan moves stays as it is known; nothing known is nothing."""
    assert carry_soc((NOON, 1.0), None, NOON + HOUR) == 1.0
    assert carry_soc(None, None, NOON) is None
    assert carry_soc((NOON, 1.0), EarlierPlan(NOON, HOUR, np.zeros(1), None), NOON + HOUR) == 1.0


def test_a_plan_on_another_grid():
    """Slots keep their power where both plans have them; other resolutions and offsets have nothing in common."""
    later = power_on_grid(PLAN, NOON + HOUR, HOUR, 3)
    assert later[:2].tolist() == [-1.0, 0.5]
    assert np.isnan(later[2])
    assert power_on_grid(PLAN, NOON, HOUR / 2, 3) is None
    assert power_on_grid(PLAN, NOON + HOUR / 2, HOUR, 3) is None
    assert power_on_grid(PLAN, NOON + 3 * HOUR, HOUR, 3) is None


def test_an_agreement_holds_in_the_slots_within_it():
    """From 12:30 to 15:30 the slots of 13:00 and 14:00 lie wholly within."""
    agreed = AgreedPower("order 7", NOON + HOUR / 2, NOON + 3.5 * HOUR, 0.4, 1000.0)
    stated = agreed.on_grid(NOON, HOUR, 5)
    assert stated.device is None
    assert (stated.price_above, stated.price_below) == (1000.0, 1000.0)
    assert np.flatnonzero(np.isfinite(stated.power_mw)).tolist() == [1, 2]
    assert agreed.on_grid(NOON + 3 * HOUR, HOUR, 5) is None
    assert agreed.on_grid(NOON - 9 * HOUR, HOUR, 9) is None
