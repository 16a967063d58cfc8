"""The store and the domain agree: what was believed at an instant, what is stored again, and distributions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from flexmeasures.data.database import db
from flexmeasures.data.stores import portfolio
from flexmeasures.data.stores.beliefs import SensorBeliefs, Window, insert_beliefs, read_beliefs, read_latest
from flexmeasures.data.stores.portfolio import PortfolioWindow, read_latest_by_source, read_series
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.beliefs import (
    AtDate,
    Beliefs,
    DaysAgo,
    ExAnte,
    ExPost,
    InsertPolicy,
    latest_per_event,
    select_as_of,
)
from flexmeasures.domain.errors import BadValues, Conflict
from flexmeasures.domain.time import to_datetime64
from flexmeasures.testing import make_sensor

HOUR = timedelta(hours=1)
ZONES = ("Europe/Amsterdam", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia", "America/Asuncion")
CHANGES = (
    datetime(2021, 3, 27, 20, tzinfo=UTC),  # Europe goes to summer time in the night
    datetime(2021, 10, 30, 20, tzinfo=UTC),  # and back
    datetime(2021, 4, 3, 12, tzinfo=UTC),  # Lord Howe by half an hour, Apia by an hour
    datetime(2011, 12, 29, 6, tzinfo=UTC),  # Apia skips a day
    datetime(2021, 10, 2, 22, tzinfo=UTC),  # Asunción skips midnight
)

rules = st.one_of(
    st.builds(ExPost, st.sampled_from([timedelta(0), HOUR, timedelta(days=1), -HOUR])),
    st.builds(ExAnte, st.sampled_from([timedelta(0), HOUR, timedelta(days=2)])),
    st.builds(
        DaysAgo, st.integers(0, 2), st.sampled_from([0.0, 2.5, 12.0, 23.75, 24.0]), st.sampled_from(ZONES)
    ),
    st.builds(AtDate, st.sampled_from(CHANGES)),
)


@st.composite
def situations(draw):
    """Beliefs about events around a change of clocks, and an instant at which they are looked at."""
    start = draw(st.sampled_from(CHANGES))
    resolution = draw(st.sampled_from([timedelta(0), timedelta(minutes=15), HOUR, timedelta(days=1)]))
    keys = st.tuples(st.integers(0, 30), st.integers(-30, 60), st.integers(0, 1))
    rows = draw(st.lists(keys, min_size=1, max_size=30, unique=True))
    held_by = start + draw(st.integers(-60, 60)) * HOUR
    return start, resolution, rows, draw(rules), held_by


@pytest.fixture
def session(app):
    """The database, and two sources."""
    with app.app_context():
        for name in ("first", "second"):
            get_or_create_source(db.session, name, "script")
        db.session.commit()
        yield db.session
        db.session.rollback()


def as_beliefs(start, rows, probabilities=None):
    """Beliefs of (hours from start, horizon in hours, source); each value is the row's number."""
    starts = np.array([to_datetime64(start + n * HOUR) for n, _, _ in rows])
    horizons = np.array([h for _, h, _ in rows]) * np.timedelta64(3_600_000_000, "us")
    sources = np.array([1 + s for _, _, s in rows], dtype=np.int32)
    return Beliefs(starts, np.arange(len(rows), dtype=float), horizons, sources, probabilities)


def sensor_with(session, rule, resolution, name="sensor"):
    """A sensor whose events are known by a rule."""
    sensor = make_sensor(session, name, "MW", resolution)
    sensor.knowledge_horizon_fnc, sensor.knowledge_horizon_par = rule.name, rule.parameters
    session.flush()
    return sensor


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(situations())
def test_the_store_selects_as_of_like_the_domain(session, situation):
    """Whatever the rule, the clock and the resolution: the query sees exactly what `select_as_of` sees."""
    start, resolution, rows, rule, held_by = situation
    session.rollback()
    sensor = sensor_with(session, rule, resolution)
    beliefs = as_beliefs(start, rows)
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
    expected = select_as_of(beliefs, rule, resolution, held_by)
    limits = [{}, {"start": start - HOUR, "end": start + 40 * HOUR}]
    for limit in limits:
        window = Window(sensor.id, resolution, held_by=held_by, rule=rule, **limit)
        starts, values = read_latest(session, window)
        assert starts.tolist() == expected.event_starts.tolist()
        assert values.tolist() == expected.values.tolist()
    wide = PortfolioWindow(start - 2 * timedelta(days=1), start + 40 * HOUR, held_by=held_by)
    others = [
        sensor_with(session, other, resolution, f"other {n}")
        for n, other in enumerate((ExPost(), AtDate(start)))
    ]
    series = read_series(session, [others[0], sensor, others[1]], wide)
    assert series[sensor.id].values.tolist() == expected.values.tolist()
    assert all(len(series[one.id]) == 0 for one in others)
    by_source = read_latest_by_source(session, [sensor], wide).get(sensor.id)
    found = 0 if by_source is None else len(latest_per_event(by_source))
    assert found == len(expected)
    session.rollback()


