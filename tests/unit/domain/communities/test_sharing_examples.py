"""Worked examples of energy sharing, each with the numbers of its source."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from flexmeasures.domain.communities.allocation import (
    WHOLE,
    GivenKeys,
    MatrixKeys,
    ProRata,
    Round,
    allocate,
    split,
    to_units,
)
from flexmeasures.domain.communities.countries.austria import residual_of_producer
from flexmeasures.domain.communities.countries.france import keys_in_tenths
from flexmeasures.domain.communities.countries.germany import (
    constant_rounds,
    equal_rounds,
    one_way_rounds,
    pro_rata_rounds,
)
from flexmeasures.domain.communities.countries.spain import net_generation_of_plants
from flexmeasures.domain.communities.methods import Method, SharingRule, pooled_energy, rounds_of
from flexmeasures.domain.communities.metrics import DEFAULT_FACTORS, Totals, avoided_emissions, find_factor
from flexmeasures.domain.errors import BadValues, InvalidInput

from .cases import CONSUMPTION, FIXED, GENERATION, HOURLY, kwh_of


def _shared(rule: SharingRule, keys: np.ndarray | None = None) -> float:
    return allocate(GENERATION, CONSUMPTION, rounds_of(rule, 3, keys)).used.sum() / 1e6


@pytest.mark.parametrize(
    ("method", "keys", "shared", "of_production", "of_consumption"),
    [
        (Method.FIXED, FIXED, 6.9, 0.5750, 0.6900),
        (Method.HOURLY, HOURLY, 9.1, 0.7583, 0.9100),
        (Method.DYNAMIC, None, 9.2, 0.7667, 0.9200),
        (Method.POOLED, None, 9.2, 0.7667, 0.9200),
    ],
)
def test_section_6_4_all_four_methods(
    method: Method, keys: np.ndarray | None, shared: float, of_production: float, of_consumption: float
):
    """Three members and four hours share what the specification's table says, with its ratios."""
    if method is Method.POOLED:
        used = pooled_energy(GENERATION, CONSUMPTION).sum()
    else:
        used = allocate(GENERATION, CONSUMPTION, rounds_of(SharingRule(method), 3, keys)).used.sum()
    totals = Totals(int(GENERATION.sum()), int(CONSUMPTION.sum()), int(used))
    assert used == round(shared * 1e6)
    assert totals.exported == round((12 - shared) * 1e6)
    assert totals.from_grid == round((10 - shared) * 1e6)
    assert (totals.selfproduction_ratio, totals.selfconsumption_ratio) == (of_production, of_consumption)


def test_section_6_4_members_under_fixed_coefficients():
    """Each member is offered, uses, leaves and draws what the specification says."""
    made = allocate(GENERATION, CONSUMPTION, rounds_of(SharingRule(Method.FIXED), 3, FIXED))
    assert kwh_of(made.offered.sum(axis=0)) == [6.0, 3.6, 2.4]
    assert kwh_of(made.used.sum(axis=0)) == [3.6, 1.6, 1.7]
    assert kwh_of((made.offered - made.used).sum(axis=0)) == [2.4, 2.0, 0.7]
    assert kwh_of((CONSUMPTION - made.used).sum(axis=0)) == [0.9, 0.3, 1.9]


def test_section_6_4_netting_over_the_day_is_not_what_we_do():
    """Sums over the day would claim 10 kWh; settled per hour no method reaches more than 9.2."""
    over_the_day = min(GENERATION.sum(), CONSUMPTION.sum())
    assert over_the_day == 10_000_000
    assert pooled_energy(GENERATION, CONSUMPTION).sum() == 9_200_000


def test_section_5_test_vector():
    """The published numbers of a project give its published ratios and avoided emissions."""
    totals = Totals(1_196_160_000, 172_123_000, 94_702_000)
    assert (totals.exported, totals.from_grid) == (1_101_458_000, 77_421_000)
    assert totals.selfproduction_ratio == 0.0792
    assert totals.surplus_ratio == 0.9208
    assert totals.gridconsumption_ratio == 0.4498
    assert totals.selfconsumption_ratio == 0.5502
    assert (
        avoided_emissions(totals.produced, find_factor(DEFAULT_FACTORS, "ES", date(2024, 1, 1))) == 193_777.92
    )


def test_nothing_produced_has_no_ratio():
    """A ratio over nothing is unknown, not zero."""
    totals = Totals(0, 0, 0)
    assert totals.surplus_ratio is None
    assert totals.selfconsumption_ratio is None


