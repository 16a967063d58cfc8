"""The commands of broker and trader: order books, orders and settlements, from the first look to the money.

The prices of the first day are a wave: 30 EUR/MWh from 18:00 on, 31.02 in the hours before and after. The battery
(2 MW, 5 MWh) is planned to charge for two and a half of these three hours. So it can wait with 18:00 to 18:15 for
1.02 EUR: instead of charging with 2 MW it discharges with 2 MW, and charges 1 MWh later or sooner at 31.02.
"""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, FlexibilityOrder, PlanDevice, PlanRecord
from flexmeasures.testing import store_values

NOW = ("--now", "2015-01-01T00:00Z")
SLOT = ("--start", "2015-01-01T18:00Z", *NOW)
PAID = (*SLOT, "--up-price", "50", "--down-price", "-10")
EXTRA = -30 * np.sin(17 / 24 * 2 * np.pi)  # below 60 EUR/MWh, as the cheapest hour is 30 below
COST = 30 - EXTRA


@pytest.fixture
def run(app, cast, monkeypatch):
    """Run a command as a user types it, in play mode."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)
    app.config["FLEXMEASURES_MODE"] = "play"

    def invoke(*words, succeeds=True):
        done = CliRunner().invoke(cli.cli, [str(word) for word in words], env={"COLUMNS": "200"})
        assert (done.exit_code == 0) == succeeds, done.output
        return done.stdout if succeeds else done.output

    return invoke


@pytest.fixture
def battery(run, cast):
    """The battery of the cast, scheduled for both days."""
    schedule(run, cast.assets["battery"])
    return cast.assets["battery"]


def schedule(run, *assets, start="2015-01-01T00:00Z"):
    """Schedule assets for both days."""
    chosen = [word for asset in assets for word in ("--asset", asset)]
    run("add", "schedules", *chosen, "--start", start, "--horizon", "PT48H")


def power_at(app, asset, instant):
    """What the newest schedule of an asset says [MW]."""
    with app.app_context():
        query = (
            select(PlanDevice)
            .join(PlanDevice.plan)
            .where(PlanRecord.asset_id == asset)
            .order_by(PlanRecord.number.desc())
        )
        record = db.session.scalars(query).first()
        return record.power_mw[(instant - record.plan.start) // record.plan.resolution]


def test_the_order_book_of_a_slot(run, battery):
    """Waiting costs what the hand calculation says, and is worth the market's price less that; more is impossible."""
    written = json.loads(
        run("show", "order-book", *PAID, "--asset", battery, "--json"), parse_constant=pytest.fail
    )
    (book,) = written["books"]
    (offer,) = book["offers"]
    assert (book["start"], book["end"]) == ("2015-01-01T18:00:00Z", "2015-01-01T18:15:00Z")
    assert (book["up_price"], book["down_price"], written["currency"]) == (50, -10, "EUR")
    assert (offer["asset_id"], offer["asset"], offer["regulation"]) == (battery, "Test battery", "up")
    assert offer["volume_mwh"] == pytest.approx(1)
    assert offer["cost"] == pytest.approx(COST)
    assert offer["expected_value"] == pytest.approx(50 - COST)
    assert offer["planned_mw"] == pytest.approx([2])
    assert offer["agreed_mw"] == pytest.approx([-2])
    assert offer["rebound_mwh"] == pytest.approx(1)
    assert sum(offer["rebound_mw"]) / 4 == pytest.approx(1)
    assert (offer["shifted_mwh"], offer["curtailed_mwh"]) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert len(written["profile"]["power_mw"]) == 192
    assert written["profile"]["power_mw"][72] == pytest.approx(2)


def test_the_order_book_as_a_table(run, battery):
    """People see the same with units and the local time of the platform."""
    shown = run("show", "order-book", *PAID, "--asset", battery)
    for words in (
        "2015-01-02 03:00 – 03:15 KST; the market pays 50.00 for up",
        "[EUR/MWh]",
        "Test battery (",
        "2 → -2",
        "1.02",
        "48.98",
    ):
        assert words in shown
    assert "No offers" in run("show", "order-book", *PAID, "--asset", battery, "--regulation", "down")


def test_less_can_be_asked_for(run, battery):
    """Of 0.2 MWh at most, each costs as much."""
    written = json.loads(run("show", "order-book", *PAID, "--asset", battery, "--volume", 0.2, "--json"))
    (offer,) = written["books"][0]["offers"]
    assert offer["volume_mwh"] == pytest.approx(0.2)
    assert offer["cost"] == pytest.approx(0.2 * COST)