def test_beliefs_of_many_sensors_are_read_at_once(session, monkeypatch):
    """Two queries would be one too many; units and resolutions are those of each sensor, and nothing is left out."""
    sensors = [
        make_sensor(session, f"s{n}", unit, res)
        for n, (unit, res) in enumerate([("kW", HOUR), ("°C", 2 * HOUR)])
    ]
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for n, sensor in enumerate(sensors):
        insert_beliefs(
            session, [SensorBeliefs(sensor.id, as_beliefs(start, [(2 * k, 0, 0) for k in range(3 + n)]))]
        )
    session.flush()
    empty = make_sensor(session, "nothing")
    asked, fetch = [], portfolio.fetch_arrays
    monkeypatch.setattr(portfolio, "fetch_arrays", lambda *args: asked.append(args) or fetch(*args))
    series = read_series(session, [*sensors, empty], PortfolioWindow(start + HOUR, start + 5 * HOUR))
    assert len(asked) == 1
    assert [series[s.id].unit for s in sensors] == ["kW", "°C"]
    assert series[sensors[0].id].values.tolist() == [1, 2]  # the event from 0:00 ends at 1:00
    assert series[sensors[1].id].values.tolist() == [0, 1, 2]
    assert len(series[empty.id]) == 0
    assert series[empty.id].unit == "MW"


def test_an_instantaneous_value_counts_from_its_instant_on(session):
    """A value without duration lies in the window that starts with it, and not in the one that ends with it."""
    sensor = make_sensor(session, "level", "MWh", timedelta(0))
    start = datetime(2021, 1, 1, tzinfo=UTC)
    insert_beliefs(session, [SensorBeliefs(sensor.id, as_beliefs(start, [(n, 0, 0) for n in range(4)]))])
    window = PortfolioWindow(start + HOUR, start + 3 * HOUR)
    assert read_series(session, [sensor], window)[sensor.id].values.tolist() == [1, 2]
    latest = Window(sensor.id, timedelta(0), start + HOUR, start + 3 * HOUR)
    assert read_latest(session, latest)[1].tolist() == [1, 2]


class TestPolicies:
    """What becomes of beliefs that are there already."""

    START = datetime(2021, 1, 1, tzinfo=UTC)

    @pytest.fixture
    def put(self, session):
        """Store beliefs of one sensor and commit."""
        sensor_id = make_sensor(session, "sensor").id
        session.commit()

        def put(rows, policy=InsertPolicy.REFUSE):
            beliefs = as_beliefs(self.START, [(n, h, 0) for n, h, _ in rows])
            values = np.array([float(v) for _, _, v in rows])
            beliefs = Beliefs(beliefs.event_starts, values, beliefs.horizons, beliefs.source_ids)
            stored = insert_beliefs(session, [SensorBeliefs(sensor_id, beliefs)], policy)
            session.commit()
            return stored

        put.sensor_id = sensor_id
        return put

    def rows(self, session, sensor_id):
        """What is stored: (hours from start, horizon in hours, value)."""
        beliefs = read_beliefs(session, Window(sensor_id, HOUR))
        hours = (beliefs.event_starts - to_datetime64(self.START)) / np.timedelta64(1, "h")
        horizons = beliefs.horizons / np.timedelta64(1, "h")
        return list(zip(hours.tolist(), horizons.tolist(), beliefs.values.tolist(), strict=True))

    @pytest.mark.parametrize("count", [3, 1500], ids=["few", "many"])
    def test_refuse(self, session, put, count):
        """The same belief again is a conflict, even with the same value, and nothing of the message is stored."""
        put([(n, 0, n) for n in range(count)])
        with pytest.raises(Conflict):
            put([(n + count - 1, 0, n + count - 1) for n in range(count)])
        session.rollback()
        assert len(self.rows(session, put.sensor_id)) == count

    @pytest.mark.parametrize("count", [3, 1500], ids=["few", "many"])
    def test_twice_in_one_message(self, session, put, count):
        """A message that says the same twice is refused as well."""
        with pytest.raises(Conflict):
            put([(n, 0, 1) for n in range(count)] + [(1, 0, 1)])
        session.rollback()
        assert self.rows(session, put.sensor_id) == []

    @pytest.mark.parametrize("count", [3, 1500], ids=["few", "many"])
    def test_replace(self, session, put, count):
        """The new value takes the place of the old one."""
        put([(n, 0, 1) for n in range(count)])
        assert put([(n, 0, 2) for n in range(count)], InsertPolicy.REPLACE) == count
        assert {value for _, _, value in self.rows(session, put.sensor_id)} == {2}

    def test_skip_equal(self, session, put):
        """What a source said last it need not say again; a change, and a change back, are stored."""
        assert put([(0, 5, 1), (1, 5, 1)], InsertPolicy.SKIP_EQUAL) == 2
        assert put([(0, 5, 1), (1, 5, 1)], InsertPolicy.SKIP_EQUAL) == 0  # the same again
        assert put([(0, 4, 1), (1, 4, 2)], InsertPolicy.SKIP_EQUAL) == 1  # later, one with another value
        assert put([(0, 3, 2), (1, 3, 1)], InsertPolicy.SKIP_EQUAL) == 2
        assert self.rows(session, put.sensor_id) == [(0, 3, 2), (0, 5, 1), (1, 3, 1), (1, 4, 2), (1, 5, 1)]

    def test_skip_equal_refuses_another_value_at_the_same_time(self, session, put):
        """A source cannot have said two things about one event at the same time."""
        put([(0, 5, 1)])
        with pytest.raises(Conflict):
            put([(0, 5, 2), (1, 5, 1)], InsertPolicy.SKIP_EQUAL)
        session.rollback()
        assert self.rows(session, put.sensor_id) == [(0, 5, 1)]


