"""Forecasting jobs that posts place, and what workers make of them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from flexmeasures.data.database import db
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.forecasts.orders import worth_forecasting
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.weather import find_or_make_weather_sensor

PLACE = "ea1.2021-01.localhost:wind_speed:33.4:126.4"
START = datetime(2015, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def post(caller, service, **fields):
    """Post a day of hourly values, or something else."""
    message = {
        "type": f"{service[0].upper()}{service[1:]}Request",
        "values": list(range(24)),
        "start": START.isoformat(),
        "duration": "PT24H",
        "unit": "MW",
    }
    version = fields.pop("version", "v2_0")
    answer = caller.post(service, message | fields, version)
    assert answer.status_code == 200, answer.json


@pytest.fixture
def orders(app):
    """Look up what was ordered, the oldest first."""
    return lambda: [job.args[0] for job in get_queue(app, "forecasting").jobs]


def test_meter_data_order_a_forecast_for_each_horizon(owner, cast, orders):
    """Quarter-hourly power is forecast 1, 6, 24 and 48 hours ahead, for the posted period shifted by as much."""
    post(owner, "postMeterData", connection=cast.address("building"))
    found = orders()
    assert [order.horizon for order in found] == [HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR]
    assert all(order.sensor_id == cast.assets["building"] for order in found)
    assert all(order.start == START + order.horizon for order in found)
    assert all(order.end == START + 24 * HOUR + order.horizon for order in found)


def test_each_connection_is_forecast(owner, cast, orders):
    """Several connections make several sets of jobs."""
    post(owner, "postMeterData", connections=[cast.address("building"), cast.address("two_way")])
    assert len(orders()) == 8


@pytest.mark.parametrize(
    ("version", "horizon", "count"),
    [
        pytest.param("v1_1", "R/PT6H", 0, id="before the fact"),
        pytest.param("v1_1", "-PT1H", 4, id="after the fact"),
        pytest.param("v2_0", None, 0, id="version 2.0"),
    ],
)
def test_prognoses_seldom_order_forecasts(owner, cast, orders, version, horizon, count):
    """Only in old versions, and only if it happened already, a prognosis makes jobs."""
    fields = {"horizon": horizon} if horizon else {}
    post(owner, "postPrognosis", connection=cast.address("building"), version=version, **fields)
    assert len(orders()) == count


def test_prices_order_forecasts_of_their_last_day(owner, cast, orders):
    """Of two days of prices the last day is forecast, one and two days ahead."""
    market = "ea1.2021-01.localhost:epex_da"
    post(owner, "postPriceData", market=market, values=[1] * 48, duration="PT48H", unit="EUR/MWh")
    found = orders()
    assert [order.horizon for order in found] == [24 * HOUR, 48 * HOUR]
    assert {order.start - order.horizon for order in found} == {START + 24 * HOUR}


def test_each_market_is_forecast(app, owner, cast, orders):
    """Several markets make several sets of jobs."""
    with app.app_context():
        other = create_market(
            db.session, NewMarket("other_da", "Other market", "day_ahead", "EUR/MWh", HOUR, "Europe/Paris")
        ).id
        db.session.commit()
    markets = ["ea1.2021-01.localhost:epex_da", "ea1.2021-01.localhost:other_da"]
    post(owner, "postPriceData", markets=markets, unit="EUR/MWh")
    assert [(order.sensor_id, order.horizon // HOUR) for order in orders()] == [
        *((cast.market, 24), (cast.market, 48)),
        *((other, 24), (other, 48)),
    ]


@pytest.fixture
def anemometer(app, cast):
    """A place where the wind is measured by the hour."""
    with app.app_context():
        place = WeatherSensorAddress("wind_speed", 33.4, 126.4)
        sensor_id = find_or_make_weather_sensor(db.session, place, make_with=(HOUR, "m/s")).id
        db.session.commit()
    return sensor_id


@pytest.mark.parametrize(
    ("version", "timing", "hours"),
    [
        pytest.param("v1_1", {"horizon": "PT0H"}, [1, 6, 24, 48], id="at the end of the last event"),
        pytest.param("v1_1", {"horizon": "PT3H"}, [], id="before the end of the last event"),
        pytest.param("v1_3", {"horizon": "-R/PT5M"}, [1, 6, 24, 48], id="after each event"),
        pytest.param("v2_0", {"horizon": "PT0H"}, [1, 6, 24, 48], id="at the end of each event"),
        pytest.param("v2_0", {"horizon": "PT1H"}, [], id="before the end of each event"),
        pytest.param("v2_0", {}, [1, 6, 24, 48], id="on arrival, which is later"),
    ],
)
def test_weather_orders_forecasts_once_it_has_happened(owner, anemometer, orders, version, timing, hours):
    """Measured weather is forecast as far ahead as its resolution says, and a forecast of it is not."""
    post(owner, "postWeatherData", sensor=PLACE, unit="m/s", version=version, **timing)
    assert [(order.sensor_id, order.horizon // HOUR) for order in orders()] == [
        (anemometer, n) for n in hours
    ]


def test_in_play_mode_only_power_is_forecast(app, owner, cast, orders):
    """A simulation brings its own forecasts of prices and weather."""
    app.config["FLEXMEASURES_MODE"] = "play"
    post(owner, "postWeatherData", sensor=PLACE, unit="m/s")
    post(owner, "postPriceData", market="ea1.2021-01.localhost:epex_da", unit="EUR/MWh")
    assert orders() == []
    post(owner, "postMeterData", connection=cast.address("building"))
    assert len(orders()) == 4


def test_refused_data_order_nothing(owner, cast, orders):
    """What was not stored is not forecast."""
    for _ in range(2):
        owner.post(
            "postMeterData",
            {
                "type": "PostMeterDataRequest",
                "connection": cast.address("building"),
                "values": [1],
                "start": START.isoformat(),
                "duration": "PT15M",
                "horizon": "PT0H",
                "unit": "MW",
            },
        )
    assert len(orders()) == 4


def test_a_worker_makes_the_forecasts(app, owner, cast):
    """The naive forecast of an event is the measurement that was last known at its horizon."""
    post(owner, "postMeterData", connection=cast.address("building"), horizon="PT0H")
    make_worker(app, ["forecasting"]).work(burst=True)
    ask = {
        "type": "GetPrognosisRequest",
        "connection": cast.address("building"),
        "start": (START + 6 * HOUR).isoformat(),
        "duration": "PT1H",
        "unit": "MW",
        "horizon": "PT6H",
    }
    answer = owner.get("getPrognosis", **ask)
    # six hours before its end, the first quarter of the seventh hour was known up to the quarter that ends then
    assert answer.json["values"] == [0, 0, 0, 0]
    with app.app_context():
        sources = db.session.execute(
            text("select name, type, model from data_source where type = 'forecaster'")
        )
        assert sources.all() == [("Seita (naive model v1)", "forecaster", "naive")]


def test_what_is_known_already_is_not_forecast(app, owner, cast, stored):
    """A day-ahead price is known from noon of the day before: no forecast is dated after that."""
    market = "ea1.2021-01.localhost:epex_da"
    post(owner, "postPriceData", market=market, unit="EUR/MWh", prior=(START - 12 * HOUR).isoformat())
    make_worker(app, ["forecasting"]).work(burst=True)
    forecast = {start: h for start, h in stored(cast.market).items() if start >= START + 24 * HOUR}
    assert forecast
    assert min(forecast.values()) > timedelta(0)
    # The next day is known from noon in Paris (11:00 UTC). A day before its end, only hours up to then are unknown,
    # two days before its end each of them is.
    day = [h for start, h in forecast.items() if start < START + 48 * HOUR]
    assert len(day) == 11


def test_without_data_a_forecast_fails_and_says_why(app, owner, cast):
    """A forecast that has nothing to rest on fails with its reason."""
    market = "ea1.2021-01.localhost:epex_da"
    prior = (START - 48 * HOUR).isoformat()
    post(owner, "postPriceData", market=market, unit="EUR/MWh", prior=prior, start="2033-01-01T00:00:00Z")
    make_worker(app, ["forecasting"]).work(burst=True)
    queue = get_queue(app, "forecasting")
    failed = [queue.fetch_job(job_id) for job_id in queue.failed_job_registry.get_job_ids()]
    assert len(failed) == 2
    assert {job.meta["exception"]["class"] for job in failed} == {"NotEnoughData"}


def test_the_distant_past_is_not_forecast_where_a_setting_says_so(app, owner, cast, orders):
    """Of a day that began ten days ago, with a limit of eight days, only two days ahead something is still to come."""
    app.config["FLEXMEASURES_FORECAST_PAST"] = 8 * 24 * HOUR
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = now - 10 * 24 * HOUR
    post(owner, "postMeterData", connection=cast.address("building"), start=start.isoformat())
    assert [order.horizon // HOUR for order in orders()] == [48]


def test_each_horizon_begins_with_what_has_not_ended():
    """Of 00:00 to 04:00, one hour ahead from 01:00 and two from 02:00, with events up to 03:30 left out."""
    found = worth_forecasting(
        (START, START + 4 * HOUR), (HOUR, 2 * HOUR, 24 * HOUR), HOUR, START + 3.5 * HOUR
    )
    # Events that end at 04:00 are the first ones left: one hour ahead those after 02:00, two hours ahead after 01:00.
    assert found == {START + 2 * HOUR: (HOUR,), START + HOUR: (2 * HOUR,), START: (24 * HOUR,)}
    assert worth_forecasting((START, START + HOUR), (HOUR,), HOUR, START + 2 * HOUR) == {}
