"""The store of beliefs, on the real database, beside the same selection in plain Python."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import (
    SensorBeliefs,
    SourceFilter,
    Window,
    insert_beliefs,
    read_beliefs,
    read_latest,
    time_range,
)
from flexmeasures.data.tables import DataSource, User
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, latest_per_event
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.time import to_datetime64
from flexmeasures.testing import make_sensor

QUARTER = timedelta(minutes=15)
START = datetime(2021, 3, 27, tzinfo=UTC)
US = "timedelta64[us]"


class Shelf:
    """A sensor and some sources: 1 and 2 of users, 3 a forecaster, 4 a scheduler."""

    def __init__(self, session):
        self.session = session
        sensors = [make_sensor(session, name) for name in ("one", "other")]
        users = [
            User(email=f"{name}@seita.nl", username=name, password="-", fs_uniquifier=name) for name in "ab"
        ]
        session.add_all(users)
        session.flush()
        sources = [DataSource(name=user.username, type="user", user_id=user.id) for user in users]
        sources += [DataSource(name="model", type=kind) for kind in ("forecaster", "scheduler")]
        for source in sources:
            session.add(source)
            session.flush()
        session.commit()
        self.sensor_id, self.other_id = (sensor.id for sensor in sensors)
        self.user_ids = [user.id for user in users]
        self.kinds = {source.id: (source.type, source.user_id) for source in sources}

    def insert(self, rows, policy=InsertPolicy.REFUSE, sensor_id=None):
        """Store rows of event, horizon (both in quarters), source and value, and commit."""
        batch = SensorBeliefs(sensor_id or self.sensor_id, as_beliefs(rows))
        insert_beliefs(self.session, [batch], policy)
        self.session.commit()

    def window(self, **limits):
        """A window on the sensor."""
        return Window(self.sensor_id, QUARTER, **limits)

    def count(self):
        """How many beliefs there are of all sensors."""
        return self.session.scalar(text("select count(*) from belief"))


def as_beliefs(rows):
    """Make columns of rows."""
    return Beliefs(
        to_datetime64(START) + np.array([row[0] * QUARTER for row in rows], dtype=US),
        np.array([row[3] for row in rows], dtype=float),
        np.array([row[1] * QUARTER for row in rows], dtype=US),
        np.array([row[2] for row in rows], dtype=np.int32),
    )


@pytest.fixture
def shelf(app):
    """An empty store with a sensor and sources."""
    with app.app_context():
        yield Shelf(db.session)


def is_wanted(shelf, window, event, horizon, source):
    """Whether a window allows a belief, by its documentation: one row, one rule at a time."""
    start, horizon = START + event * QUARTER, horizon * QUARTER
    kind, user_id = shelf.kinds[source]
    rules = [
        window.start is None or start + QUARTER > window.start,
        window.end is None or start < window.end,
        window.min_horizon is None or horizon >= window.min_horizon,
        window.max_horizon is None or horizon <= window.max_horizon,
        window.held_by is None or start + QUARTER - horizon <= window.held_by,
        window.sources.types is None or kind in window.sources.types,
        window.sources.user_ids is None or kind != "user" or user_id in window.sources.user_ids,
    ]
    return all(rules)


rows = st.lists(
    st.tuples(st.integers(0, 8), st.integers(-12, 12), st.integers(1, 4)),
    unique=True,
    min_size=1,
    max_size=40,
)
instants = st.none() | st.integers(-30, 200).map(lambda minutes: START + timedelta(minutes=minutes))
horizons = st.none() | st.integers(-12, 12).map(lambda quarters: quarters * QUARTER)
kinds = st.none() | st.lists(st.sampled_from(["user", "forecaster", "scheduler", "script"]), max_size=3).map(
    tuple
)
users = st.none() | st.lists(st.integers(1, 3), max_size=2).map(tuple)
limits = st.fixed_dictionaries(
    {
        "start": instants,
        "end": instants,
        "min_horizon": horizons,
        "max_horizon": horizons,
        "held_by": instants,
        "sources": st.builds(SourceFilter, kinds, users),
    }
)


def test_reads_agree_with_the_domain(shelf):
    """Whatever is stored and asked for, the database selects what plain Python selects, in the same order."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows, st.lists(limits, min_size=4, max_size=4))
    def law(table, questions):
        shelf.session.execute(text("delete from belief"))
        numbered = [(*row, float(n)) for n, row in enumerate(table)]
        shelf.insert(numbered)
        for question in questions:
            window = shelf.window(**question)
            wanted = as_beliefs([row for row in numbered if is_wanted(shelf, window, *row[:3])])
            expected = latest_per_event(wanted)
            starts, values = read_latest(shelf.session, window)
            assert values.tolist() == expected.values.tolist()
            assert starts.tolist() == expected.event_starts.tolist()
            everything = read_beliefs(shelf.session, window)
            order = np.lexsort((wanted.source_ids, wanted.horizons, wanted.event_starts))
            for name in ("event_starts", "values", "horizons", "source_ids"):
                assert getattr(everything, name).tolist() == getattr(wanted.take(order), name).tolist()

    law()


