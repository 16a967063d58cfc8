"""The value of flexibility: what an activation moves, who gets what, offers, order book and trader."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.flexibility import (
    Contract,
    FlexibilityOffer,
    MarketPrices,
    Regulation,
    SlotEnquiry,
    effect_of,
    make_order_book,
    offers_for_slot,
    order_as_commitment,
    plan_along,
    profile_after,
    share_profit,
    trade_greedily,
    value_of,
)
from flexmeasures.domain.scheduling import (
    Connection,
    Cost,
    Curtailable,
    DevicePlan,
    Outcome,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    SitePlan,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
)

PLAIN = PlanOptions(prefer_charging_sooner=False)


def test_shifting_is_measured_in_energy_times_duration():
    """2 MW of an hour moved by three hours: 2 MWh and 6 MWh·h, nothing lost."""
    effect = effect_of([0, 0, 0, 2.0], [2.0, 0, 0, 0], 1.0)

    assert (effect.shifted_mwh, effect.shifted_mwh_h) == (pytest.approx(2), pytest.approx(6))
    assert effect.curtailed_mwh == 0


def test_curtailment_is_measured_in_energy_for_consumption_and_production():
    """Half an hour of 4 MW not consumed, or not produced, is 2 MWh curtailed and nothing shifted."""
    for sign in (1.0, -1.0):
        effect = effect_of([0.0, sign], [sign * 4.0, sign], 0.5)
        assert (effect.curtailed_mwh, effect.shifted_mwh) == (pytest.approx(2), 0)


def test_a_part_can_be_shifted_and_the_rest_curtailed():
    """3 MWh missing in slot 0, 1 MWh more in slot 1: 1 MWh shifted by an hour, 2 MWh curtailed."""
    effect = effect_of([0.0, 2.0], [3.0, 1.0], 1.0)

    assert effect.shifted_mwh == pytest.approx(1)
    assert effect.shifted_mwh_h == pytest.approx(1)
    assert effect.curtailed_mwh == pytest.approx(2)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12))
def test_a_balanced_shift_takes_the_least_energy_time(change):
    """Without curtailment, energy times duration is the area under the absolute running sum of the changes."""
    moved = np.array([*change, -sum(change)])
    effect = effect_of(moved, np.zeros(moved.size), 0.5)

    assert effect.shifted_mwh_h == pytest.approx(np.sum(np.abs(np.cumsum(moved * 0.5))[:-1]) * 0.5, abs=1e-9)


def test_savings_are_baseline_less_schedule():
    """From 12 to 10 currency and from 5 to 6 kg: 2 saved, 1 kg more."""
    value = value_of(effect_of([1.0], [1.0], 1.0), (10.0, 12.0), (6.0, 5.0))

    assert (value.saving, value.co2_saving_kg) == (2.0, -1.0)


def test_profiles_must_match():
    """Profiles of different lengths, or with nan, are refused."""
    for schedule in ([1.0], [1.0, np.nan]):
        with pytest.raises(BadValues):
            effect_of(schedule, [1.0, 2.0], 1.0)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(-1e6, 1e6), st.floats(0, 1), st.floats(0, 100), st.integers(0, 50), st.booleans())
def test_shares_add_up_to_the_profit(profit, share, fee, activations, bears):
    """Whatever the contract says, nothing is lost and nothing appears."""
    contract = Contract(share, fee, fee / 10, bears)
    shares = share_profit(contract, profit, activations=activations, hours=24)

    assert shares.owner + shares.aggregator == pytest.approx(profit, abs=1e-6)


def test_the_owner_pays_the_fees():
    """Half of 100, less 3 activations at 2 and 24 hours at 0.1: 50 − 6 − 2.4 = 41.6."""
    shares = share_profit(Contract(0.5, 2.0, 0.1), 100.0, activations=3, hours=24)
    assert (shares.owner, shares.aggregator) == (pytest.approx(41.6), pytest.approx(58.4))


def test_a_loss_is_the_aggregators_unless_agreed_otherwise():
    """Of a loss of 10 the owner bears nothing, or half when the contract says so."""
    assert share_profit(Contract(0.5), -10.0).owner == 0.0
    assert share_profit(Contract(0.5, owner_bears_losses=True), -10.0).owner == -5.0


@pytest.mark.parametrize("terms", [{"owner_share": 1.5}, {"fee_per_hour": -1.0}])
def test_contracts_must_make_sense(terms):
    """A share above 1 or a negative fee is refused."""
    with pytest.raises(BadValues):
        Contract(**terms)


def car_site() -> Site:
    """A car that takes 1 MWh in one of three hours at 10, 12 and 15: it charges in the first."""
    use = StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 2.0), 0.0, {3: 1.0})
    return Site((use,), Tariff([10.0, 12.0, 15.0]), name="car park")


def test_a_car_offers_to_wait_for_the_difference_of_prices():
    """Not charging in slot 0 costs 12 − 10 and rebounds in slot 1; charging more is impossible, for it is full."""
    site = car_site()
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    offers = offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)

    (offer,) = offers
    assert offer.regulation is Regulation.UP
    assert (offer.volume_mwh, offer.cost, offer.price) == (
        pytest.approx(1),
        pytest.approx(2),
        pytest.approx(2),
    )
    np.testing.assert_allclose(offer.effect_mw, [-1, 1, 0], atol=1e-8)
    np.testing.assert_allclose(offer.rebound_mw, [0, 1, 0], atol=1e-8)


def test_a_battery_offers_both_ways():
    """Planned to sell 1 MWh in slot 1 at 20: in slot 0 at 10 it could charge (and sell no more), or sell too early."""
    site = Site((StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0),), Tariff([10.0, 20.0]))
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    offers = {
        one.regulation: one
        for one in offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)
    }

    np.testing.assert_allclose(planned.devices["b"].power_mw, [0, -1], atol=1e-8)
    assert offers[Regulation.DOWN].cost == pytest.approx(10)  # 1 MWh bought at 10 and left over
    assert offers[Regulation.UP].cost == pytest.approx(10)  # sold at 10 instead of 20


def test_an_order_binds_the_next_schedule():
    """As a commitment with a high price, the ordered offer is what the next plan does."""
    site = car_site()
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    (offer,) = offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)
    bound = Site(site.devices, site.tariff, commitments=(order_as_commitment(offer, 500.0),))
    after = plan_site(bound, resolution_hours=1.0, options=PLAIN)

    np.testing.assert_allclose(after.devices["car"].power_mw, [0, 1, 0], atol=1e-8)
    np.testing.assert_allclose(profile_after(planned.net_mw, [offer]), after.net_mw, atol=1e-8)


def offer_of(asset: str, slot: int, cost: float, regulation: Regulation = Regulation.UP) -> FlexibilityOffer:
    """An offer of 1 MWh in a window of two hours."""
    effect = np.zeros(2)
    effect[slot] = regulation.sign
    plans = [
        SitePlan({asset: DevicePlan(asset, power)}, Cost(), Outcome.OPTIMAL)
        for power in (np.zeros(2), effect)
    ]
    return FlexibilityOffer(asset, slot, regulation, 1.0, cost, *plans)


def test_the_order_book_is_sorted_by_value():
    """At 30 for up and 5 for down: values 20, 10 and −5, in that order, and each can be written as JSON."""
    offers = [offer_of("a", 0, 20.0), offer_of("b", 0, 10.0), offer_of("c", 0, 10.0, Regulation.DOWN)]
    book = make_order_book(0, offers, MarketPrices(np.array([30.0, 0]), np.array([5.0, 0])))

    assert [(one.offer.asset, one.expected_value) for one in book.listings] == [
        ("b", 20),
        ("a", 10),
        ("c", -5),
    ]
    assert json.loads(json.dumps(book.listings[0].as_data()))["asset"] == "b"


def test_the_trader_orders_slot_by_slot_whatever_has_value():
    """Slot 0 first, best first, nothing without value; slot 1 knows what was ordered in slot 0."""
    seen = []

    def offers_at(slot, orders):
        seen.append([one.asset for one in orders])
        return [offer_of("a", slot, 20.0), offer_of("b", slot, 10.0), offer_of("c", slot, 40.0)]

    orders = trade_greedily([0, 1], offers_at, MarketPrices(np.array([30.0, 15.0]), np.zeros(2)))

    assert [(one.offer.asset, one.offer.slot, one.expected_value) for one in orders] == [
        ("b", 0, 20),
        ("a", 0, 10),
        ("b", 1, 5),
    ]
    assert seen == [[], ["b", "a"]]
    np.testing.assert_allclose(profile_after(np.array([5.0, 5.0]), [o.offer for o in orders]), [3.0, 4.0])

    choosy = trade_greedily([0, 1], offers_at, MarketPrices(np.array([30.0, 15.0]), np.zeros(2)), 10.0)
    assert [(one.offer.asset, one.offer.slot) for one in choosy] == [("b", 0)]


def test_an_asset_is_ordered_one_way_in_a_slot():
    """Worth 20 for up and 15 for down, the same asset is ordered up only."""
    both = [offer_of("a", 0, 10.0), offer_of("a", 0, 10.0, Regulation.DOWN)]
    orders = trade_greedily([0], lambda slot, orders: both, MarketPrices(np.array([30.0]), np.array([25.0])))
    assert [(one.offer.regulation, one.expected_value) for one in orders] == [(Regulation.UP, 20.0)]


def test_assets_of_one_connection_are_asked_again_after_each_order():
    """Worth 20 and 18 alone, b is worth 15 beside a: that is what it is ordered for."""

    def offers_at(slot, orders):
        return [offer_of("b", 0, 15.0)] if orders else [offer_of("a", 0, 10.0), offer_of("b", 0, 12.0)]

    prices = MarketPrices(np.array([30.0]), np.zeros(1))
    orders = trade_greedily([0], offers_at, prices, group_of=lambda asset: "connection")
    assert [(one.offer.asset, one.expected_value) for one in orders] == [("a", 20.0), ("b", 15.0)]


def test_a_slot_outside_the_window_is_refused():
    """There is no slot 3 in a window of three."""
    site = car_site()
    with pytest.raises(BadValues):
        offers_for_slot(site, plan_site(site, resolution_hours=1.0), SlotEnquiry(3), resolution_hours=1.0)


@pytest.mark.parametrize("volume", [0.0, -1.0, float("nan")])
def test_a_volume_must_be_above_zero(volume):
    """Nothing, less than nothing and no number are refused."""
    with pytest.raises(BadValues, match="above 0"):
        SlotEnquiry(0, volume_mwh=volume)


def test_a_part_of_the_volume():
    """Of the 1 MWh that the car could wait with, 0.25 MWh cost a quarter of it."""
    site = car_site()
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    (offer,) = offers_for_slot(
        site, planned, SlotEnquiry(0, volume_mwh=0.25), resolution_hours=1.0, options=PLAIN
    )

    assert (offer.volume_mwh, offer.cost) == (pytest.approx(0.25), pytest.approx(0.5))
    assert offer.rebound_mwh == pytest.approx(0.25)
    assert offer.effect.shifted_mwh_h == pytest.approx(0.25)


def test_a_market_slot_of_two_slots():
    """In an hour of two half hours the car waits with 1 MWh; for the market that is one slot, the rebound the next."""
    use = StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 2.0), 0.0, {5: 1.0})
    site = Site((use,), Tariff([10.0, 10.0, 12.0, 12.0, 15.0]))
    planned = plan_site(site, resolution_hours=0.5, options=PLAIN)
    (offer,) = offers_for_slot(site, planned, SlotEnquiry(0, 2), resolution_hours=0.5, options=PLAIN)

    assert (offer.volume_mwh, offer.cost) == (pytest.approx(1), pytest.approx(2))
    np.testing.assert_allclose(offer.agreed_mw, [0, 0], atol=1e-8)
    np.testing.assert_allclose(profile_after(np.array([5.0, 5.0, 5.0]), [offer]), [4, 6, 5], atol=1e-8)
    with pytest.raises(BadValues, match="window of 2 slots"):
        offers_for_slot(site, planned, SlotEnquiry(2, 2), resolution_hours=0.5)


def test_what_is_ordered_before_is_kept():
    """With the wait in slot 0 ordered, more in slot 1 is offered only from what is left, whatever the order's price."""
    site = car_site()
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    (first,) = offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)
    order = order_as_commitment(first, 0.0)
    bound = Site(site.devices, site.tariff, commitments=(order,))
    (second,) = offers_for_slot(
        bound, first.changed, SlotEnquiry(1), resolution_hours=1.0, options=PLAIN, firm={order.name}
    )

    assert (second.regulation, second.cost) == (Regulation.UP, pytest.approx(3))  # 15 instead of 12
    np.testing.assert_allclose(second.effect_mw, [0, -1, 1], atol=1e-8)


