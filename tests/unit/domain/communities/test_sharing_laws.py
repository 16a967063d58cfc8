"""Laws of sharing, over communities made up at random."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flexmeasures.domain.communities.allocation import MatrixKeys, Round, allocate, split
from flexmeasures.domain.communities.methods import Method, SharingRule, pooled_energy, rounds_of
from flexmeasures.domain.communities.optimise import best_fixed, compare


@st.composite
def communities(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make up generation, consumption and coefficients."""
    n_intervals, n_plants, n_members = (
        draw(st.integers(1, 6)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 5)),
    )
    energy = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 3_000_000), st.integers(0, 10**11))
    rows = lambda width: draw(  # noqa: E731
        st.lists(st.lists(energy, min_size=width, max_size=width), min_size=n_intervals, max_size=n_intervals)
    )
    weights = draw(st.lists(st.integers(1, 1000), min_size=n_members, max_size=n_members))
    keys = split(np.array([10**6]), np.array([weights]))[0]
    return np.array(rows(n_plants)), np.array(rows(n_members)), keys


def _rules(n_members: int) -> list[SharingRule]:
    everybody = tuple(range(n_members))
    return [
        SharingRule(Method.FIXED),
        SharingRule(Method.DYNAMIC),
        SharingRule(Method.DYNAMIC, key_parts=1000),
        SharingRule(Method.EQUAL),
        SharingRule(Method.FIXED_ROUNDS, rounds=2),
        SharingRule(Method.FIXED_ROUNDS),
        SharingRule(Method.HYBRID),
        SharingRule(Method.PRIORITY, levels=(everybody[:1], everybody[1:])),
        SharingRule(Method.ONE_WAY, levels=(everybody[-1:],)),
    ]


@given(communities())
@settings(max_examples=120, deadline=None)
def test_shares_add_up_and_nobody_gets_more(case: tuple):
    """Nobody uses more than it needs or is offered; together they use what producers gave."""
    generation, consumption, keys = case
    pooled = pooled_energy(generation, consumption)
    for rule in _rules(consumption.shape[1]):
        made = allocate(generation, consumption, rounds_of(rule, consumption.shape[1], keys))
        assert (made.used >= 0).all()
        assert (made.used <= consumption).all()
        assert (made.used <= made.offered).all()
        assert (made.taken >= 0).all()
        assert (made.taken <= generation).all()
        assert (made.used.sum(axis=1) == made.taken.sum(axis=1)).all()
        assert (made.offered.sum(axis=1) <= generation.sum(axis=1)).all()
        assert (made.used.sum(axis=1) <= pooled).all()


@given(communities())
@settings(max_examples=80, deadline=None)
def test_dynamic_optimal_and_hybrid_sharing_reach_the_pooled_energy(case: tuple):
    """Where everything left is offered again until nobody is in need, nothing useful is exported."""
    generation, consumption, keys = case
    pooled = pooled_energy(generation, consumption)
    for rule in (SharingRule(Method.DYNAMIC), SharingRule(Method.FIXED_ROUNDS), SharingRule(Method.HYBRID)):
        made = allocate(generation, consumption, rounds_of(rule, consumption.shape[1], keys))
        assert (made.used.sum(axis=1) == pooled).all()


@given(communities())
@settings(max_examples=60, deadline=None)
def test_fixed_coefficients_offer_everything_that_was_produced(case: tuple):
    """P = S + X holds to the last micro-kWh: what is offered adds up to the generation."""
    generation, consumption, keys = case
    made = allocate(generation, consumption, rounds_of(SharingRule(Method.FIXED), len(keys), keys))
    assert (made.offered.sum(axis=1) == generation.sum(axis=1)).all()


@given(communities())
@settings(max_examples=60, deadline=None)
def test_a_matrix_keeps_the_same_laws(case: tuple):
    """Keys by producer and member offer no more than each producer has."""
    generation, consumption, keys = case
    matrix = np.tile(keys, (generation.shape[1], 1))
    made = allocate(generation, consumption, (Round(MatrixKeys(matrix)),))
    assert (made.used <= consumption).all()
    assert (made.taken <= generation).all()
    assert (made.used.sum(axis=1) == made.taken.sum(axis=1)).all()


@given(communities())
@settings(max_examples=60, deadline=None)
def test_a_member_that_is_added_takes_nothing_away_from_the_total(case: tuple):
    """Pooling never shares less: one more member never lowers what a dynamic community uses."""
    generation, consumption, _ = case
    rule = SharingRule(Method.DYNAMIC)
    without = (
        allocate(generation, consumption[:, 1:], rounds_of(rule, consumption.shape[1] - 1))
        if consumption.shape[1] > 1
        else None
    )
    whole = allocate(generation, consumption, rounds_of(rule, consumption.shape[1]))
    assert without is None or whole.used.sum() >= without.used.sum()


@given(communities())
@settings(max_examples=60, deadline=None)
def test_proposed_coefficients_are_never_worse(case: tuple):
    """The best fixed coefficients use at least as much as any others, but for the rounding to six decimals."""
    generation, consumption, keys = case
    total = generation.sum(axis=1)
    gain = compare(total, consumption, keys, best_fixed(total, consumption))
    rounding = len(keys) * (total.sum() // 10**6 + len(total))
    assert gain.today <= gain.proposed + rounding
    assert gain.proposed <= gain.pooled


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=8),
    st.integers(0, 10**12),
)
@settings(max_examples=200, deadline=None)
def test_parts_of_a_split_add_up(weights: list[int], amount: int):
    """Each part is its exact quota rounded down or up, and all add up."""
    parts = split(np.array([amount]), np.array([weights]))[0].tolist()
    total = sum(weights)
    assert sum(parts) == (amount if total else 0)
    for part, weight in zip(parts, weights, strict=True):
        floor = amount * weight // total if total else 0
        assert part in (floor, floor + 1)
