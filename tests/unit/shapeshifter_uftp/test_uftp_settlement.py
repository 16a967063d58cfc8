"""Settlement and the matching of orders, with figures from the specification and by hand."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import InvalidValue, Rejection
from shapeshifter_uftp.settlement import (
    SettlementTerms,
    baseline_of,
    deficiency,
    delivered,
    item_problem,
    measured_power,
    settle_order,
    statuses_of,
)
from shapeshifter_uftp.trading import activated_power, activated_price, make_order, match_order

MEGA = 1_000_000


@pytest.fixture
def offer(make_message):
    """Give an offer with two options: a quarter less for 12.50, and half less, divisible, for 30.00."""
    options = [
        uftp.FlexOfferOption(
            option_reference="small", price="12.50", isps=[uftp.FlexOfferOptionISP(power=-1000, start=1, duration=4)]
        ),
        uftp.FlexOfferOption(
            option_reference="large", price="30.00", min_activation_factor="0.50",
            isps=[uftp.FlexOfferOptionISP(power=-3001, start=1, duration=4)],
        ),
    ]  # fmt: skip
    return make_message(uftp.FlexOffer, offer_options=options, baseline_reference=None)


@pytest.mark.parametrize(
    ("actual", "expected_delivered", "expected_deficiency", "net"),
    [(7, 2, 0, 14), (8, 2, 0, 14), (9, 1, 1, -4), (10, 0, 2, -22), (11, 0, 3, -33)],
)
def test_the_check_values_of_the_specification(
    actual, expected_delivered, expected_deficiency, net, make_message
):
    """Baseline 10 MW, ordered -2 MW, 7 EUR per MW flexibility, 11 EUR per MW penalty: the table of the standard."""
    order = make_message(uftp.FlexOrder, isps=[uftp.FlexOrderISP(power=-2 * MEGA, start=1)], price=14)
    terms = SettlementTerms(penalty_per_mw=Decimal(11), price_per_mw=Decimal(7))
    item = settle_order(order, {1: 10 * MEGA}, {1: actual * MEGA}, terms)
    assert abs(item.isps[0].delivered_flex_power) == expected_delivered * MEGA
    assert item.isps[0].power_deficiency == expected_deficiency * MEGA
    assert item.net_settlement == net


@given(st.integers(-99, 99), st.integers(-99, 99), st.integers(-99, 99))
def test_delivery_has_the_sign_of_the_order_and_never_exceeds_it(baseline, ordered, actual):
    """Delivered lies between nothing and the order; what is short is never negative."""
    given_power = delivered(baseline, ordered, actual)
    assert min(0, ordered) <= given_power <= max(0, ordered)
    assert deficiency(baseline, ordered, actual) >= 0
    if deficiency(baseline, ordered, actual) == 0:
        assert given_power == ordered


@given(st.integers(-99, 99), st.integers(-99, 99), st.integers(-99, 99))
def test_buying_less_and_buying_more_mirror_each_other(baseline, ordered, actual):
    """Turning all signs round turns the delivery round and leaves the deficiency."""
    assert delivered(-baseline, -ordered, -actual) == -delivered(baseline, ordered, actual)
    assert deficiency(-baseline, -ordered, -actual) == deficiency(baseline, ordered, actual)


def test_without_terms_the_price_is_shared_over_what_was_ordered(make_message):
    """28 EUR for 4 x 2000 W; delivered 2000, 1500, 2000 and 0 W: 28 x 5500 / 8000 = 19.25 EUR."""
    order = make_message(
        uftp.FlexOrder, isps=[uftp.FlexOrderISP(power=-2000, start=93, duration=4)], price="28.00"
    )
    baseline = dict.fromkeys(range(1, 97), 10_000)
    actual = {**baseline, 93: 8000, 94: 8500, 95: 7000, 96: 10_000}
    item = settle_order(order, baseline, actual, SettlementTerms(penalty_per_mw=Decimal(2000)))
    assert (item.price, item.penalty, item.net_settlement) == (
        Decimal("19.25"),
        Decimal("5.00"),
        Decimal("14.25"),
    )
    assert [isp.delivered_flex_power for isp in item.isps] == [-2000, -1500, -2000, 0]


def test_amounts_are_rounded_half_to_even(make_message):
    """0.05 EUR for 2 W: 1 W delivered makes 0.025, that is 0.02; of 0.07 EUR half is 0.035, that is 0.04."""
    for price, half in (("0.05", "0.02"), ("0.07", "0.04")):
        order = make_message(uftp.FlexOrder, isps=[uftp.FlexOrderISP(power=-2, start=1)], price=price)
        assert settle_order(order, {1: 10}, {1: 9}).price == Decimal(half)


def test_an_isp_without_measurement_cannot_be_settled(make_message):
    """Settlement does not guess what was not measured."""
    order = make_message(uftp.FlexOrder, isps=[uftp.FlexOrderISP(power=-2000, start=1)])
    with pytest.raises(InvalidValue, match="ISP 1"):
        settle_order(order, {1: 0}, {})


def test_metering_of_connections_is_added_up(make_message):
    """1.5 kW of one meter, and 0.5 kWh in minus 0.25 kWh out in a quarter-hour (1 kW) of another, are 2500 W."""
    power = [
        uftp.MeteringProfile(profile_type="Power", unit="kW", isps=[uftp.MeteringISP(start=1, value="1.5")])
    ]
    energy = [
        uftp.MeteringProfile(
            profile_type="ImportEnergy", unit="kWh", isps=[uftp.MeteringISP(start=1, value="0.5")]
        ),
        uftp.MeteringProfile(
            profile_type="ExportEnergy", unit="kWh", isps=[uftp.MeteringISP(start=1, value="0.25")]
        ),
    ]
    messages = [make_message(uftp.Metering, profiles=profiles) for profiles in (power, energy)]
    assert measured_power(messages) == {1: 2500}


def test_the_baseline_of_a_prognosis_is_spread_over_its_isps(make_message):
    """An element of a prognosis holds for all ISPs that it covers."""
    prognosis = make_message(
        uftp.DPrognosis,
        isps=[uftp.DPrognosisISP(power=5, start=1, duration=2), uftp.DPrognosisISP(power=7, start=3)],
    )
    assert baseline_of(prognosis) == {1: 5, 2: 5, 3: 7}


def test_items_are_disputed_for_what_is_wrong_with_them(make_message):
    """Wrong sums, wrong arithmetic, foreign powers and unknown orders are disputed; a right item is accepted."""
    order = make_message(uftp.FlexOrder, isps=[uftp.FlexOrderISP(power=-2, start=1)], order_reference="o")
    good = settle_order(order, {1: 10}, {1: 9})
    assert item_problem(good, order) is None
    assert "Unknown reference" in item_problem(good, None)
    settlement = make_message(uftp.FlexSettlement, flex_order_settlements=[good])
    assert [s.disposition for s in statuses_of(settlement, {"o": order})] == ["Accepted"]
    assert [s.disposition for s in statuses_of(settlement, {})] == ["Disputed"]
    good.net_settlement += 1
    assert "NetSettlement" in item_problem(good, order)
    good.net_settlement -= 1
    good.isps[0].power_deficiency = 0
    assert "does not follow" in item_problem(good, order)
    good.isps[0].ordered_flex_power = -3
    assert "were ordered" in item_problem(good, order)
    good.isps[0].start = 2
    assert "not those of the order" in item_problem(good, order)


def test_an_order_made_from_an_offer_matches_it(offer):
    """What `make_order` makes is accepted, whole and in part."""
    whole = make_order(offer, "o", "small")
    assert match_order(whole, offer).option_reference == "small"
    assert whole.conversation_id == offer.conversation_id
    assert whole.flex_offer_message_id == offer.message_id
    part = make_order(offer, "o", "large", "0.50")
    # Half of -3001 W is -1500.5 W, rounded half to even -1500 W; half of 30 EUR is 15 EUR.
    assert [isp.power for isp in part.isps] == [-1500]
    assert part.price == Decimal("15.00")
    assert match_order(part, offer).option_reference == "large"


@pytest.mark.parametrize(
    ("option", "factor"), [(None, "1.00"), ("tiny", "1.00"), ("small", "0.50"), ("large", "0.49")]
)
def test_orders_that_the_offer_does_not_allow_cannot_be_made(option, factor, offer):
    """Several options need a name, and no smaller part than offered can be ordered."""
    with pytest.raises(InvalidValue):
        make_order(offer, "o", option, factor)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"isps": [uftp.FlexOrderISP(power=-1000, start=1, duration=3)]}, "ISP mismatch"),
        ({"isps": [uftp.FlexOrderISP(power=-1000, start=2, duration=4)]}, "ISP mismatch"),
        ({"isps": [uftp.FlexOrderISP(power=-999, start=1, duration=4)]}, "Power mismatch"),
        ({"price": Decimal("12.49")}, "Price mismatch"),
        ({"currency": "GBP"}, "Price mismatch"),
        ({"option_reference": "huge"}, "Unknown reference OptionReference"),
        ({"option_reference": None}, "Unknown reference OptionReference"),
        ({"activation_factor": Decimal("0.50")}, "Power mismatch"),
    ],
)
def test_orders_that_differ_from_the_offer_are_rejected(change, reason, offer):
    """Each difference has its standard reason."""
    order = make_order(offer, "o", "small")
    for name, value in change.items():
        setattr(order, name, value)
    with pytest.raises(Rejection) as rejected:
        match_order(order, offer)
    assert rejected.value.reason.startswith(reason)


def test_prices_are_compared_as_numbers(offer):
    """12.5000 is 12.50."""
    order = make_order(offer, "o", "small")
    order.price = Decimal("12.5000")
    assert match_order(order, offer)


def test_one_watt_of_rounding_is_accepted_in_partial_orders(offer):
    """How half a watt is rounded is not specified."""
    order = make_order(offer, "o", "large", "0.50")
    order.isps[0].power = -1501
    assert match_order(order, offer)
    order.isps[0].power = -1502
    with pytest.raises(Rejection, match="Power mismatch"):
        match_order(order, offer)


def test_partial_powers_and_prices():
    """Rounding is half to even; a price keeps cents where they are exact, else four decimals."""
    assert [activated_power(p, Decimal("0.5")) for p in (1, 3, -1, -3)] == [0, 2, 0, -2]
    assert activated_price(Decimal("10.01"), Decimal("0.33")) == Decimal("3.3033")
    assert activated_price(Decimal(100), Decimal("0.5"), "JPY") == Decimal(50)


def test_days_are_dates(offer):
    """The period of an offer is a date, so that it can be compared and counted with."""
    assert isinstance(offer.period, dt.date)