def test_a_site_of_several_devices_offers_as_a_whole():
    """A roof that can be curtailed and a battery of 1 MW behind 2.5 MW: the roof stops and the battery charges."""
    devices = (
        Curtailable("roof", [-2.0, -2.0]),
        StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 0.0),
        Profile("rest", [0.5, 0.5]),
    )
    site = Site(devices, Tariff([10.0, 20.0]), Connection(2.5, 2.5), name="farm")
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    offers = {
        one.regulation: one
        for one in offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)
    }

    np.testing.assert_allclose(planned.net_mw, [-0.5, -2.5], atol=1e-8)  # it charges at 10 and sells at 20
    down = offers[Regulation.DOWN]
    assert down.asset == "farm"
    np.testing.assert_allclose(down.changed.net_mw, [1.5, -2.5], atol=1e-8)
    assert (down.volume_mwh, down.cost) == (pytest.approx(2), pytest.approx(20))  # 2 MWh not sold at 10
    assert offers[Regulation.UP].changed.net_mw[0] == pytest.approx(-1.5)  # the battery has nothing yet


def test_a_load_that_runs_in_one_piece_is_all_or_nothing():
    """Half of its power cannot be had; all of it can, and the whole run moves."""
    site = Site((ShiftableLoad("wash", (2.0, 2.0)),), Tariff([10.0, 10.0, 20.0, 20.0]), name="wash")
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)

    assert (
        offers_for_slot(site, planned, SlotEnquiry(0, volume_mwh=0.5), resolution_hours=1.0, options=PLAIN)
        == []
    )
    up = offers_for_slot(site, planned, SlotEnquiry(0), resolution_hours=1.0, options=PLAIN)[0]
    assert (up.regulation, up.volume_mwh, up.cost) == (
        Regulation.UP,
        pytest.approx(2),
        pytest.approx(20),
    )
    np.testing.assert_allclose(up.changed.net_mw, [0, 2, 2, 0], atol=1e-8)
    assert up.effect.shifted_mwh == pytest.approx(2)


