"""Judging what is known of an asset: prices as far as they are known, states of charge, wishes and notes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.errors import NotEnoughData, UnknownPrices
from flexmeasures.domain.scheduling import PlanOptions
from flexmeasures.domain.scheduling.flex_model import read_flex_model
from flexmeasures.domain.scheduling.planning.assets import plan_asset
from flexmeasures.domain.scheduling.planning.facts import (
    AssetFacts,
    MarketFacts,
    OnSlots,
    SlotGrid,
    StateFacts,
)
from flexmeasures.domain.scheduling.planning.inputs import judge
from flexmeasures.domain.scheduling.rolling import EarlierPlan

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRID = SlotGrid(START, HOUR, 4, "Europe/Amsterdam")


def on_slots(*values):
    """Values of the four hours; None where nothing is known."""
    return OnSlots(np.array([v or 0.0 for v in values], float), np.array([v is not None for v in values]))


def battery(*prices, state=None, **fields):
    """A battery of 1 MW and 2 MWh, which holds 1 MWh."""
    return AssetFacts(
        7,
        "battery",
        "battery",
        1.0,
        read_flex_model({"kind": "storage", **fields}),
        GRID,
        state or StateFacts(0.0, 2.0, 1.0, START),
        MarketFacts("dam", "EUR", on_slots(*prices), None),
    )


def test_a_plan_ends_with_the_last_known_price():
    """Two of four prices are known: the plan has two slots and says when it ends, in the local time of the asset."""
    known = judge(battery(50, 60, None, None), PlanOptions(), 0.0)
    assert known.situation.slots == 2
    assert known.notes == ("Prices are known until 2024-05-01T04:00:00+02:00, so the schedule ends there.",)
    assert known.currency == "EUR"


def test_a_target_after_the_last_price_is_planned_for():
    """A target at the end needs all four slots: the last known price is assumed for the rest, and it is said."""
    state = StateFacts(0.0, 2.0, 1.0, START, targets={START + 4 * HOUR: 2.0})
    known = judge(battery(50, 60, None, None, state=state), PlanOptions(), 0.0)
    assert known.situation.tariff.import_price.tolist() == [50, 60, 60, 60]
    assert any("was assumed" in note for note in known.notes)


def test_no_price_at_all_is_refused():
    """Without any price there is no plan; the market and the window are named."""
    with pytest.raises(UnknownPrices, match=r"'dam' has none from 2024-05-01T02:00.* to 2024-05-01T06:00"):
        judge(battery(None, None, None, None), PlanOptions(), 0.0)


def test_no_market_is_refused():
    """An asset without a market has no prices."""
    with pytest.raises(UnknownPrices, match="has no market"):
        judge(replace(battery(1, 1, 1, 1), bought=None), PlanOptions(), 0.0)


def test_a_state_of_charge_is_carried_on_by_the_earlier_plan():
    """1 MWh two hours before the start, and 0.5 MW planned since, make 2 MWh at the start; an event beats that."""
    earlier = EarlierPlan(START - 2 * HOUR, HOUR, np.full(4, 0.5), np.array([1.0, 1.5, 2.0, 2.0, 2.0]))
    state = StateFacts(0.0, 2.0, 1.0, START - 2 * HOUR, earlier=earlier)
    assert state.soc(START) == pytest.approx(2.0)
    assert replace(state, event_soc_mwh=0.3).soc(START) == 0.3
    assert replace(state, event_soc_mwh=0.3).reported(START) == (START, 0.3)
    assert state.reported(START) == (START - 2 * HOUR, 1.0)


def test_targets_hold_until_they_are_due_or_asked_for_anew():
    """Targets of an earlier plan that are still to come count, unless an event names others, or none."""
    state = StateFacts(earlier_targets={START: 1.0, START + HOUR: 2.0})
    assert state.wanted(START) == {START + HOUR: 2.0}
    assert replace(state, targets={}).wanted(START) == {}


def test_unknown_emissions_are_said_or_refused():
    """Emissions that are not known are left out with a note where cost counts, and refused where they count."""
    nothing = on_slots(None, None, None, None)
    facts = replace(battery(1, 1, 1, 1, co2_sensor_id=3), co2_kg_per_mwh=nothing)
    assert "not known; emissions are not counted" in judge(facts, PlanOptions(), 0.0).notes[0]
    facts = replace(battery(1, 1, 1, 1, co2_sensor_id=3, objective="co2"), co2_kg_per_mwh=nothing)
    with pytest.raises(NotEnoughData, match="No CO₂ intensity"):
        judge(facts, PlanOptions(), 0.0)


def test_the_previous_plan_is_preferred_if_that_has_a_price():
    """A price on changes becomes a commitment to the previous plan; that of the flex model beats the configured one."""
    earlier = EarlierPlan(START, HOUR, np.array([0.5, 0.0, 0.0, 0.0]), None)
    state = StateFacts(0.0, 2.0, 1.0, START, earlier=earlier)
    [kept] = judge(battery(1, 1, 1, 1, state=state), PlanOptions(), 2.0).situation.commitments
    assert (kept.price_above, kept.is_paid, kept.name) == (2.0, False, "previous plan of battery")
    assert judge(battery(1, 1, 1, 1, state=state), PlanOptions(), 0.0).situation.commitments == ()
    own = battery(1, 1, 1, 1, state=state, replanning_price=3)
    assert judge(own, PlanOptions(), 0.0).situation.commitments[0].price_above == 3.0


def test_a_judged_asset_can_be_planned():
    """Prices 50, 90, 30, 60 EUR/MWh, 1 MW, 1 MWh at the start and at the end, 2 MWh at most.

    The best is to buy, sell, buy and sell 1 MWh in turn: 50 − 90 + 30 − 60 = −70 EUR.
    """
    state = StateFacts(0.0, 2.0, 1.0, START, targets={START + 4 * HOUR: 1.0})
    plan = plan_asset(judge(battery(50, 90, 30, 60, state=state), PlanOptions(), 0.0))
    assert plan.value.cost == pytest.approx(-70)
    assert plan.power_mw == pytest.approx([1, -1, 1, -1])
    assert plan.soc_mwh == pytest.approx([1, 2, 1, 2, 1])
