"""Prices and weather through the API."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Market, WeatherSensor
from flexmeasures.services.weather import NewWeatherSensor, create_weather_sensor

DAY = [52.37, 51.14, 49.09, 48.35, 48.47, 49.98, 58.7, 67.76, 69.21, 70.26, 70.46, 70]
DAY += [70.7, 70.41, 70, 64.53, 65.92, 69.72, 70.51, 75.49, 70.35, 70.01, 66.98, 58.61]
PLACE = "33.4843866:126.477859"


def prices(**changes):
    """The documentation's example: a day of prices, published at 1 pm the day before."""
    message = {
        "type": "PostPriceDataRequest",
        "market": "ea1.2018-06.localhost:epex_da",
        "values": DAY,
        "start": "2021-01-01T00:00:00+01:00",
        "duration": "PT24H",
        "prior": "2020-12-31T13:00:00+01:00",
        "unit": "EUR/MWh",
    }
    return {key: value for key, value in (message | changes).items() if value is not None}


def weather(kind="temperature", place=PLACE, **changes):
    """The documentation's example: temperatures forecast at noon."""
    message = {
        "type": "PostWeatherDataRequest",
        "sensor": f"ea1.2018-06.io.flexmeasures.company:{kind}:{place}",
        "values": [20.04, 20.23, 20.41, 20.51, 20.55, 20.57],
        "start": "2015-01-01T15:00:00+09:00",
        "duration": "PT1H30M",
        "prior": "2015-01-01T12:00:00+09:00",
        "unit": "°C",
    }
    return {key: value for key, value in (message | changes).items() if value is not None}


@pytest.fixture
def thermometer(app, cast):
    """A thermometer at the place of the documentation's example."""
    with app.app_context():
        latitude, longitude = map(float, PLACE.split(":"))
        new = NewWeatherSensor("thermometer", "temperature", "°C", timedelta(minutes=15), latitude, longitude)
        sensor_id = create_weather_sensor(db.session, new).id
        db.session.commit()
    return sensor_id


def test_prices_are_known_from_the_clearing_on(owner, cast, stored):
    """A price's horizon counts from the clearing at noon: published an hour later, it is minus one hour."""
    assert owner.post("postPriceData", prices()).status_code == 200
    horizons = [h for start, h in stored(cast.market).items() if start.year >= 2020]
    assert horizons == [timedelta(hours=-1)] * 24


def test_old_price_horizons_count_from_the_end_of_the_series(owner, cast, stored):
    """Below version 2.0, 35 hours before midnight of the next day is 1 pm of the day before."""
    assert owner.post("postPriceData", prices(prior=None, horizon="PT35H"), "v1_3").status_code == 200
    horizons = [h for start, h in stored(cast.market).items() if start.year >= 2020]
    assert horizons == [timedelta(hours=-1)] * 24


def test_a_market_with_default_knowledge_takes_prices(owner, cast, app):
    """A market whose prices are known when they start to apply takes prices, whether its name has dashes or not."""
    for name in ("dummy-tou", "dummy_tou"):
        message = prices(
            market=f"ea1.2021-01.io.flexmeasures:{name}",
            values=[1.0],
            duration="P365D",
            start="2060-01-01T00:00:00Z",
            prior=f"201{len(name) % 2}-01-01T00:00:00Z" if name == "dummy-tou" else None,
        )
        assert owner.post("postPriceData", message).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"market": "ea1.2018-06.localhost:nowhere"}, "UNRECOGNIZED_MARKET", id="unknown market"),
        pytest.param({"market": "epex_da"}, "INVALID_DOMAIN", id="name instead of address"),
        pytest.param({"market": None}, "UNRECOGNIZED_CONNECTION_GROUP", id="no market"),
        pytest.param({"unit": "MW"}, "INVALID_UNIT", id="no unit of prices"),
        pytest.param({"unit": "KRW/kWh"}, "INVALID_UNIT", id="another market's unit"),
        pytest.param({"duration": "PT2H"}, "INVALID_RESOLUTION", id="five-minute prices"),
        pytest.param({"prior": None, "horizon": "R/PT1H"}, "INVALID_HORIZON", id="repeating horizon"),
    ],
)
def test_bad_prices_are_refused(owner, cast, changes, status):
    """Each mistake has its documented status."""
    answer = owner.post("postPriceData", prices(**changes))
    assert (answer.status_code, answer.json["status"]) == (400, status), answer.json


def test_the_unit_of_a_market_is_named(owner, cast):
    """Who posts in another unit is told the market's name and its unit."""
    message = owner.post("postPriceData", prices(unit="KRW/kWh")).json["message"]
    assert "EPEX SPOT day-ahead market prices" in message
    assert "EUR/MWh" in message