class TestDistributions:
    """Beliefs with several values, each with its cumulative probability."""

    START = datetime(2021, 1, 1, tzinfo=UTC)

    def beliefs(self, *rows):
        """Beliefs of (hours from start, horizon in hours, probability, value)."""
        plain = as_beliefs(self.START, [(n, h, 0) for n, h, _, _ in rows])
        likely = np.array([p for _, _, p, _ in rows])
        values = np.array([float(v) for *_, v in rows])
        return Beliefs(plain.event_starts, values, plain.horizons, plain.source_ids, likely)

    def test_old_readers_see_the_median(self, session):
        """Unless a quantile is asked for, one value an event is read: the median; on request all of a belief."""
        sensor = make_sensor(session, "sensor")
        rows = [(n, h, p, 10 * n + p + h) for n in (0, 1) for h in (0, 6) for p in (0.1, 0.5, 0.9)]
        insert_beliefs(session, [SensorBeliefs(sensor.id, self.beliefs(*rows))])
        assert read_latest(session, Window(sensor.id, HOUR))[1].tolist() == [0.5, 10.5]
        assert read_latest(session, Window(sensor.id, HOUR, probability=0.9))[1].tolist() == [0.9, 10.9]
        whole = PortfolioWindow(self.START, self.START + 2 * HOUR, probability=0.1)
        assert read_series(session, [sensor], whole)[sensor.id].values.tolist() == [0.1, 10.1]
        everything = read_beliefs(session, Window(sensor.id, HOUR, probability=None))
        assert len(everything) == 12
        assert everything.probabilities.tolist() == [0.1, 0.5, 0.9] * 4
        assert len(read_beliefs(session, Window(sensor.id, HOUR))) == 4
        assert latest_per_event(everything).values.tolist() == [0.5, 10.5]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([(0, 0, 0.1, 1), (0, 0, 0.9, 2)], "has no median"),
            ([(0, 0, 0.5, 1), (1, 0, 0.9, 2)], "2021-01-01T01:00:00"),
            ([(0, 0, 0.5, 1), (0, 0, 1.0, 2)], "cumulative probability of 1 is impossible"),
            ([(0, 0, 0.5, 1), (0, 0, -0.1, 2)], "cumulative probability of -0.1 is impossible"),
            ([(0, 0, 0.5, 1), (0, 0, float("nan"), 2)], "impossible"),
        ],
    )
    def test_a_distribution_can_be_read(self, session, rows, words):
        """Each has its median, and probabilities lie between 0 and 1."""
        sensor = make_sensor(session, "sensor")
        with pytest.raises(BadValues, match=words):
            insert_beliefs(session, [SensorBeliefs(sensor.id, self.beliefs(*rows))])
        assert (
            session.scalar(text("select count(*) from belief where sensor_id = :id"), {"id": sensor.id}) == 0
        )

    def test_a_distribution_of_which_one_value_is_new_is_stored_as_a_whole(self, session):
        """Parts of two distributions would be none."""
        sensor = make_sensor(session, "sensor")
        first = self.beliefs(*((n, 5, p, p) for n in (0, 1) for p in (0.1, 0.5, 0.9)))
        again = self.beliefs(*((n, 4, p, p + (n == 1 and p == 0.9)) for n in (0, 1) for p in (0.1, 0.5, 0.9)))
        skip = InsertPolicy.SKIP_EQUAL
        assert insert_beliefs(session, [SensorBeliefs(sensor.id, first)], skip) == 6
        assert insert_beliefs(session, [SensorBeliefs(sensor.id, again)], skip) == 3
        newest = read_beliefs(session, Window(sensor.id, HOUR, max_horizon=4 * HOUR, probability=None))
        assert newest.values.tolist() == [0.1, 0.5, 1.9]


def test_sensors_of_all_rules_say_so(session):
    """The rule that a sensor is given is the one that it has."""
    for rule in (ExPost(HOUR), ExAnte(HOUR), DaysAgo(1, 12.5, "Europe/Paris"), AtDate(CHANGES[0])):
        number = sensor_with(session, rule, HOUR, rule.name).id
        session.expire_all()
        assert session.get(Sensor, number).knowledge_rule == rule
