"""Readings to daily energies: gaps, the operator's values, statements and compensation."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from flexmeasures.domain.communities.allocation import UNITS_PER_KWH, GivenKeys, Round
from flexmeasures.domain.communities.compensation import compensate, to_cents
from flexmeasures.domain.communities.life_cycle import Readiness, ServiceStatus, check_service_status
from flexmeasures.domain.communities.metrics import EmissionFactor, find_factor
from flexmeasures.domain.communities.optimise import best_fixed, best_grouped, compare
from flexmeasures.domain.communities.settlement import Readings, find_differences, settle
from flexmeasures.domain.communities.statement import Prices, make_statement
from flexmeasures.domain.errors import Conflict

from .cases import CONSUMPTION, FIXED, GENERATION, HOURLY

NAN = float("nan")
ROUNDS = (Round(GivenKeys(FIXED)),)
P, C = GENERATION / UNITS_PER_KWH, CONSUMPTION / UNITS_PER_KWH
TWO_DAYS = np.array([0, 2])


def test_days_add_up_their_intervals():
    """The worked example as two days of two hours: 0 + 0.9 kWh and 2.3 + 3.7 kWh are shared."""
    daily = settle(Readings(P, C), ROUNDS, TWO_DAYS)
    # Per hour: 0; min(1, .6) + min(.6, .2) + min(.4, .1); 1 + .5 + 1.2; 2 + .9 + .4.
    assert (daily.shared / 1e6).tolist() == [0.9, 6.0]
    assert (daily.produced / 1e6).tolist() == [2.0, 10.0]
    assert (daily.consumed.sum(axis=1) / 1e6).tolist() == [1.7, 8.3]
    assert daily.counted.tolist() == daily.intervals.tolist() == [2, 2]
    assert daily.readings.tolist() == [8, 8]


def test_an_interval_without_generation_readings_does_not_count():
    """Where the plant's reading is missing nobody can say what was shared: the hour is left out of all sums."""
    generation = P.copy()
    generation[3] = NAN
    daily = settle(Readings(generation, C), ROUNDS, TWO_DAYS)
    assert daily.counted.tolist() == [2, 1]
    assert (daily.produced / 1e6).tolist() == [2.0, 6.0]
    assert (daily.consumed.sum(axis=1) / 1e6).tolist() == [1.7, 4.5]
    assert daily.readings.tolist() == [8, 7]


def test_a_member_without_a_reading_has_proven_no_use():
    """Its share is surplus then, others keep theirs, and the invariants hold on that day too."""
    consumption = C.copy()
    consumption[2, 2] = NAN
    daily = settle(Readings(P, consumption), ROUNDS, TWO_DAYS)
    # Member C would have used 1.2 kWh in that hour.
    assert (daily.shared / 1e6).tolist() == [0.9, 4.8]
    assert daily.present[1].tolist() == [2, 2, 1]
    assert (daily.produced - daily.shared >= 0).all()
    assert (daily.consumed.sum(axis=1) - daily.shared >= 0).all()


def test_pooled_sharing_does_not_tell_members_apart():
    """The Italian form gives the community's total and no member's part."""
    daily = settle(Readings(P, C), None, TWO_DAYS)
    assert (daily.shared / 1e6).tolist() == [0.9, 8.3]
    assert not daily.used.any()


def test_the_operators_values_are_taken_and_compared():
    """A value of the grid operator counts as it is; ours stands beside it, and differences are listed."""
    operator = np.full((4, 3), NAN)
    operator[2] = [1.0, 0.5, 1.1]
    readings = Readings(P, C, operator=operator)
    daily = settle(readings, ROUNDS, TWO_DAYS, tolerance_kwh=0.01)
    assert (daily.used[1] / 1e6).tolist() == [3.0, 1.4, 1.5]
    assert (daily.computed[1] / 1e6).tolist() == [3.0, 1.4, 1.6]
    assert daily.differences.tolist() == [0, 1]
    computed = np.zeros((4, 3), dtype=np.int64)
    computed[2] = [1_000_000, 500_000, 1_200_000]
    found = find_differences(readings, computed, 0.01)
    assert (found.intervals.tolist(), found.members.tolist()) == ([2], [2])
    assert (found.operator_kwh.tolist(), found.computed_kwh.tolist()) == ([1.1], [1.2])


def test_hourly_intensity_weighs_production():
    """2 kWh at 100 g, 6 kWh at 50 g and 4 kWh at 200 g avoid 200 g on the first day and 1,100 g on the second."""
    daily = settle(Readings(P, C, intensity=np.array([300.0, 100, 50, 200])), ROUNDS, TWO_DAYS)
    assert daily.avoided.tolist() == [200.0, 1100.0]
    # Shared: .9 · 100; 2.7 · 50 + 3.3 · 200.
    assert daily.avoided_shared == pytest.approx([90.0, 795.0])


def test_emission_factors_by_zone_and_year():
    """The factor of the year holds, else the latest before it, else the one without a year."""
    factors = (
        EmissionFactor("ES", None, 162, "default"),
        EmissionFactor("ES", 2023, 120, "agency"),
        EmissionFactor("ES", 2025, 100, "agency"),
    )
    days = [date(2022, 5, 1), date(2023, 5, 1), date(2024, 5, 1), date(2026, 5, 1)]
    assert [find_factor(factors, "ES", day).grams_per_kwh for day in days] == [162, 120, 120, 100]
    assert find_factor(factors, "FR", date(2024, 1, 1)) is None