def test_daily_prices_are_repeated_for_each_hour(owner, cast, app):
    """A market of hours takes one price for a day."""
    assert owner.post("postPriceData", prices(values=[50])).status_code == 200


def test_prices_go_to_several_markets(owner, cast, app):
    """Several markets are posted to at once, by their own addresses."""
    with app.app_context():
        names = db.session.scalars(select(Market.name)).all()
    message = prices(market=None, markets=[f"ea1.2021-01.localhost:{name}" for name in names])
    answer = owner.post("postPriceData", message)
    # hours do not fit into the 365 days of the dummy market
    assert answer.json["status"] == "INVALID_RESOLUTION"
    assert "dummy-tou" in answer.json["message"]
    assert "epex_da" in answer.json["message"]


@pytest.mark.parametrize("version", ["v1_1", "v1_2", "v1_3", "v2_0"])
def test_weather_is_stored(owner, thermometer, stored, version):
    """Forecasts of the weather are stored with their horizons."""
    message = weather() if version == "v2_0" else weather(prior=None, horizon="PT4H30M")
    assert owner.post("postWeatherData", message, version).status_code == 200
    # noon is 3 hours and a quarter before the end of the first event
    horizons = list(stored(thermometer).values())
    assert horizons[0] == timedelta(hours=3.25)
    assert horizons[-1] == timedelta(hours=4.5)


def test_weather_without_horizon_is_recorded_on_arrival(owner, thermometer, stored):
    """Weather data need not say when they were recorded."""
    assert owner.post("postWeatherData", weather(prior=None)).status_code == 200
    assert max(stored(thermometer).values()) < timedelta(0)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        pytest.param(weather(unit="m/s"), "INVALID_UNIT", id="temperature in m/s"),
        pytest.param(weather("wind_speed", unit="kW"), "INVALID_UNIT", id="unknown unit"),
        pytest.param(weather(place="1.0:2.0"), "UNRECOGNIZED_SENSOR", id="unknown place"),
        pytest.param(weather("radiation", unit="kW/m²"), "UNRECOGNIZED_SENSOR", id="no sensor of this type"),
        pytest.param(weather("humidity"), "UNRECOGNIZED_SENSOR", id="unknown quantity"),
        pytest.param(weather() | {"sensor": "ea1.2018-06.x:temperature"}, "INVALID_DOMAIN", id="no place"),
    ],
)
def test_bad_weather_is_refused(owner, thermometer, message, status):
    """Each mistake has its documented status."""
    answer = owner.post("postWeatherData", message)
    assert (answer.status_code, answer.json["status"]) == (400, status), answer.json


def test_the_nearest_sensor_is_named(owner, thermometer):
    """Who posts for a place without a sensor is told where the nearest one is."""
    message = owner.post("postWeatherData", weather(place="33.5:126.5")).json["message"]
    assert "latitude 33.4843866 and longitude 126.477859" in message


def test_wind_speed_is_called_by_its_words(owner, cast):
    """Messages name quantities as people write them."""
    message = owner.post("postWeatherData", weather("wind_speed", unit="°C")).json["message"]
    assert "wind speed" in message


class TestPlayMode:
    """In play mode simulations may do more."""

    @pytest.fixture(autouse=True)
    def play(self, app):
        """Switch play mode on."""
        app.config["FLEXMEASURES_MODE"] = "play"

    def test_weather_sensors_are_made_on_the_fly(self, app, owner, cast, stored):
        """Data for a place without a sensor make one, with the resolution and unit of what was posted."""
        message = weather(duration="PT6H", prior=None)
        assert owner.post("postWeatherData", message).status_code == 200
        with app.app_context():
            sensor = db.session.scalar(select(WeatherSensor))
            assert (sensor.sensor.event_resolution, sensor.sensor.unit) == (timedelta(hours=1), "°C")
            made = sensor.id
        assert set(stored(made).values()) == {timedelta(0)}

    def test_data_may_be_overwritten(self, owner, cast):
        """The same belief posted again replaces the first one."""
        for value in (1, 2):
            answer = owner.post(
                "postMeterData",
                {
                    "type": "PostMeterDataRequest",
                    "connection": cast.address("building"),
                    "value": value,
                    "start": "2099-01-01T00:00:00Z",
                    "duration": "PT15M",
                    "unit": "MW",
                },
            )
            assert answer.status_code == 200, answer.json
        read = owner.get(
            "getMeterData",
            type="GetMeterDataRequest",
            connection=cast.address("building"),
            start="2099-01-01T00:00:00Z",
            duration="PT15M",
            unit="MW",
        )
        assert read.json["values"] == [2]

    def test_connections_have_unique_names(self, owner, cast):
        """GetConnection gives names that a simulation can rely on."""
        assert "Test charging station (bidirectional)" in owner.get("getConnection").json["names"]