def test_an_order_from_the_book_to_the_money(run, battery, app, work):
    """Dry run, order, reschedule through the queue, delivery, settlement by contract."""
    contract = ("--owner-share", "0.6", "--fee-per-activation", "1", "--fee-per-hour", "4")
    tried = run("order", "place", *PAID, "--asset", battery, "--dry-run")
    assert "Nothing was ordered" in tried
    assert json.loads(run("show", "orders", "--json")) == []

    placed = json.loads(run("order", "place", *PAID, *contract, "--asset", battery, "--json"))
    assert placed["is_placed"]
    assert [order["id"] for order in placed["orders"]] == [1]
    assert placed["expected_value"] == pytest.approx(50 - COST)
    effect = np.subtract(placed["profile"]["after_mw"], placed["profile"]["before_mw"])
    assert effect[72] == pytest.approx(-4)
    assert effect.sum() == pytest.approx(0, abs=1e-6)
    assert power_at(app, battery, datetime(2015, 1, 1, 18, tzinfo=UTC)) == pytest.approx(2)

    said = run("add", "schedules", "--asset", battery, "--start", "2015-01-01T00:00Z", "--as-job")
    assert "1 jobs wait" in said
    work()
    assert power_at(app, battery, datetime(2015, 1, 1, 18, tzinfo=UTC)) == pytest.approx(-2)
    shown = json.loads(run("show", "schedule", "--asset", battery, "--json"))
    assert (shown["outcome"], shown["missed"]) == ("optimal", [])

    settled = json.loads(run("show", "settlement", *NOW, "--json"), parse_constant=pytest.fail)
    (one,) = settled["orders"]
    profit = 50 - COST
    assert (one["status"], one["basis"]) == ("placed", "scheduled")
    assert one["delivered_mwh"] == pytest.approx(1)
    assert one["profit"] == pytest.approx(profit)
    assert one["owner"] == pytest.approx(0.6 * profit - 1 - 4 * 0.25)
    assert one["aggregator"] == pytest.approx(0.4 * profit + 1 + 4 * 0.25)
    assert one["payment_to_owner"] == pytest.approx(COST + one["owner"])
    assert settled["sums"]["EUR"]["profit"] == pytest.approx(profit)


def test_what_was_measured_is_settled(run, battery, app):
    """It discharged with 1 MW instead of 2: 0.75 of 1 MWh are delivered, and paid."""
    run("order", "place", *PAID, "--asset", battery)
    with app.app_context():
        store_values(
            db.session, db.session.get(Asset, battery), datetime(2015, 1, 1, 18, tzinfo=UTC), np.array([-1.0])
        )
        db.session.commit()
    shown = run("show", "settlement", "--asset", battery)
    for words in ("measured", "0.75", "37.50", "36.73", "1 activations delivered 0.75 of 1 MWh"):
        assert words in shown
    (one,) = json.loads(run("show", "settlement", "--json"))["orders"]
    assert (one["status"], one["missing_mwh"]) == ("expired", pytest.approx(0.25))
    assert one["settled_cost"] == pytest.approx(0.75 * COST)


def test_an_order_that_cannot_be_kept_is_reported(run, battery, app):
    """With an empty battery at 18:00 there is nothing to discharge, and the schedule says so."""
    run("order", "place", *PAID, "--asset", battery)
    with app.app_context():
        asset = db.session.get(Asset, battery)
        asset.soc_in_mwh, asset.soc_datetime = 0.0, datetime(2015, 1, 1, 18, tzinfo=UTC)
        db.session.commit()
    schedule(run, battery, start="2015-01-01T18:00Z")
    shown = json.loads(run("show", "schedule", "--asset", battery, "--json"))
    (missed,) = shown["missed"]
    assert (missed["limit"], missed["at"], missed["wanted"]) == ("order 1", "2015-01-01T18:00:00Z", -2)
    assert missed["reached"] == pytest.approx(0, abs=1e-6)
    assert "order 1 of Test battery" in shown["notes"][-1]
    (settled,) = json.loads(run("show", "settlement", "--json"))["orders"]
    assert settled["delivered_mwh"] == pytest.approx(0.5)  # not charged, at least