def test_credit_is_limited_to_the_cost_of_grid_energy():
    """5 kWh of surplus at 0.06 are worth 0.30, 1 kWh from the grid costs 0.20: 0.10 are lost."""
    money = compensate(np.array([2_000_000, 3_000_000]), np.array([0, 1_000_000]), 0.06, 0.20)
    assert money.credit == pytest.approx(0.30)
    assert money.credit_used == pytest.approx(0.20)
    assert money.credit_lost == pytest.approx(0.10)
    assert money.to_pay == pytest.approx(0.0)


def test_hourly_surplus_prices():
    """Regulated tariffs: 2 kWh at 0.05 and 3 kWh at 0.01 are worth 0.13; 4 kWh at 0.10 and 0.30 cost 0.80."""
    money = compensate(
        np.array([2_000_000, 3_000_000]),
        np.array([2_000_000, 2_000_000]),
        np.array([0.05, 0.01]),
        np.array([0.10, 0.30]),
    )
    assert (round(money.credit, 10), round(money.to_pay, 10), money.credit_lost) == (0.13, 0.67, 0.0)
    assert str(to_cents(money.to_pay)) == "0.67"


def test_a_members_statement():
    """Member C of the worked example: 3.6 kWh used, 1.7 shared, 0.7 surplus, 1.9 from the grid."""
    offered = GENERATION[:, 0] // 5
    used = np.minimum(offered, CONSUMPTION[:, 2])
    made = make_statement(
        "C",
        (date(2026, 5, 1), date(2026, 5, 1)),
        (CONSUMPTION[:, 2], offered, used),
        Prices(energy=0.20, surplus=0.06, shared=0.05),
        coverage=1.0,
    )
    assert (made.consumed, made.self_consumed, made.surplus, made.from_grid) == (
        3_600_000,
        1_700_000,
        700_000,
        1_900_000,
    )
    # 1.7 · (0.20 - 0.05); 0.7 · 0.06 of 1.9 · 0.20.
    assert made.saved == pytest.approx(0.255)
    assert made.compensation.credit_used == pytest.approx(0.042)
    assert made.compensation.to_pay == pytest.approx(0.338)


def test_shared_energy_may_pay_a_reduced_grid_fee():
    """1.7 kWh that saved 0.20 less 60 % of a grid fee of 0.10 and 0.05 to the community: 1.7 · 0.09."""
    offered = GENERATION[:, 0] // 5
    used = np.minimum(offered, CONSUMPTION[:, 2])
    prices = Prices(energy=0.20, shared=0.05, grid_fee=0.10, grid_fee_reduction=0.4)
    made = make_statement("C", (date(2026, 5, 1),) * 2, (CONSUMPTION[:, 2], offered, used), prices, 1.0)
    assert made.saved == pytest.approx(1.7 * 0.09)
    assert made.compensation.credit == 0


def test_the_best_fixed_coefficients_are_the_optimum_of_the_linear_programme():
    """The proposal reaches what a general solver finds for max Σ s, s <= β P, s <= C, Σ β = 1."""
    from scipy.optimize import linprog  # noqa: PLC0415 - slow to load

    n_hours, n_members = CONSUMPTION.shape
    cost = np.concatenate([np.zeros(n_members), -np.ones(n_hours * n_members)])
    upper = np.zeros((n_hours * n_members, len(cost)))
    for row in range(n_hours * n_members):
        upper[row, n_members + row] = 1
        upper[row, row % n_members] = -P[row // n_members, 0]
    equal = np.zeros((1, len(cost)))
    equal[0, :n_members] = 1
    bounds = [(0, 1)] * n_members + [(0, c) for c in C.ravel()]
    best = -linprog(cost, upper, np.zeros(len(upper)), equal, [1], bounds).fun
    gain = compare(GENERATION[:, 0], CONSUMPTION, FIXED, best_fixed(GENERATION[:, 0], CONSUMPTION))
    assert gain.proposed / 1e6 == pytest.approx(best, abs=1e-4)
    assert gain.today == 6_900_000
    assert gain.pooled == 9_200_000


def test_coefficients_by_group_of_hours():
    """Each hour a group of its own reaches the pooled 9.2 kWh; groups without sun take the constant ones."""
    table = best_grouped(GENERATION[:, 0], CONSUMPTION, np.arange(4))
    assert table.sum(axis=1).tolist() == [10**6] * 4
    gain = compare(GENERATION[:, 0], CONSUMPTION, HOURLY, table)
    assert (gain.today, gain.proposed) == (9_100_000, pytest.approx(9_200_000, abs=20))
    assert table[0].tolist() == best_fixed(GENERATION[:, 0], CONSUMPTION).tolist()


def test_a_service_goes_one_step_at_a_time():
    """Activation names all that is missing; no status is skipped."""
    nothing = Readiness(has_group=False, has_power=False, has_validated_table=False)
    check_service_status(ServiceStatus.DRAFT, ServiceStatus.INSCRIPTION, nothing)
    with pytest.raises(Conflict, match=r"\(CAU\) and a rated power and a validated distribution table"):
        check_service_status(ServiceStatus.INSCRIPTION, ServiceStatus.ACTIVATION, nothing)
    with pytest.raises(Conflict, match="cannot go from inscription to active"):
        check_service_status(ServiceStatus.INSCRIPTION, ServiceStatus.ACTIVE, nothing)
    check_service_status(ServiceStatus.INSCRIPTION, ServiceStatus.ACTIVATION, Readiness(True, True, True))