def test_a_window_begins_with_the_event_that_covers_it(shelf):
    """An event that began before the window but ends within it belongs to it; one that ends with its start does not."""
    shelf.insert([(n, 0, 1, float(n)) for n in range(4)])
    middle = START + QUARTER + timedelta(minutes=5)
    _, values = read_latest(shelf.session, shelf.window(start=middle, end=START + 3 * QUARTER))
    assert values.tolist() == [1, 2]
    _, values = read_latest(shelf.session, shelf.window(start=START + QUARTER, end=START + 2 * QUARTER))
    assert values.tolist() == [1]


def test_other_sensors_are_not_read(shelf):
    """Beliefs of another sensor about the same events are not mixed in."""
    shelf.insert([(0, 0, 1, 1.0)])
    shelf.insert([(0, 0, 1, 2.0)], sensor_id=shelf.other_id)
    assert read_latest(shelf.session, shelf.window())[1].tolist() == [1]


def test_nothing_is_stored_and_read(shelf):
    """No beliefs can be stored, and none are read from an empty store."""
    insert_beliefs(shelf.session, [])
    shelf.insert([])
    starts, values = read_latest(shelf.session, shelf.window())
    assert len(starts) == len(values) == len(read_beliefs(shelf.session, shelf.window())) == 0
    assert starts.dtype == np.dtype("datetime64[us]")
    assert values.dtype == np.dtype("float64")


def test_several_sensors_are_stored_at_once(shelf):
    """One message may be about several sensors."""
    one, other = ([(n, 0, 1, float(n))] for n in (1, 2))
    insert_beliefs(
        shelf.session,
        [SensorBeliefs(shelf.sensor_id, as_beliefs(one)), SensorBeliefs(shelf.other_id, as_beliefs(other))],
    )
    assert read_latest(shelf.session, shelf.window())[1].tolist() == [1]
    assert read_latest(shelf.session, Window(shelf.other_id, QUARTER))[1].tolist() == [2]


@pytest.mark.parametrize("position", [0, 50, 99], ids=["at the start", "in the middle", "at the end"])
def test_a_belief_is_stored_once(shelf, position):
    """A belief that is there already is a conflict, wherever it stands, and then nothing of the message is stored."""
    shelf.insert([(position, 0, 1, 7.0)])
    with pytest.raises(Conflict, match="Nothing was changed"):
        shelf.insert([(n, 0, 1, 1.0) for n in range(100)])
    shelf.session.rollback()
    assert shelf.count() == 1
    assert read_latest(shelf.session, shelf.window())[1].tolist() == [7]


def test_a_message_may_not_contradict_itself(shelf):
    """The same belief twice in one message is a conflict, too."""
    with pytest.raises(Conflict):
        shelf.insert([(0, 0, 1, 1.0), (0, 0, 1, 2.0)])
    shelf.session.rollback()
    assert shelf.count() == 0


@pytest.mark.parametrize(
    "row",
    [
        pytest.param((1, 0, 1, 1.0), id="another event"),
        pytest.param((0, 1, 1, 1.0), id="another horizon"),
        pytest.param((0, 0, 2, 1.0), id="another source"),
    ],
)
def test_other_beliefs_stand_beside_it(shelf, row):
    """Event, horizon and source make a belief: if one differs, it is another one."""
    shelf.insert([(0, 0, 1, 1.0)])
    shelf.insert([row])
    assert shelf.count() == 2


def test_beliefs_are_overwritten_on_request(shelf):
    """With overwriting an equal belief gets the new value, others stay, and new ones are added."""
    shelf.insert([(0, 0, 1, 1.0), (1, 0, 1, 1.0)])
    shelf.insert([(1, 0, 1, 5.0), (2, 0, 1, 6.0)], policy=InsertPolicy.REPLACE)
    assert read_latest(shelf.session, shelf.window())[1].tolist() == [1, 5, 6]
    assert shelf.count() == 3