def test_the_trader_goes_from_slot_to_slot(run, battery):
    """An hour long the battery discharges in each quarter; each order knows what the ones before it left."""
    hour = ("--end", "2015-01-01T19:00Z")
    placed = json.loads(run("order", "place", *PAID, *hour, "--asset", battery, "--json"))
    starts = [order["start"] for order in placed["orders"]]
    assert starts == [f"2015-01-01T18:{minute}:00Z" for minute in ("00", "15", "30", "45")]
    prices = [order["price"] for order in placed["orders"]]
    assert prices == sorted(prices)  # the cheapest other hours go first
    effect = np.subtract(placed["profile"]["after_mw"], placed["profile"]["before_mw"])
    assert effect[72:76] == pytest.approx(-4)
    assert placed["expected_value"] == pytest.approx(
        sum(50 * o["volume_mwh"] - o["cost"] for o in placed["orders"])
    )
    schedule(run, battery)
    shown = json.loads(run("show", "schedule", "--asset", battery, "--json"))
    assert shown["power_mw"][72:76] == pytest.approx([-2] * 4)
    assert shown["missed"] == []


def test_a_market_slot_longer_than_a_slot_of_the_asset(run, battery, app):
    """A slot of an hour is one order over four quarters, with a power for each."""
    placed = json.loads(run("order", "place", *PAID, "--slot", "PT1H", "--asset", battery, "--json"))
    (order,) = placed["orders"]
    assert order["agreed_mw"] == pytest.approx([-2] * 4)
    assert order["volume_mwh"] == pytest.approx(4)
    assert placed["profile"]["resolution"] == "PT1H"
    schedule(run, battery)
    assert power_at(app, battery, datetime(2015, 1, 1, 18, 45, tzinfo=UTC)) == pytest.approx(-2)


def test_the_same_offer_is_not_ordered_twice(run, battery):
    """Neither in the same slot nor in a longer one that covers it; the next slot is free."""
    run("order", "place", *PAID, "--asset", battery)
    for words in ((), ("--slot", "PT1H")):
        said = run("order", "place", *PAID, *words, "--asset", battery, succeeds=False)
        assert "ordered already" in said
        assert "order 1" in said
    later = ("--start", "2015-01-01T18:15Z", *NOW, "--up-price", 50)
    assert len(json.loads(run("order", "place", *later, "--asset", battery, "--json"))["orders"]) == 1
    assert [one["id"] for one in json.loads(run("show", "orders", "--json"))] == [1, 2]


def test_orders_are_revoked_and_expire(run, battery, app):
    """Before its slot an order can be taken back, and ordered again; once it has begun it cannot."""
    run("order", "place", *PAID, "--asset", battery)
    assert "Revoked order 1" in run("order", "revoke", 1, *NOW)
    assert "revoked already" in run("order", "revoke", 1, *NOW, succeeds=False)
    schedule(run, battery)
    assert power_at(app, battery, datetime(2015, 1, 1, 18, tzinfo=UTC)) == pytest.approx(2)

    run("order", "place", *PAID, "--asset", battery)
    at = ("--now", "2015-01-01T18:10Z")
    assert "began at" in run("order", "revoke", 2, *at, succeeds=False)
    shown = run("show", "orders", *at)
    assert "revoked" in shown
    assert "running" in shown
    assert "expired" in run("show", "orders")
    assert "placed" in run("show", "orders", *NOW)


def test_nothing_is_revoked_if_one_cannot(run, battery, app):
    """Of two orders of which one does not exist, none is revoked."""
    run("order", "place", *PAID, "--asset", battery)
    assert "no order with id 7" in run("order", "revoke", 1, 7, *NOW, succeeds=False)
    with app.app_context():
        assert db.session.scalar(select(FlexibilityOrder.revoked_at)) is None


def test_only_what_pays_is_ordered(run, battery):
    """Without a price of the market nothing is worth it, and a least value can be asked for."""
    assert "Nothing is worth ordering" in run("order", "place", *SLOT, "--asset", battery)
    assert "Nothing is worth ordering" in run(
        "order", "place", *PAID, "--least-value", 49, "--asset", battery
    )
    assert "Expected value: 48.98 EUR" in run(
        "order", "place", *PAID, "--least-value", 48, "--asset", battery
    )


def test_prices_of_a_market(run, battery, cast):
    """What the market pays can be read from a market: here 30 EUR/MWh, less than the cost of waiting by 28.98."""
    written = json.loads(run("show", "order-book", *SLOT, "--up-market", cast.market, "--json"))
    (book,) = written["books"]
    assert book["up_price"] == pytest.approx(30)
    assert book["offers"][0]["expected_value"] == pytest.approx(30 - COST)


