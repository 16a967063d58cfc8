"""The platform on PostgreSQL and Redis from packages of the machine, also through pgbouncer by transaction."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import text
from tests.contract.conftest import Caller
from tests.contract.own_servers import OwnServers, missing, own_servers

from flexmeasures.app import create
from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.workers import make_worker
from flexmeasures.testing import Cast, make_cast

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@pytest.fixture(scope="module")
def servers() -> Iterator[OwnServers]:
    """Running servers, with the newest schema."""
    with own_servers() as running:
        app = create("testing", settings=settings_of(running, running.database_uri))
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
        yield running


def settings_of(servers: OwnServers, uri: str, **further: object) -> dict[str, object]:
    """The settings of an application on these servers."""
    return {"SQLALCHEMY_DATABASE_URI": uri, "FLEXMEASURES_REDIS_URL": servers.redis_url, **further}


@pytest.fixture(params=["directly", "pgbouncer"])
def scene(request, servers, tmp_path) -> Iterator[tuple[Flask, Cast]]:
    """The platform with its cast, directly on PostgreSQL or through pgbouncer, set as deploy/pgbouncer says."""
    uri, options = servers.database_uri, {}
    if request.param == "pgbouncer":
        if servers.pooled_uri is None:
            pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
        uri = servers.pooled_uri
        options["SQLALCHEMY_ENGINE_OPTIONS"] = {
            "connect_args": {"prepare_threshold": None},
            "pool_pre_ping": True,
        }
    options["FLEXMEASURES_INSTANCE_PATH"] = str(tmp_path)
    app = create("testing", settings=settings_of(servers, uri, **options))
    with app.app_context():
        names = ", ".join(table.name for table in db.metadata.sorted_tables)
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"truncate {names} restart identity cascade")
        redis_connection(app).flushdb()
        cast = make_cast(db.session)
        db.session.commit()
    yield app, cast
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    redis_connection(app).connection_pool.disconnect()


def test_a_day_is_lived_on_them(scene):
    """Data are posted and read, also large ones; an event orders a schedule, a worker makes it, and it is fetched."""
    app, cast = scene
    owner = Caller(app.test_client(), cast.owner_email, cast.password)
    post = {
        "type": "PostMeterDataRequest",
        "connection": cast.address("building"),
        "values": [0.25] * 4 * 24 * 60,
        "start": "2015-03-01T00:00:00Z",
        "duration": "P60D",
        "unit": "MW",
    }
    assert owner.post("postMeterData", post).status_code == 200
    question = {"type": "GetMeterDataRequest", "connection": cast.address("building"), "unit": "MW"}
    read = owner.get("getMeterData", **question, start="2015-03-01T00:00:00Z", duration="PT1H")
    assert read.json["values"] == [0.25] * 4
    event = {
        "type": "PostUdiEventRequest",
        "event": cast.address("battery", "1:soc"),
        "value": 2.5,
        "unit": "MWh",
        "datetime": datetime(2015, 1, 1, tzinfo=UTC).isoformat(),
    }
    assert owner.post("postUdiEvent", event).status_code == 200
    make_worker(app, ["scheduling"]).work(burst=True)
    plan = owner.get(
        "getDeviceMessage", type="GetDeviceMessageRequest", event=cast.address("battery", "1:soc")
    )
    assert plan.status_code == 200, plan.json
    assert len(plan.json["values"]) > 0


def test_many_clients_share_few_connections(scene, servers):
    """Eight clients post at once, each its own events; all are stored, with few connections to the database."""
    app, cast = scene
    callers = [Caller(app.test_client(), cast.owner_email, cast.password) for _ in range(8)]

    def post(number: int) -> set[int]:
        codes = set()
        for day in range(1, 6):
            message = {
                "type": "PostMeterDataRequest",
                "connection": cast.address("building"),
                "values": [number] * 4,
                "start": f"2015-02-{day:02}T{number:02}:00:00Z",
                "duration": "PT1H",
                "unit": "kW",
            }
            codes.add(callers[number].post("postMeterData", message).status_code)
        return codes

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(post, range(8))) == {200}
    with app.app_context():
        stored = text("select count(*) from belief where sensor_id = :id")
        assert db.session.scalar(stored, {"id": cast.assets["building"]}) == 8 * 5 * 4