def test_overwriting_takes_one_of_equal_beliefs(shelf):
    """A message that gives two values for one belief stores one of them when it may overwrite."""
    shelf.insert([(0, 0, 1, 1.0), (0, 0, 1, 2.0)], policy=InsertPolicy.REPLACE)
    assert read_latest(shelf.session, shelf.window())[1].tolist() in ([1], [2])


@pytest.mark.parametrize("overwrite", [False, True], ids=["copied", "upserted"])
@pytest.mark.parametrize(("sensor_id", "source_id"), [(999, 1), (None, 999)], ids=["no sensor", "no source"])
def test_beliefs_need_a_sensor_and_a_source(shelf, sensor_id, source_id, overwrite):
    """A belief about nothing or of nobody is refused by name, even among good ones."""
    policy = InsertPolicy.REPLACE if overwrite else InsertPolicy.REFUSE
    with pytest.raises(NotFound, match="deleted meanwhile"):
        shelf.insert([(0, 0, 1, 1.0), (1, 0, source_id, 1.0)], sensor_id=sensor_id, policy=policy)
    shelf.session.rollback()
    assert shelf.count() == 0


def test_beliefs_go_with_their_sensor(shelf):
    """Deleting a sensor deletes its beliefs, and no others."""
    shelf.insert([(n, 0, 1, 1.0) for n in range(10)])
    shelf.insert([(0, 0, 1, 2.0)], sensor_id=shelf.other_id)
    shelf.session.execute(text("delete from sensor where id = :id"), {"id": shelf.sensor_id})
    shelf.session.commit()
    assert shelf.count() == 1
    assert read_latest(shelf.session, Window(shelf.other_id, QUARTER))[1].tolist() == [2]


def test_sources_with_beliefs_stay(shelf):
    """A source cannot be deleted as long as there are beliefs of it."""
    shelf.insert([(0, 0, 3, 1.0)])
    with pytest.raises(IntegrityError, match="data source with beliefs"):
        shelf.session.execute(text("delete from data_source where id = 3"))
    shelf.session.rollback()
    shelf.session.execute(text("delete from data_source where id = 4"))
    shelf.session.commit()


def test_a_sensor_cannot_go_while_beliefs_come(shelf, app):
    """As long as beliefs are being stored, their sensor cannot be deleted, so that they never stand alone."""
    insert_beliefs(shelf.session, [SensorBeliefs(shelf.sensor_id, as_beliefs([(0, 0, 1, 1.0)]))])
    with db.engine.connect() as other, other.begin():
        other.execute(text("set local lock_timeout = 50"))
        with pytest.raises(Exception, match="lock timeout"):
            other.execute(text("delete from sensor where id = :id"), {"id": shelf.sensor_id})
    shelf.session.commit()
    assert shelf.count() == 1


def test_the_time_range_is_that_of_the_events(shelf):
    """The range reaches from the first to the last event start, whoever believed them and when."""
    assert time_range(shelf.session, shelf.sensor_id) is None
    shelf.insert([(5, 3, 1, 1.0)])
    assert time_range(shelf.session, shelf.sensor_id) == (START + 5 * QUARTER,) * 2
    shelf.insert([(-7, -3, 2, 1.0), (90, 0, 4, 1.0)])
    assert time_range(shelf.session, shelf.sensor_id) == (START - 7 * QUARTER, START + 90 * QUARTER)
    assert time_range(shelf.session, shelf.other_id) is None


def test_many_beliefs_are_tried_again_only_if_some_may_be_known(shelf, caplog):
    """COPY knows no conflicts, so known rows are sorted out by another statement; a locked table is not asked twice."""
    caplog.set_level("DEBUG", "flexmeasures.data.stores.beliefs")
    year = [(n, 0, 1, 1.0) for n in range(1500)]
    with db.engine.begin() as other:
        other.execute(text("lock table belief in share mode"))
        shelf.session.execute(text("set local lock_timeout to '50ms'"))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            shelf.insert(year)
    shelf.session.rollback()
    assert caplog.records == []
    shelf.insert(year)
    with pytest.raises(Conflict):
        shelf.insert(year)
    shelf.session.rollback()
    assert [record.args[0] for record in caplog.records] == [1500]
    assert shelf.count() == 1500