def test_a_portfolio_with_assets_that_cannot(run, battery, cast):
    """All flexible assets are asked; those without a schedule are named with the remedy, the others go on."""
    done = json.loads(run("order", "place", *PAID, "--json"))
    assert [order["asset_id"] for order in done["orders"]] == [battery]
    assert str(cast.assets["station"]) in done["failures"]
    assert "add schedules --asset" in done["failures"][str(cast.assets["station"])]


def test_assets_of_an_owner(run, battery, cast):
    """For an owner, assets and orders of others do not exist."""
    owner, other = ("--owner", cast.owner_id), ("--owner", cast.admin_id)
    assert "Test battery" in run("show", "order-book", *PAID, *owner)
    for asset in (battery, 999):
        said = run("show", "order-book", *PAID, *other, "--asset", asset, succeeds=False)
        assert f"There is no asset with id {asset}." in said
    run("order", "place", *PAID, *owner)
    assert "There are no orders" in run("show", "orders", *other)
    assert "no order with id 1" in run("order", "revoke", 1, *other, *NOW, succeeds=False)
    assert "no orders to settle" in run("show", "settlement", *other)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("--volume", 0), "give one above 0", id="no volume"),
        pytest.param(("--volume", -1), "give one above 0", id="negative volume"),
        pytest.param(("--start", "2014-12-31T18:00Z"), "which is past", id="past"),
        pytest.param(("--start", "2015-01-01T18:05Z"), "2015-01-01T18:15:00Z", id="off the grid"),
        pytest.param(("--end", "2015-01-01T18:20Z"), "2015-01-01T18:30:00Z", id="end off the grid"),
        pytest.param(("--end", "2015-01-01T18:00Z"), "is empty", id="empty"),
        pytest.param(("--start", "2015-01-03T18:00Z"), "FLEXMEASURES_PLANNING_HORIZON", id="too far"),
        pytest.param(("--start", "2015-01-01T18:00"), "time zone", id="no time zone"),
        pytest.param(
            ("--slot", "PT10M", "--start", "2015-01-01T18:00Z"), "PT10M", id="slots that do not fit"
        ),
        pytest.param(("--asset", 999), "no asset with id 999", id="unknown asset"),
        pytest.param(("--up-market", 999), "no market with id 999", id="unknown market"),
        pytest.param(("--up-price", "nan"), "finite number", id="no price"),
    ],
)
def test_what_cannot_be_asked_for(run, battery, words, told):
    """Each refusal names the value and the remedy, and nothing is ordered."""
    for command in (("show", "order-book"), ("order", "place")):
        assert told in run(*command, *PAID, "--asset", battery, *words, succeeds=False)
    assert json.loads(run("show", "orders", "--json")) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("--owner-share", 1.5), "from 0 to 1", id="more than all"),
        pytest.param(("--fee-per-hour", -1), "0 or more", id="negative fee"),
        pytest.param(("--deviation-price", -1), "from 0", id="negative price"),
    ],
)
def test_terms_must_make_sense(run, battery, words, told):
    """Terms of a contract are refused before anything is asked."""
    assert told in run("order", "place", *PAID, "--asset", battery, *words, succeeds=False)


def test_without_prices_nothing_can_be_asked(run, app, battery, cast):
    """A window for which no prices are known, and a market without any."""
    app.config["FLEXMEASURES_PLANNING_HORIZON"] = timedelta(days=3)
    beyond = ("--start", "2015-01-03T01:00Z", *NOW)
    said = run("show", "order-book", *beyond, "--asset", battery, succeeds=False)
    assert (
        "can be planned until 2015-01-03T00:00:00Z only; take earlier slots. Prices are known until" in said
    )
    paid = ("--up-market", cast.market)
    said = run("show", "order-book", *beyond, "--asset", battery, *paid, succeeds=False)
    assert "'epex_da' has no price for 1 of 1 slots, the first from 2015-01-03T01:00:00Z on" in said


def test_the_present_is_no_choice_outside_of_play_mode(run, app, battery):
    """Only simulations may claim another time."""
    app.config["FLEXMEASURES_MODE"] = ""
    assert "set FLEXMEASURES_MODE to play" in run("show", "order-book", *PAID, succeeds=False)