def test_a_given_power_is_followed_as_far_as_it_can_be():
    """The car was told to charge in the dearest hour, and a second time, for which it has no room."""
    site = car_site()
    plan = plan_along(site, [0.0, np.nan, 1.0], resolution_hours=1.0, options=PLAIN)
    np.testing.assert_allclose(plan.net_mw, [0, 0, 1], atol=1e-8)
    assert plan.cost.total == pytest.approx(15)

    plan = plan_along(site, [1.0, 1.0, 1.0], resolution_hours=1.0, options=PLAIN)
    assert plan.net_mw.sum() == pytest.approx(1)
    assert plan.cost.total == pytest.approx(10)


SITES = st.builds(
    lambda prices, soc, power, loss: Site(
        (
            StorageUse(
                StorageDevice("b", power, power, 0.0, 2.0, charge_efficiency=loss, discharge_efficiency=loss),
                soc,
                value_of_energy_left=20.0,
            ),
        ),
        Tariff(prices),
    ),
    st.lists(st.floats(-50, 100), min_size=4, max_size=4),
    st.floats(0, 2),
    st.floats(0.2, 1.5),
    st.floats(0.7, 1.0),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SITES, st.integers(0, 3))
def test_laws_of_offers(site, slot):
    """An offer of an optimal plan never pays by itself, goes its way, and less of it costs no more a unit."""
    planned = plan_site(site, resolution_hours=1.0, options=PLAIN)
    for offer in offers_for_slot(site, planned, SlotEnquiry(slot), resolution_hours=1.0, options=PLAIN):
        assert offer.cost >= -1e-5
        assert offer.effect_mw[slot] * offer.regulation.sign == pytest.approx(offer.volume_mwh)
        half = offer.volume_mwh / 2
        part = [
            one
            for one in offers_for_slot(
                site, planned, SlotEnquiry(slot, volume_mwh=half), resolution_hours=1.0, options=PLAIN
            )
            if one.regulation is offer.regulation
        ]
        # Less than half of a volume may be out of reach only where charging and discharging are exclusive.
        assert all(one.cost <= offer.cost + 1e-4 for one in part)
