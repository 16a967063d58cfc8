"""A plan always comes back: wishes are given up in order, limits never, and what was missed is said."""

from dataclasses import replace

import numpy as np
import pytest

from flexmeasures.domain.scheduling import (
    Connection,
    Exclusion,
    Outcome,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    SolverOptions,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
    plan_storage,
)
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import LinearSolution, Status
from flexmeasures.domain.scheduling.missed import Missed, Obstacle
from flexmeasures.domain.scheduling.reach import missed_by

FALLBACK = PlanOptions(relax=False)
BATTERY = battery("b", 1.0, max_soc_mwh=5.0)


def test_a_target_out_of_reach_is_approached_and_the_power_limit_named():
    """4 MWh in 2 h at 1 MW from 1 MWh: 3 is reached, and the maximum consumption is in the way."""
    schedule = plan_storage(BATTERY, [1, 1, 9.0], resolution_hours=1.0, soc_at_start=1.0, targets={2: 4.0})

    assert schedule.outcome is Outcome.RELAXED
    missed = schedule.missed[0]
    assert (missed.limit, missed.index, missed.wanted) == ("soc target", 2, 4.0)
    assert missed.reached == pytest.approx(3.0)
    assert missed.amount == pytest.approx(1.0)
    assert missed.clashes == ("maximum consumption",)
    assert "wanted 4 MWh, reached 3 MWh" in schedule.notes[0]
    assert schedule.power_mw[2] == pytest.approx(-1.0)  # after the target, energy is sold at 9


def test_a_target_above_the_size_of_the_device_names_that_size():
    """6 MWh do not fit into 5: the soc maximum is in the way, and it is kept."""
    schedule = plan_storage(BATTERY, [1.0] * 4, resolution_hours=1.0, soc_at_start=4.0, targets={4: 6.0})

    assert schedule.missed[0].clashes == ("soc maximum",)
    assert schedule.soc_mwh.max() <= 5 + 1e-8


def test_two_targets_too_far_apart_name_each_other():
    """Empty at +1 h and 3 MWh at +2 h: going for the second, the fallback misses the first, and says why."""
    schedule = plan_storage(
        BATTERY, [1.0] * 2, resolution_hours=1.0, soc_at_start=1.0, targets={1: 0.0, 2: 3.0}, options=FALLBACK
    )

    named = {one.index: one.clashes for one in schedule.missed}
    assert named == {1: ("soc target at boundary 2",)}


def test_the_fallback_charges_at_full_power_towards_the_target_and_then_idles():
    """Without relaxing, the documented policy follows: full power to +2 h, then nothing."""
    schedule = plan_storage(
        BATTERY, [1, 1, 9, 9.0], resolution_hours=1.0, soc_at_start=1.0, targets={2: 4.0}, options=FALLBACK
    )

    assert schedule.outcome is Outcome.FALLBACK
    np.testing.assert_allclose(schedule.power_mw, [1, 1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(schedule.soc_mwh, [1, 2, 3, 3, 3], atol=1e-9)
    assert schedule.cost == pytest.approx(2.0)
    assert schedule.missed[0].reached == pytest.approx(3.0)
    assert "fallback" in schedule.notes[0]


def test_the_fallback_discharges_towards_a_target_below():
    """From 4 MWh to 0 in 2 h at 1 MW: full discharge, 2 MWh are left."""
    schedule = plan_storage(
        BATTERY, [1, 1, 9.0], resolution_hours=1.0, soc_at_start=4.0, targets={2: 0.0}, options=FALLBACK
    )

    np.testing.assert_allclose(schedule.power_mw, [-1, -1, 0], atol=1e-9)


def test_a_start_outside_the_limits_goes_back_inside_as_fast_as_possible():
    """7 MWh in a battery of 5: two hours of full discharge, whatever the price, and both boundaries are named."""
    schedule = plan_storage(BATTERY, [-9, -9, 1, 1.0], resolution_hours=1.0, soc_at_start=7.5)

    np.testing.assert_allclose(schedule.soc_mwh[:4], [7.5, 6.5, 5.5, 5.0], atol=0.51)
    assert schedule.soc_mwh[2] == pytest.approx(5.5)
    assert schedule.soc_mwh[3] <= 5 + 1e-8
    assert [(one.limit, one.index) for one in schedule.missed] == [("soc maximum", 1), ("soc maximum", 2)]


def test_lesser_wishes_are_given_up_first():
    """1 MWh can arrive by +1 h: the target gets it, the wish to stay below 0.5 is missed, not the other way round."""
    use = StorageUse(BATTERY, 0.0, {1: 1.0}, soc_maxima={1: 0.5})
    plan = plan_site(Site((use,), Tariff([1.0])), resolution_hours=1.0)

    assert plan.devices["b"].soc_mwh[1] == pytest.approx(1.0)
    assert [one.limit for one in plan.missed] == ["soc maximum wished"]
    assert plan.missed[0].amount == pytest.approx(0.5)


def test_the_connection_is_spared_before_a_car():
    """A 1 MW car beside a load that fills the connection stays behind; the connection is not exceeded."""
    use = StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 5.0), 0.0, {2: 2.0})
    site = Site((use, Profile("load", [1.0, 0.5])), Tariff([1.0, 1.0]), Connection(1.0))
    plan = plan_site(site, resolution_hours=1.0)

    assert plan.net_mw.max() <= 1 + 1e-7
    assert plan.missed[0].reached == pytest.approx(0.5)
    assert "import limit of site" in plan.missed[0].clashes


