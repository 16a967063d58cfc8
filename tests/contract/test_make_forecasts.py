"""Forecasts from stored measurements: quantiles, kept fits, the weather and holidays as they were known."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from flexmeasures.app import create
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Annotation, Asset, Sensor, WeatherSensor, fitted_model
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import BadValues, InvalidInput, NotEnoughData, NotFound
from flexmeasures.domain.forecasting import History
from flexmeasures.domain.time import event_grid
from flexmeasures.services.forecasts.facts import FactsReader
from flexmeasures.services.forecasts.make import ForecastRules, make_forecasts
from flexmeasures.services.forecasts.orders import ForecastOrder
from flexmeasures.services.weather import find_or_make_weather_sensor

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)


@pytest.fixture
def session(app, cast):
    """A session on the database with the cast."""
    with app.app_context():
        yield db.session
        db.session.rollback()


def measure(session, sensor_id, values, start=START, *, resolution=QUARTER, horizon=timedelta(0)):
    """Store values as measured (or forecast, with a positive horizon) by a program."""
    values = np.asarray(values, dtype=float)
    source = get_or_create_source(session, "meter", "script")
    beliefs = Beliefs(
        event_grid(start, resolution, len(values)),
        values,
        np.full(len(values), np.timedelta64(horizon, "us")),
        np.full(len(values), source.id, dtype=np.int32),
    )
    insert_beliefs(session, [SensorBeliefs(sensor_id, beliefs)])


def load(days, seed=1):
    """Make quarter-hourly consumption with a daily shape [MW]."""
    quarters = np.arange(days * 96)
    noise = np.random.default_rng(seed).gamma(2.0, 0.02, len(quarters))
    return 0.2 + 0.1 * np.sin(2 * np.pi * quarters / 96) + noise


def forecasts(session, sensor_id, start):
    """Look up forecasts from an instant on, as arrays by probability."""
    rows = session.execute(
        text(
            "select cumulative_probability, array_agg(event_value order by event_start) from belief"
            " join data_source on data_source.id = source_id where sensor_id = :id and event_start >= :start"
            " and type = 'forecaster' group by 1"
        ),
        {"id": sensor_id, "start": start},
    )
    return {probability: np.array(values) for probability, values in rows}


def order(sensor_id, days, hours=6, horizon=6 * HOUR, model=None):
    """Order forecasts that begin a number of days after the start."""
    start = START + days * DAY
    return ForecastOrder(sensor_id, start, start + hours * HOUR, horizon, model)


def test_quantiles_are_stored(session, cast):
    """Each event gets its 10, 50 and 90 % quantile, ascending, by the better default."""
    sensor_id = cast.assets["building"]
    measure(session, sensor_id, load(40))
    made = make_forecasts(session, order(sensor_id, 40))
    assert (made.events, made.model, made.notes) == (24, "ensemble", ())
    found = forecasts(session, sensor_id, START + 40 * DAY)
    assert sorted(found) == [0.1, 0.5, 0.9]
    assert all(len(values) == 24 for values in found.values())
    assert (found[0.1] <= found[0.5]).all()
    assert (found[0.5] <= found[0.9]).all()


def test_fits_are_kept(session, cast):
    """The next forecast of the sensor uses what was fitted; after 28 days it is fitted anew."""
    sensor_id = cast.assets["building"]
    measure(session, sensor_id, load(80))
    known = []
    for days in (40, 41, 70, 45):
        make_forecasts(session, order(sensor_id, days, hours=1))
        rows = session.execute(select(fitted_model)).all()
        assert [(row.model, row.belief_horizon) for row in rows] == [("ensemble", 6 * HOUR)]
        known.append(rows[0].known_until)
    # A forecast of the past does not replace the later fit.
    assert known[0] == known[1] < known[2] == known[3]


def test_the_documented_model_by_name(session, cast):
    """The default of version 0.4 forecasts a median, labelled as documented."""
    sensor_id = cast.assets["building"]
    measure(session, sensor_id, load(40))
    made = make_forecasts(session, order(sensor_id, 40), ForecastRules(model="linear-OLS"))
    assert made.model == "linear-OLS"
    assert sorted(forecasts(session, sensor_id, START)) == [0.5]
    names = session.scalars(text("select name from data_source where type = 'forecaster'")).all()
    assert names == ["Seita (linear-OLS model v2)"]


def test_stand_ins_say_so(session, cast):
    """After three hours the naive model stands in and says so; its forecasts are the values of an hour before."""
    sensor_id = cast.assets["building"]
    values = load(1)[:12]
    measure(session, sensor_id, values)
    made = make_forecasts(session, ForecastOrder(sensor_id, START + HOUR, START + 3 * HOUR, HOUR))
    assert made.model == "naive"
    assert "stands in for ensemble" in made.notes[0]
    np.testing.assert_allclose(forecasts(session, sensor_id, START)[0.5], values[:8])


@pytest.mark.parametrize("late", ["later events", "a correction", "a gap filled later"])
def test_beliefs_recorded_later_change_no_forecast(session, cast, late):
    """Whatever is recorded after a forecast is dated, the forecast made again is the same."""
    sensor_id = cast.assets["building"]
    values = load(42)
    gap = slice(30 * 96, 30 * 96 + 8)
    measure(session, sensor_id, values[: gap.start])
    measure(session, sensor_id, values[gap.stop : 40 * 96], START + 30 * DAY + 2 * HOUR)
    # The events of this order are forecast from 40 days less six hours on.
    wanted = order(sensor_id, 40, hours=1)
    make_forecasts(session, wanted)
    before = forecasts(session, sensor_id, START)
    session.execute(text("delete from belief where cumulative_probability = 0.5 and belief_horizon > '0'"))
    session.execute(text("delete from fitted_model"))
    if late == "later events":
        measure(session, sensor_id, 9 + values[40 * 96 :], START + 40 * DAY)
    elif late == "a correction":
        measure(session, sensor_id, [9.0] * 96, START + 39 * DAY, horizon=-2 * DAY)
    else:
        measure(session, sensor_id, [9.0] * 8, START + 30 * DAY, horizon=-20 * DAY)
    make_forecasts(session, wanted)
    after = forecasts(session, sensor_id, START)
    for probability, values_before in before.items():
        np.testing.assert_array_equal(after[probability], values_before)


def test_corrections_that_were_known_count(session, cast):
    """A correction that was recorded before the forecast is dated changes it."""
    sensor_id = cast.assets["building"]
    measure(session, sensor_id, load(2)[:100])
    wanted = ForecastOrder(sensor_id, START + 26 * HOUR, START + 27 * HOUR, HOUR, "naive")
    make_forecasts(session, wanted)
    measure(session, sensor_id, [7.0] * 4, START + 24 * HOUR, horizon=-timedelta(minutes=5))
    measure(session, sensor_id, [7.0] * 4, START + 25 * HOUR)
    make_forecasts(session, wanted)
    np.testing.assert_allclose(forecasts(session, sensor_id, START)[0.5], 7)


def test_bad_data_are_named(session, cast):
    """Readings of a meter, an unknown horizon, sensor or model, and nothing at all: each has an error of its own."""
    sensor_id = cast.assets["building"]
    with pytest.raises(NotEnoughData, match="No data available at all"):
        make_forecasts(session, order(sensor_id, 5))
    measure(session, sensor_id, np.cumsum(load(10)))
    with pytest.raises(BadValues, match="readings of a meter"):
        make_forecasts(session, order(sensor_id, 10))
    with pytest.raises(InvalidInput, match="PT18H"):
        make_forecasts(session, order(sensor_id, 10, horizon=18 * HOUR))
    with pytest.raises(NotFound, match="sensor with id 99999"):
        make_forecasts(session, order(99999, 10))
    with pytest.raises(NotFound, match="No model found"):
        make_forecasts(session, order(sensor_id, 10, model="crystal ball"))


def test_outliers_are_noted(session, cast):
    """A spike of 10,000 % is left out, and the outcome says so."""
    sensor_id = cast.assets["building"]
    values = load(40)
    values[35 * 96] = 100
    measure(session, sensor_id, values)
    made = make_forecasts(session, order(sensor_id, 40))
    assert "1 values" in made.notes[0]
    assert forecasts(session, sensor_id, START)[0.9].max() < 1


def test_short_histories_borrow_from_similar_assets(session, cast):
    """A building with two days of measurements learns from another one of its account, with a half of its power."""
    new, old = (session.get(Asset, cast.assets[name]) for name in ("building", "two_way"))
    old.asset_type_name = new.asset_type_name
    session.flush()
    values = load(40)
    measure(session, old.power_sensor_id, values)
    measure(session, new.power_sensor_id, 2 * values[38 * 96 :], START + 38 * DAY)
    made = make_forecasts(session, order(new.power_sensor_id, 40))
    assert made.model == "ensemble"
    assert made.notes == ("The time before its first measurement was borrowed from similar sensors: 1.",)
    found = forecasts(session, new.power_sensor_id, START)[0.5]
    # Without noise, the first six hours of each day are 0.4 + 0.2 · sin + 0.08 on average.
    usual = 2 * (0.2 + 0.1 * np.sin(2 * np.pi * np.arange(24) / 96) + 0.04)
    assert np.abs(found - usual).mean() < 0.05


def test_the_net_load_of_a_site_is_that_of_its_parts(session, cast):
    """A site without a meter is forecast from the sum of its parts, where all were measured: 0.5 − 0.2 MW here."""
    building, solar = (session.get(Asset, cast.assets[name]) for name in ("building", "solar"))
    site = session.get(Asset, cast.assets["two_way"])
    building.parent_id = solar.parent_id = site.id
    session.flush()
    measure(session, building.power_sensor_id, np.full(4 * 96, 0.5))
    measure(session, solar.power_sensor_id, np.full(3 * 96, -0.2))
    made = make_forecasts(session, order(site.power_sensor_id, 3), ForecastRules(model="naive"))
    assert made.events == 24
    np.testing.assert_allclose(forecasts(session, site.power_sensor_id, START)[0.5], 0.3)


def test_a_part_without_measurements_leaves_nothing_to_forecast_from(session, cast):
    """If one of the parts was not measured, their sum is not known, and the error says so."""
    building, solar = (session.get(Asset, cast.assets[name]) for name in ("building", "solar"))
    site = session.get(Asset, cast.assets["two_way"])
    building.parent_id = solar.parent_id = site.id
    session.flush()
    measure(session, building.power_sensor_id, np.full(96, 0.5))
    with pytest.raises(NotEnoughData, match="nothing was measured"):
        make_forecasts(session, order(site.power_sensor_id, 1))


@pytest.fixture
def sunlight(session, cast):
    """A radiation sensor near the PV system, with hourly forecasts one and seven hours ahead for two days."""
    asset = session.get(Asset, cast.assets["solar"])
    place = WeatherSensorAddress("radiation", asset.latitude, asset.longitude)
    sensor_id = find_or_make_weather_sensor(session, place, make_with=(HOUR, "kW/m²")).id
    measure(session, sensor_id, np.arange(48.0), resolution=HOUR, horizon=7 * HOUR)
    measure(session, sensor_id, 100 + np.arange(48.0), resolution=HOUR, horizon=HOUR)
    return session.get(WeatherSensor, sensor_id)


def facts(session, asset_id, horizon):
    """Read facts for two days of quarter-hours."""
    sensor = session.get(Sensor, asset_id)
    history = History(np.datetime64("2024-01-01", "us"), np.zeros(192), QUARTER, sensor.timezone)
    return FactsReader(session, [sensor]).facts(sensor, history, horizon, START + 2 * DAY)


def test_the_weather_counts_as_it_was_known(session, cast, sunlight):
    """Six hours ahead the forecast of seven hours ahead counts, one hour ahead the later one, 24 h ahead none."""
    (six,) = facts(session, cast.assets["solar"], 6 * HOUR).regressors
    np.testing.assert_array_equal(six.values, np.arange(48.0).repeat(4))
    (one,) = facts(session, cast.assets["solar"], HOUR).regressors
    np.testing.assert_array_equal(one.values, 100 + np.arange(48.0).repeat(4))
    assert facts(session, cast.assets["solar"], 24 * HOUR).regressors == ()
    assert facts(session, cast.assets["building"], HOUR).regressors == ()  # its weather is temperature


def test_an_asset_tells_its_signs(session, cast):
    """Solar panels produce at most nothing at night (consumption is positive); batteries do both."""
    traits = facts(session, cast.assets["solar"], HOUR).traits
    assert (traits.lowest, traits.highest, traits.is_solar) == (None, 0.0, True)
    assert traits.box_cox_shift == 0.1
    traits = facts(session, cast.assets["two_way"], HOUR).traits
    assert (traits.lowest, traits.highest, traits.box_cox_shift) == (None, None, None)


def special_days(session, asset_id, noted=START, country=None):
    """List special days of January 2024, after a holiday was noted on the asset."""
    source = get_or_create_source(session, "test", "script")
    session.add(
        Annotation(
            content="Company outing",
            start=START + 9 * DAY,
            end=START + 10 * DAY,
            type="holiday",
            belief_time=noted,
            source_id=source.id,
            asset_id=session.get(Sensor, asset_id).asset_id,
        )
    )
    session.flush()
    sensor = session.get(Sensor, asset_id)
    history = History(np.datetime64("2024-01-01", "us"), np.zeros(96 * 31), QUARTER, "UTC")
    found = FactsReader(session, [sensor], country).special_days(sensor, history, START + 5 * DAY)
    return sorted(
        day.astype(date) for day in found if np.datetime64("2024-01-01") <= day < np.datetime64("2024-02-01")
    )


def test_holidays_are_special_days(session, cast):
    """A noted holiday and those of the country count: Epiphany is a holiday in a part of Germany."""
    found = special_days(session, cast.assets["building"], country="DE-BW")
    assert found == [date(2024, 1, 1), date(2024, 1, 6), date(2024, 1, 10)]


def test_what_was_noted_later_is_not_known(session, cast):
    """A holiday that was noted after the first forecast does not count for it."""
    assert special_days(session, cast.assets["building"], START + 6 * DAY) == []
    with pytest.raises(InvalidInput, match="ISO 3166"):
        special_days(session, cast.assets["building"], country="Atlantis")


def test_the_documented_plugin_forecasts(app, session, cast, tmp_path):
    """The example of the documentation is loaded as a plugin, and its model forecasts with a band and is kept."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-forecaster.md").read_text()
    folder = tmp_path / "three_days"
    folder.mkdir()
    (folder / "__init__.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    settings = {
        "FLEXMEASURES_INSTANCE_PATH": app.config["FLEXMEASURES_INSTANCE_PATH"],
        "FLEXMEASURES_PLUGIN_PATHS": [str(folder)],
    }
    assert create("testing", settings=settings).config["LOADED_PLUGINS"] == {"three_days": "0.1"}
    sensor_id = cast.assets["building"]
    values = load(20)
    measure(session, sensor_id, values)
    for _ in range(2):
        made = make_forecasts(session, order(sensor_id, 20), ForecastRules(model="three-days"))
        assert (made.model, made.notes) == ("three-days", ())
        found = forecasts(session, sensor_id, START)
        expected = np.mean([values[(20 - day) * 96 : (20 - day) * 96 + 24] for day in (1, 2, 3)], axis=0)
        np.testing.assert_allclose(found[0.5], expected)
        assert (found[0.1] < found[0.5]).all()
    assert session.scalar(select(fitted_model.c.model)) == "three-days"
