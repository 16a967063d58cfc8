"""When posted data count as recorded: by horizon and prior, version and kind of data, and in play mode."""

from datetime import UTC, datetime, timedelta

import pytest

from flexmeasures.data.database import db
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.services.weather import find_or_make_weather_sensor

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
START = datetime(2015, 1, 5, tzinfo=UTC)
END = START + 2 * HOUR
CLEARING = START - 13 * HOUR  # noon in Paris of the day before, when the auction ends
LATER = END + 30 * timedelta(days=1)
BELOW_V2 = ["v1_1", "v1_2", "v1_3"]
KINDS = ["MeterData", "Prognosis", "PriceData", "WeatherData"]
FORECAST = KINDS[1:]
RESOLUTION = {"MeterData": QUARTER, "Prognosis": QUARTER, "PriceData": HOUR, "WeatherData": HOUR}


class Poster:
    """Posts two hours of data of a kind, and looks up when they were recorded."""

    def __init__(self, owner, cast, stored, weather_sensor):
        power = {"connection": cast.address("building"), "unit": "MW"}
        self.fields = {
            "MeterData": power,
            "Prognosis": power,
            "PriceData": {"market": "ea1.2021-01.localhost:epex_da", "unit": "EUR/MWh"},
            "WeatherData": {"sensor": "ea1.2021-01.localhost:wind_speed:33.4:126.4", "unit": "m/s"},
        }
        self.sensors = {"PriceData": cast.market, "WeatherData": weather_sensor}
        self.owner, self.stored = owner, stored

    def send(self, kind, version, start=START, **timing):
        """Post values of one hour each."""
        message = {
            "type": f"Post{kind}Request",
            "start": start.isoformat(),
            "duration": "PT2H",
            "values": [1, 2],
        }
        return self.owner.post(f"post{kind}", message | self.fields[kind] | timing, version)

    def recorded(self, kind, version, start=START, **timing):
        """Post, and look up when the first and the last event were recorded."""
        answer = self.send(kind, version, start, **timing)
        assert answer.status_code == 200, answer.json
        horizons = self.stored(self.sensors.get(kind, "building"))
        first, last = start, start + 2 * HOUR - RESOLUTION[kind]
        known = (
            [CLEARING] * 2 if kind == "PriceData" else [event + RESOLUTION[kind] for event in (first, last)]
        )
        return [known[0] - horizons[first], known[1] - horizons[last]]


@pytest.fixture
def poster(app, owner, cast, stored):
    """Somebody who posts, and a place with an anemometer."""
    with app.app_context():
        place = WeatherSensorAddress("wind_speed", 33.4, 126.4)
        weather_sensor = find_or_make_weather_sensor(db.session, place, make_with=(HOUR, "m/s")).id
        db.session.commit()
    return Poster(owner, cast, stored, weather_sensor)


def ends(kind):
    """When the first and the last event of a kind of data end."""
    return [START + RESOLUTION[kind], END]


@pytest.mark.parametrize("version", BELOW_V2)
@pytest.mark.parametrize("kind", ["MeterData", "PriceData", "WeatherData"])
@pytest.mark.parametrize(
    "timing", [{}, {"prior": LATER.isoformat()}], ids=["nothing", "prior, which is ignored"]
)
def test_below_v2_what_says_nothing_was_recorded_after_each_event(poster, version, kind, timing):
    """Data without a horizon were recorded at the end of each event; a prior was not known yet."""
    assert poster.recorded(kind, version, **timing) == ends(kind)


@pytest.mark.parametrize("version", BELOW_V2)
@pytest.mark.parametrize("kind", FORECAST)
def test_below_v2_a_horizon_counts_from_the_end_of_the_series(poster, version, kind):
    """The whole series was recorded at once, so long before its end."""
    assert poster.recorded(kind, version, horizon="PT3H") == [END - 3 * HOUR] * 2


@pytest.mark.parametrize("version", BELOW_V2)
@pytest.mark.parametrize("kind", FORECAST)
@pytest.mark.parametrize("horizon", ["R/PT3H", "R5/PT3H"])
def test_below_v2_a_repeating_horizon_counts_for_each_event(poster, version, kind, horizon):
    """Each value was recorded so long before the end of its event, however often the horizon is said to repeat."""
    assert poster.recorded(kind, version, horizon=horizon) == [end - 3 * HOUR for end in ends(kind)]


@pytest.mark.parametrize("kind", FORECAST)
def test_in_v2_a_horizon_counts_for_each_event(poster, kind):
    """Each value was recorded so long before the end of its event."""
    assert poster.recorded(kind, "v2_0", horizon="PT3H") == [end - 3 * HOUR for end in ends(kind)]


