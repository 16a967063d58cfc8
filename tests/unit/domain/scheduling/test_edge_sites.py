"""Sites at the edge: stores that start where their tapers allow nothing, and sites in which nothing can be decided."""

import numpy as np
import pytest

from flexmeasures.domain.scheduling import (
    Connection,
    Outcome,
    PlanOptions,
    Profile,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
)

CHARGE_TAPER = ((4.0, 2.0), (5.0, 0.0))
"""2 MW up to 4 MWh, nothing at 5 MWh: below 0 above that."""


@pytest.mark.parametrize("sooner", [True, False])
@pytest.mark.parametrize(
    ("start", "changes", "expected_soc"),
    [
        # back at 1 MW, over a usage of 0 or 0.2 MW, or not at all where nothing can take energy out
        (6.5, {}, [6.5, 5.5, 4.5]),
        (6.5, {"max_production_mw": 0.5, "usage_mw": 0.2}, [6.5, 5.8, 5.1]),
        (5.5, {"max_production_mw": 0.0}, [5.5, 5.5, 5.5]),
        (5.3, {"max_production_mw": 0.0, "usage_mw": 0.2}, [5.3, 5.1, 4.9]),
        # a discharge taper that allows nothing below 0 MWh: it is charged at 2 MW
        (-3.0, {"charge_taper": (), "discharge_taper": ((0.0, 0.0), (1.0, 2.0))}, [-3.0, -1.0, 0.0]),
    ],
    ids=["above", "above, used", "above, one way", "above, one way, used", "below"],
)
def test_a_store_beyond_its_taper_goes_inside_and_leaves_its_neighbour_its_best_plan(
    start, changes, expected_soc, sooner
):
    """It goes as fast as it can to the nearest allowed state; the battery beside it sells at 5 what it buys at 1."""
    limits = {"max_production_mw": 1.0, "charge_taper": CHARGE_TAPER, **changes}
    device = StorageDevice("full", 2.0, soc_min_mwh=0.0, soc_max_mwh=5.0, **limits)
    neighbour = StorageUse(battery("neighbour", 1.0, max_soc_mwh=1.0), 0.0)
    # one price either way, so the two do not influence each other; energy in the store is worth nothing
    site = Site((StorageUse(device, start), neighbour), Tariff([1.0, 5.0]))

    plan = plan_site(site, resolution_hours=1.0, options=PlanOptions(prefer_charging_sooner=sooner))

    soc = plan.devices["full"].soc_mwh
    assert plan.outcome is not Outcome.FALLBACK
    inside = np.flatnonzero((np.array(expected_soc) >= 0) & (np.array(expected_soc) <= 5))
    until = inside[0] if inside.size else len(expected_soc)
    assert soc[:until] == pytest.approx(np.array(expected_soc[:until]))
    if inside.size:
        assert 0 - 1e-9 <= soc[until] <= 5 + 1e-9
    assert plan.devices["neighbour"].power_mw == pytest.approx(np.array([1.0, -1.0]))


@pytest.mark.parametrize(
    ("tariff", "connection"),
    [
        (Tariff([3.0, 4.0]), Connection()),
        (Tariff([3.0, 4.0], [1.0, 1.0]), Connection()),
        (Tariff([3.0, 4.0]), Connection(5.0, 5.0)),
    ],
    ids=["one price", "two prices", "limits"],
)
@pytest.mark.parametrize("explain", [True, False])
def test_a_site_with_only_a_profile_is_planned_and_costs_what_it_uses(tariff, connection, explain):
    """1 MWh at 3 and 2 MWh at 4 are 11; nothing can be decided, so this is the optimum."""
    site = Site((Profile("house", [1.0, 2.0]),), tariff, connection)

    plan = plan_site(site, resolution_hours=1.0, options=PlanOptions(explain=explain))

    assert (plan.outcome, plan.cost.total, plan.missed, plan.gap) == (Outcome.OPTIMAL, 11.0, (), 0.0)
    assert plan.net_mw.tolist() == [1.0, 2.0]


def test_a_site_without_devices_is_planned():
    """It uses nothing in each of its slots and costs nothing."""
    plan = plan_site(Site((), Tariff([3.0, 4.0])), resolution_hours=1.0)

    assert (plan.outcome, plan.cost.total, dict(plan.devices)) == (Outcome.OPTIMAL, 0.0, {})
