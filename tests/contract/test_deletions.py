"""Deletions by plain SQL, as operators do them: nothing stays behind that belongs to nobody."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from flexmeasures.data.database import db
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.services.users import create_user
from flexmeasures.services.weather import find_or_make_weather_sensor
from flexmeasures.testing import CAST_DAY, store_values


@pytest.fixture
def session(app, cast):
    """A session in which the cast is there."""
    with app.app_context():
        yield db.session
        db.session.rollback()


def count(session, query, **parameters):
    """The number that a query gives."""
    return session.scalar(text(f"select count(*) from {query}"), parameters)


ORPHANS = (
    "sensor where not exists (select 1 from asset where asset.id = sensor.id)"
    " and not exists (select 1 from market where market.id = sensor.id)"
    " and not exists (select 1 from weather_sensor where weather_sensor.id = sensor.id)"
)


def test_a_deleted_user_takes_assets_sensors_and_beliefs_along(session, cast):
    """Deleting the row of a user leaves no sensor without its asset, and no belief about it."""
    store_values(session, session.get(Asset, cast.assets["building"]), CAST_DAY, [1.0, 2.0])
    session.execute(text("delete from fm_user where id = :id"), {"id": cast.owner_id})
    session.commit()
    assert count(session, ORPHANS) == 0
    assert count(session, "belief where sensor_id = any(:ids)", ids=list(cast.assets.values())) == 0


@pytest.mark.parametrize("table", ["asset", "market", "weather_sensor"])
def test_a_deleted_row_takes_its_sensor_along(session, table):
    """An asset, a market or a weather sensor is not survived by its sensor."""
    place = WeatherSensorAddress("wind_speed", 33.4, 126.4)
    find_or_make_weather_sensor(session, place, make_with=(timedelta(hours=1), "m/s"))
    session.execute(text("update asset set market_id = null"))
    session.execute(text(f"delete from {table}" + (" where owner_id > 0" if table == "asset" else "")))
    session.commit()
    assert count(session, ORPHANS) == 0
    assert count(session, "sensor") > 0


def test_users_of_the_same_name_can_be_deleted_one_after_the_other(session):
    """A name may be used again, and its second user can go as well; what each has posted stays apart."""
    for _ in range(3):
        user = create_user(session, email="bob@seita.nl", username="bob", password_hash="-")
        session.execute(text("delete from fm_user where id = :id"), {"id": user.id})
        session.commit()
        session.expunge_all()
    assert count(session, "data_source where name = 'bob' and user_id is null") == 3


def test_sources_of_programs_stay_unique(session):
    """There is one source a program, model and version."""
    get_or_create_source(session, "model", "forecaster")
    with pytest.raises(IntegrityError):
        session.execute(text("insert into data_source (name, type) values ('model', 'forecaster')"))


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("statement", ["delete from sensor", "delete from data_source where type = 'script'"])
def test_no_belief_survives_what_it_needs(app, session, cast, level, statement):
    """A transaction that cannot see beliefs stored since it began cannot delete their sensor or source."""
    session.execute(text("update asset set market_id = null"))
    session.commit()
    with db.engine.connect() as other:
        other.execute(text(f"set transaction isolation level {level}"))
        other.execute(text("select 1 from belief")).all()  # from here on it sees this moment
        store_values(session, session.get(Asset, cast.assets["building"]), CAST_DAY, [1.0])
        session.commit()
        with pytest.raises(DBAPIError, match=r"read committed|violates foreign key"):
            other.execute(text(statement))
    assert count(session, "belief where sensor_id not in (select id from sensor)") == 0
    assert count(session, "belief where source_id not in (select id from data_source)") == 0