@pytest.mark.parametrize("kind", FORECAST)
def test_in_v2_a_prior_counts_for_all_events(poster, kind):
    """All values were recorded at one instant."""
    prior = START - 5 * HOUR
    assert poster.recorded(kind, "v2_0", prior=prior.isoformat()) == [prior] * 2


@pytest.mark.parametrize("kind", FORECAST)
def test_in_v2_the_earlier_of_horizon_and_prior_counts(poster, kind):
    """Who gives both means the earlier instant, for each event by itself."""
    prior = START - 2 * HOUR
    recorded = poster.recorded(kind, "v2_0", horizon="PT3H", prior=prior.isoformat())
    # three hours before its end, a first quarter-hour is recorded earlier than the prior; the last event is not
    assert recorded == [min(prior, ends(kind)[0] - 3 * HOUR), prior]


@pytest.mark.parametrize("kind", KINDS)
def test_in_v2_what_says_nothing_was_recorded_on_arrival(poster, kind):
    """Without horizon and prior, now is when all values were recorded."""
    before = datetime.now(UTC)
    first, last = poster.recorded(kind, "v2_0")
    assert before <= first == last <= datetime.now(UTC)


def test_in_v2_nothing_is_recorded_after_its_arrival(poster):
    """A horizon that lies in the future is shortened to now: nobody has known it later than that."""
    first, last = poster.recorded("Prognosis", "v2_0", start=datetime(2099, 1, 1, tzinfo=UTC), horizon="PT0H")
    assert first == last <= datetime.now(UTC)


@pytest.mark.parametrize("kind", KINDS)
def test_in_v2_repeating_horizons_are_refused(poster, kind):
    """All horizons repeat, so the prefix is an error, for meter data as well."""
    answer = poster.send(kind, "v2_0", horizon="R/PT0H")
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_HORIZON")


@pytest.mark.parametrize("kind", ["Prognosis", "PriceData", "WeatherData"])
@pytest.mark.parametrize(
    ("prior", "status"), [("yesterday", "INVALID_DATETIME"), ("2015-01-01T00:00:00", "INVALID_TIMEZONE")]
)
def test_a_prior_is_an_instant(poster, kind, prior, status):
    """A prior that is not an instant is refused for what it lacks."""
    answer = poster.send(kind, "v2_0", prior=prior)
    assert (answer.status_code, answer.json["status"]) == (400, status)


@pytest.mark.parametrize("kind", ["MeterData", "PriceData", "WeatherData"])
def test_in_play_mode_what_says_nothing_was_recorded_after_each_event(app, poster, kind):
    """A simulation measures at the end of each event."""
    app.config["FLEXMEASURES_MODE"] = "play"
    assert poster.recorded(kind, "v2_0") == ends(kind)


def test_in_play_mode_prognoses_are_recorded_on_arrival(app, poster):
    """When something was forecast is not to be inferred, in a simulation neither."""
    app.config["FLEXMEASURES_MODE"] = "play"
    before = datetime.now(UTC)
    first, last = poster.recorded("Prognosis", "v2_0")
    assert before <= first == last <= datetime.now(UTC)


@pytest.mark.parametrize("kind", ["MeterData", "PriceData", "WeatherData"])
def test_in_play_mode_a_prior_counts(app, poster, kind):
    """A simulation that says when it recorded is believed."""
    app.config["FLEXMEASURES_MODE"] = "play"
    assert poster.recorded(kind, "v2_0", prior=LATER.isoformat()) == [LATER] * 2


@pytest.mark.parametrize("version", ["v1", "v1_3", "v2_0"])
@pytest.mark.parametrize(
    ("timing", "status"),
    [
        pytest.param({"horizon": "PT15M"}, "INVALID_HORIZON", id="a horizon before the fact"),
        pytest.param({"horizon": "soon"}, "INVALID_HORIZON", id="no horizon"),
        pytest.param({"prior": (END - QUARTER).isoformat()}, "INVALID_HORIZON", id="a prior before the end"),
        pytest.param({"prior": "soon"}, "INVALID_DATETIME", id="no prior"),
        pytest.param({"prior": "2015-02-01T00:00:00"}, "INVALID_TIMEZONE", id="a naive prior"),
        pytest.param({"horizon": "R/PT0H"}, "PROCESSED", id="a repeating horizon"),
        pytest.param({"horizon": "-PT1H", "prior": LATER.isoformat()}, "PROCESSED", id="both"),
    ],
)
def test_questions_about_meter_data_are_about_what_happened(poster, cast, version, timing, status):
    """Whoever asks for meter data may ask for what was known after the fact only."""
    question = {
        "type": "GetMeterDataRequest",
        "connection": cast.address("building"),
        "start": START.isoformat(),
        "duration": "PT2H",
        "unit": "MW",
    }
    answer = poster.owner.get("getMeterData", version, **question, **timing)
    assert (answer.status_code, answer.json["status"]) == (200 if status == "PROCESSED" else 400, status)