def test_w1_spanish_hour():
    """W1: shares 1.5/0.9/0.6 of 3 kWh, self-consumption and surplus per member, and two plants by power."""
    made = allocate(
        to_units(np.array([[3.0]])), to_units(np.array([[1.0, 1.2, 0.1]])), (Round(GivenKeys(FIXED)),)
    )
    assert kwh_of(made.offered) == [1.5, 0.9, 0.6]
    assert kwh_of(made.used) == [1.0, 0.9, 0.1]
    assert kwh_of(made.offered - made.used) == [0.5, 0.0, 0.5]
    assert kwh_of(net_generation_of_plants(np.array([1_000_000]), [60, 40])) == [0.6, 0.4]


def test_w2_french_priority():
    """W2: of 1 kWh, B (0.4) comes first and C (0.8) gets the other 0.6, and 0.2 from its supplier."""
    rule = SharingRule(Method.PRIORITY, levels=((0,), (1,)))
    consumption = to_units(np.array([[0.4, 0.8]]))
    made = allocate(to_units(np.array([[1.0]])), consumption, rounds_of(rule, 2))
    assert kwh_of(made.used) == [0.4, 0.6]
    assert kwh_of(consumption - made.used) == [0.0, 0.2]


def test_w3_french_key_file_cut_to_tenths():
    """W3: 400 and 800 Wh of 1000 get keys 33.3 and 66.6 %, one Wh stays surplus; 200 and 300 get 20.0 and 30.0 %."""
    rule = SharingRule(Method.DYNAMIC, key_parts=1000)
    generation = np.array([[1_000_000], [1_000_000]])
    consumption = to_units(np.array([[0.4, 0.8], [0.2, 0.3]]))
    made = allocate(generation, consumption, rounds_of(rule, 2))
    assert made.used.tolist() == [[333_000, 666_000], [200_000, 300_000]]
    assert (generation - made.taken).ravel().tolist() == [1000, 500_000]
    assert keys_in_tenths(made.used, generation[:, 0]).tolist() == [[333, 666], [200, 300]]


@pytest.mark.parametrize(
    ("generation", "consumption", "expected"),
    [
        (0.506, [0.035, 0.0, 0.539, 0.076], [0.027246, 0.0, 0.419591, 0.059163]),
        (1.842, [0.009, 0.003, 0.018, 2.848], [0.005760, 0.001920, 0.011521, 1.822799]),
    ],
    ids=["w7", "w8"],
)
def test_w7_w8_austrian_quarter_hours(generation: float, consumption: list[float], expected: list[float]):
    """W7, W8: pro rata reproduces the operator's six decimals, and adds up to the generation."""
    made = allocate(
        to_units(np.array([[generation]])),
        to_units(np.array([consumption])),
        rounds_of(SharingRule(Method.DYNAMIC), 4),
    )
    assert kwh_of(made.used) == expected
    assert made.used.sum() == round(generation * 1e6)


def test_austrian_producers_keep_their_part_of_the_surplus():
    """Two plants of 3 and 1 kWh that covered 2 kWh keep 1.5 and 0.5 kWh: P.01T = G.01T - ΣG.03 · G.01T / ΣG.01T."""
    generation = np.array([[3.0, 1.0]])
    assert residual_of_producer(generation, np.array([[1.5, 0.5]])).tolist() == [[1.5, 0.5]]
    made = allocate(
        to_units(generation), to_units(np.array([[1.5, 0.5]])), rounds_of(SharingRule(Method.DYNAMIC), 2)
    )
    assert kwh_of(made.taken) == [1.5, 0.5]


@pytest.mark.parametrize(
    ("rule", "expected", "rest"),
    [
        (SharingRule(Method.FIXED), [1, 2.5, 2.5, 2.5], 1.5),
        (SharingRule(Method.FIXED_ROUNDS, rounds=2), [1, 2.6, 3, 3], 0.4),
        (SharingRule(Method.FIXED_ROUNDS), [1, 2.6, 3.2, 3.2], 0),
        (SharingRule(Method.HYBRID), [1, 2.529412, 2.941176, 3.529412], 0),
        (SharingRule(Method.DYNAMIC), [0.735294, 1.911765, 2.941176, 4.411765], 0),
    ],
    ids=["fixed", "relative", "optimal", "hybrid", "pro-rata"],
)
def test_w11_belgian_rounds(rule: SharingRule, expected: list[float], rest: float):
    """W11: 10 kWh under four keys of 25 % and uses of 1, 2.6, 4 and 6 kWh."""
    generation = to_units(np.array([[10.0]]))
    made = allocate(
        generation, to_units(np.array([[1, 2.6, 4, 6.0]])), rounds_of(rule, 4, np.full(4, 250_000))
    )
    assert kwh_of(made.used) == expected
    assert kwh_of(generation - made.taken) == [rest]