def test_what_nobody_controls_may_exceed_the_connection_and_is_named():
    """A load of 2 MW behind 1 MW: the battery helps as far as it can, the rest is listed by slot."""
    use = StorageUse(battery("b", 0.4, max_soc_mwh=1.0), 1.0)
    site = Site((use, Profile("load", [0.5, 2.0])), Tariff([1.0, 1.0]), Connection(1.0))
    plan = plan_site(site, resolution_hours=1.0)

    excess = plan.missed[-1]
    assert (excess.limit, excess.index, excess.wanted, excess.unit) == ("import limit", 1, 1.0, "MW")
    assert excess.reached == pytest.approx(1.6)
    assert plan.outcome is Outcome.RELAXED


def test_a_load_that_cannot_run_is_named():
    """A 2 MW run behind 1 MW does not happen, and the plan says so."""
    site = Site(
        (ShiftableLoad("dish", (2.0,)), Profile("base", [0.1, 0.1])), Tariff([1.0, 1.0]), Connection(1.0)
    )
    plan = plan_site(site, resolution_hours=1.0)

    assert not plan.devices["dish"].power_mw.any()
    assert [(one.limit, one.device) for one in plan.missed] == [("run", "dish")]


class _Silent:
    """A solver whose time runs out before it finds anything."""

    def solve(self, model, options):
        """Find nothing."""
        return LinearSolution(Status.LIMIT)


def test_a_solver_without_an_answer_leaves_the_fallback():
    """No values from the solver: the battery idles, and the outcome says why."""
    options = PlanOptions(solver=_Silent(), solver_options=SolverOptions(time_limit_s=1.0))
    schedule = plan_storage(BATTERY, [1.0, 9.0], resolution_hours=1.0, soc_at_start=1.0, options=options)

    assert schedule.outcome is Outcome.FALLBACK
    assert not schedule.power_mw.any()
    assert "stopped at a limit" in schedule.notes[0]


def test_the_fallback_lists_where_it_exceeds_the_connection():
    """The fallback charges towards its target whatever the connection; the slots are named."""
    use = StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 5.0), 0.0, {2: 4.0})
    site = Site((use, Profile("load", [0.5, 0.0])), Tariff([1.0, 1.0]), Connection(1.0))
    plan = plan_site(site, resolution_hours=1.0, options=FALLBACK)

    assert [(one.limit, one.index, one.reached) for one in plan.missed] == [
        ("soc target", 2, 2.0),
        ("import limit", 0, 1.5),
    ]


@pytest.mark.parametrize("power", [0.0, 1e-6], ids=["no power", "a watt"])
def test_a_device_without_power_stays_where_it_is(power):
    """Zero capacity is a device like any other: it idles, and its target is missed by all of it."""
    device = battery("b", power, max_soc_mwh=5.0)
    schedule = plan_storage(device, [1.0, 2.0], resolution_hours=1.0, soc_at_start=0.0, targets={2: 1.0})

    assert schedule.outcome is Outcome.RELAXED
    assert schedule.soc_mwh[2] == pytest.approx(2 * power, abs=1e-9)


