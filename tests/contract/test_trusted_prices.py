"""Everybody may post prices; a plan, a forecast and an order book read those of sources that are trusted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select, text

from flexmeasures.data.database import db
from flexmeasures.data.tables import PlanDevice
from flexmeasures.services.flexibility.broker import Enquiry, MarketTerms, open_portfolio
from flexmeasures.services.forecasts.make import make_forecasts
from flexmeasures.services.forecasts.orders import ForecastOrder
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule

from .conftest import Caller

DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
MARKET = "ea1.2021-01.io.flexmeasures:epex_da"


def post_price(caller, price, start=DAY_TWO, hours=24, **fields):
    """Post one price for some hours, recorded now unless fields say otherwise: the newest belief."""
    message = {
        "type": "PostPriceDataRequest",
        "market": MARKET,
        "values": [price] * hours,
        "start": start.isoformat(),
        "duration": f"PT{hours}H",
        "unit": "EUR/MWh",
    }
    answer = caller.post("postPriceData", message | fields)
    assert answer.status_code == 200, answer.json


@pytest.fixture
def supplier(client, cast):
    """A supplier, whom markets trust."""
    return Caller(client, cast.supplier_email, cast.password)


def price_paid(app, asset_id, planning=None):
    """Sell the 5 MWh of a battery, and tell what a MWh earned."""
    with app.app_context():
        db.session.execute(
            text("update device_state set soc_in_mwh = 5, soc_datetime = :at where asset_id = :id"),
            {"at": DAY_TWO, "id": asset_id},
        )
        order = PortfolioOrder((asset_id,), DAY_TWO, 8 * HOUR, DAY_TWO)
        assert reschedule(db.session, order, planning or Planning()).made == 1
        return -db.session.scalars(select(PlanDevice)).one().plan.cost / 5


@pytest.mark.parametrize(
    ("who", "planning", "own", "foreign"),
    [
        pytest.param("owner", Planning(), 7, 100, id="a Prosumer steers the own plans alone"),
        pytest.param("supplier", Planning(), 7, 7, id="a supplier is trusted"),
        pytest.param("admin", Planning(), 7, 7, id="an admin is trusted"),
        pytest.param(
            "supplier", Planning(trusted_roles={"epex_da": ["MDC"]}), 100, 100, id="not by this market"
        ),
        pytest.param("owner", Planning(trusted_roles={"epex_da": ["Prosumer"]}), 7, 7, id="by this market"),
    ],
)
def test_whose_prices_steer_plans(request, app, cast, who, planning, own, foreign):
    """In the first 8 hours the market's price is 100 EUR/MWh; a newer price of 7 counts if its sender is trusted."""
    post_price(request.getfixturevalue(who), 7)
    assert price_paid(app, cast.assets["battery"], planning) == pytest.approx(own)
    with app.app_context():
        db.session.execute(text("truncate plan cascade"))
        db.session.commit()
    assert price_paid(app, cast.foreign_asset, planning) == pytest.approx(foreign)


def test_forecasts_rest_on_trusted_prices(app, cast, stranger, supplier):
    """Forecasts are the platform's: a Prosumer's price does not become one, a supplier's does."""
    with app.app_context():
        order = ForecastOrder(cast.market, DAY_TWO + 24 * HOUR, DAY_TWO + 26 * HOUR, 24 * HOUR)
    for caller, expected in ((stranger, 100.0), (supplier, 7.0)):
        # Recorded before the forecasts are dated; a later correction would not change them.
        post_price(caller, -9999 if caller is stranger else 7, prior=DAY_TWO.isoformat())
        with app.app_context():
            make_forecasts(db.session, order)
            query = (
                "select event_value from belief join data_source on id = source_id where type = 'forecaster'"
            )
            assert list(db.session.scalars(text(query))) == [expected] * 2
            db.session.rollback()


def test_order_books_pay_trusted_prices(app, cast, stranger):
    """What a market pays for activations is not said by a Prosumer either."""
    post_price(stranger, 9999)
    battery = cast.assets["battery"]
    terms = MarketTerms(up_market_id=cast.market, down_market_id=cast.market)
    with app.app_context():
        reschedule(db.session, PortfolioOrder((battery,), DAY_TWO, 24 * HOUR, DAY_TWO), Planning())
        enquiry = Enquiry(DAY_TWO + HOUR, None, 8 * HOUR, terms, (battery,))
        prices = open_portfolio(db.session, enquiry, Planning(), DAY_TWO).prices
    assert np.unique(np.concatenate([prices.up, prices.down])) == pytest.approx([100])