_NANO = 10**9
# E, V2, V3 and the residuals of B1 (M2, M3, feed-in M1), B2 (M2, M1) and B3 (M2, M3, M1), by the implementer.
_W12 = [
    ((100, 5, 50), (0, 0, 45), (0, 45), (0, 0, 45)),
    ((100, 20, 95), (10, 5, 0), (10, 0), (2.6087, 12.3914, 0.0001)),
    ((100, 5, 95), (0, 5, 5), (0, 5), (0, 0, 0)),
    ((0, 10, 10), (10, 10, 0), (10, 0), (10, 10, 0)),
    ((40, 30, 0), (26, 0, 36), (0, 10), (0, 0, 10)),
    ((12.345, 1, 20), (0, 8.8895, 0.2345), (0, 0.2345), (0.412143445, 8.2428689, 0.000012345)),
]


@pytest.mark.parametrize(("given", "b1", "b2", "b3"), _W12)
def test_w12_german_formulas(given: tuple, b1: tuple, b2: tuple, b3: tuple):
    """W12: constant keys, one-way leftovers and pro rata with the quotient cut to six decimals, to nine decimals."""
    produced, *used = given
    generation = to_units(np.array([[produced]]), _NANO)
    consumption = to_units(np.array([used]), _NANO)
    keys = np.array([100_000, 900_000])
    made = [
        allocate(generation, consumption, rounds)
        for rounds in (constant_rounds(keys), one_way_rounds(keys, [0]), pro_rata_rounds())
    ]
    residual = [kwh_of(consumption - one.used, _NANO) for one in made]
    feed_in = [kwh_of(generation - one.taken, _NANO)[0] for one in made]
    # A member without consumption stands in the pro-rata sum as zero.
    assert (*residual[0], feed_in[0]) == b1
    assert (residual[1][0], feed_in[1]) == b2
    assert (*residual[2], feed_in[2]) == b3


def test_equal_parts_where_nothing_is_agreed():
    """Germany: two members share 10 kWh in halves, each up to its use."""
    made = allocate(to_units(np.array([[10.0]])), to_units(np.array([[8.0, 2.0]])), equal_rounds(2))
    assert kwh_of(made.used) == [5.0, 2.0]


def test_a_matrix_of_producers_and_members():
    """By pairs: plant 1 (4 kWh) gives A 75 % and B 25 %, plant 2 (2 kWh) all to B; A uses 2, B 2.5 of its 3."""
    keys = np.array([[750_000, 250_000], [0, 1_000_000]])
    made = allocate(
        to_units(np.array([[4.0, 2.0]])), to_units(np.array([[2.0, 2.5]])), (Round(MatrixKeys(keys)),)
    )
    assert kwh_of(made.offered) == [3.0, 3.0]
    assert kwh_of(made.used) == [2.0, 2.5]
    # B takes 2.5 of 1 + 2 offered in proportion: 5/6 of each, to the millionth.
    assert made.taken.tolist() == [[2_000_000 + 833_333, 1_666_667]]


def test_a_round_may_offer_a_share_and_cap_members():
    """Half of 10 kWh goes out first, at most 1 kWh each; the rest follows pro rata."""
    first = Round(GivenKeys(np.array([1, 1])), share=WHOLE // 2, cap=to_units(np.array([1.0, 1.0])))
    generation = to_units(np.array([[10.0]]))
    made = allocate(generation, to_units(np.array([[9.0, 3.0]])), (first, Round(ProRata())))
    # 1 each, then 8 kWh over needs of 8 and 2: 6.4 and 1.6.
    assert kwh_of(made.used) == [7.4, 2.6]


def test_largest_remainders_get_what_rounding_leaves():
    """Of 100 units over weights 1, 1, 1 the first gets 34; over 2, 1, 0 the larger remainder gets the odd unit."""
    assert split(np.array([100]), np.array([[1, 1, 1]])).tolist() == [[34, 33, 33]]
    assert split(np.array([100]), np.array([[2, 1, 0]])).tolist() == [[67, 33, 0]]


def test_products_beyond_64_bits_are_exact():
    """A GWh over two members of GWh use is divided exactly although the product has 80 bits."""
    amount, weights = 10**12, [10**12 - 1, 1]
    made = split(np.array([amount]), np.array([weights]))
    assert made.tolist() == [[amount * weights[0] // 10**12, amount - amount * weights[0] // 10**12]]


@pytest.mark.parametrize("wrong", [-0.1, float("inf"), float("nan"), 1e9])
def test_impossible_energies_are_refused(wrong: float):
    """Negative, infinite, missing or absurd energies cannot be shared."""
    with pytest.raises(BadValues, match="finite numbers"):
        to_units(np.array([wrong]))


def test_methods_with_coefficients_say_when_there_are_none():
    """A fixed method without a table names the remedy."""
    with pytest.raises(InvalidInput, match="distribution table"):
        rounds_of(SharingRule(Method.FIXED), 2)
    with pytest.raises(InvalidInput, match="not divided"):
        rounds_of(SharingRule(Method.POOLED), 2)