class _Hurried:
    """A solver that stops with an answer which it cannot prove to be the best."""

    def solve(self, model, options):
        """Find an answer and claim a gap of 3 %."""
        return replace(HighsSolver().solve(model, options), status=Status.LIMIT, gap=0.03)


def test_the_best_answer_found_in_time_comes_with_its_gap():
    """An answer that is not proven optimal is used, and says how far from the optimum it may be."""
    options = PlanOptions(solver=_Hurried())
    schedule = plan_storage(BATTERY, [1.0, 9.0], resolution_hours=1.0, soc_at_start=1.0, options=options)

    assert schedule.outcome is Outcome.BEST_FOUND
    assert schedule.gap == 0.03
    assert schedule.soc_mwh[-1] == pytest.approx(0.0)


def test_excluded_devices_do_not_meet_even_in_the_fallback():
    """Both stores are drained and must be charged in every slot, which one at a time cannot do: the second waits."""
    stores = tuple(
        StorageUse(StorageDevice(name, 1.0, 0.0, 1.0, 2.0, usage_mw=1.0), 1.0) for name in ("first", "second")
    )
    site = Site(stores, Tariff([1.0, 1.0]), exclusions=(Exclusion("first", "second"),))
    plan = plan_site(site, resolution_hours=1.0)

    assert plan.outcome is Outcome.FALLBACK
    np.testing.assert_allclose(plan.devices["first"].power_mw, 1.0)
    np.testing.assert_allclose(plan.devices["second"].power_mw, 0.0)
    assert [(one.limit, one.device, one.reached) for one in plan.missed] == [
        ("soc minimum", "second", 0.0),
        ("soc minimum", "second", -1.0),
    ]


def storage(power, high, **more):
    """A car that cannot be discharged."""
    return StorageDevice("car", power, 0.0, 0.0, high, **more)


def test_each_miss_names_what_stands_against_it_itself():
    """Two targets out of reach for reasons of their own: power for the first, the size of the store for the second."""
    use = StorageUse(storage(1.0, 6.0), 0.0, {2: 4.0, 8: 9.0})
    plan = plan_site(Site((use,), Tariff([10.0] * 8)), resolution_hours=1.0)
    named = {one.index: (one.wanted, round(one.reached, 6), one.clashes) for one in plan.missed}
    assert named == {
        2: (4.0, 2.0, ("maximum consumption",)),
        8: (9.0, 6.0, ("soc maximum",)),
    }


def test_the_limit_that_holds_a_device_back_is_named_with_its_own_boundary():
    """From the 2 MWh that it must have at boundary 3, two hours at 1 MW lead to 4 at boundary 5, not to 6."""
    use = StorageUse(storage(1.0, 9.0), 0.0, {1: 0.5, 3: 2.0, 5: 6.0})
    missed = missed_by(use, np.ones(6), np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 4.0]))
    assert [(one.index, one.clashes) for one in missed] == [
        (5, ("maximum consumption", "soc target at boundary 3"))
    ]


def test_a_wish_that_a_later_one_spoils_names_that_one():
    """For 5 MWh at boundary 6 at 1 MW there must be 3 at boundary 4: a wish for 1 there cannot be kept."""
    use = StorageUse(storage(1.0, 9.0), 0.0, {2: 1.0, 6: 5.0}, soc_maxima={4: 1.0})
    missed = missed_by(use, np.ones(6), np.array([0.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
    assert [(one.limit, one.clashes) for one in missed] == [
        ("soc maximum wished", ("soc target at boundary 6",))
    ]


def test_a_time_instead_of_a_boundary():
    """Who knows times says them: of the miss and of what stands against it."""
    missed = Missed(
        "soc target", "car", 5, 6.0, 4.0, clashes=("maximum consumption", Obstacle("soc target", 3))
    )
    assert missed.sentence("08:00", lambda boundary: f"0{boundary}:00") == (
        "soc target of car at 08:00: wanted 6 MWh, reached 4 MWh; in its way: maximum consumption, soc target at 03:00."
    )
