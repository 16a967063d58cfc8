"""Stores that are away, busy or full: honest answers while it lasts, good ones afterwards, and nothing half-stored."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.engine import make_url
from tests.contract.conftest import Caller

from flexmeasures.data.database import HEAD, db

pytestmark = pytest.mark.faults

START = datetime(2015, 1, 5, tzinfo=UTC)
DOORS = ["/api/v2_0/getConnection", "/api/v2_0/assets", "/api/dev/sensor/1/", "/"]


def meter_data(cast, *names, start=START, **fields):
    """A message with a quarter-hour of power of some assets."""
    return {
        "type": "PostMeterDataRequest",
        "connections": [cast.address(name) for name in names],
        "values": [0.5],
        "start": start.isoformat(),
        "duration": "PT15M",
        "horizon": "PT0H",
        "unit": "MW",
    } | fields


def event(cast):
    """A UDI event of the battery."""
    return {
        "type": "PostUdiEventRequest",
        "event": cast.address("battery", "1:soc"),
        "value": 2.5,
        "unit": "MWh",
        "datetime": "2015-01-01T00:00:00Z",
    }


@pytest.fixture
def operator(app):
    """The operator of the database server, who looks in from another database."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql", database="template1")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


@pytest.fixture
def set_database(app, operator):
    """Set something of the database, in force for all connections at once; everything is undone in the end."""
    name = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database

    def change(command):
        operator.execute(f'alter database "{name}" {command}')
        operator.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,)
        )

    yield change
    change("with allow_connections true")
    change("reset all")


def assert_unavailable(answer):
    """The answer says that it is not the client's fault, and when to come again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "sqlalchemy" not in answer.text.lower()
    assert "psycopg" not in answer.text.lower()


@pytest.mark.parametrize("path", DOORS)
def test_a_good_token_is_not_refused_while_the_database_is_away(owner, set_database, path):
    """A token that cannot be looked up is neither right nor wrong: 503, and it is good again afterwards."""
    before = owner.client.get(path, headers=owner.headers).status_code
    set_database("with allow_connections false")
    assert_unavailable(owner.client.get(path, headers=owner.headers))
    set_database("with allow_connections true")
    assert owner.client.get(path, headers=owner.headers).status_code == before != 401


def test_a_wrong_token_is_still_refused(client, cast):
    """Who is wrong learns so when the database can tell."""
    answer = client.get(
        "/api/v2_0/assets", headers={"Authorization": "wrong", "Content-Type": "application/json"}
    )
    assert answer.status_code == 401


def test_a_token_is_asked_for_while_the_database_is_away(client, cast, set_database):
    """Logging in needs the database; a right password is not called wrong."""
    set_database("with allow_connections false")
    login = {"email": cast.owner_email, "password": cast.password}
    assert_unavailable(client.post("/api/requestAuthToken", json=login))


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("set default_transaction_read_only = on", id="read-only"),
        pytest.param("set lock_timeout = '50ms'", id="lock timeout"),
        pytest.param("set statement_timeout = '150ms'", id="statement timeout"),
    ],
)
def test_a_database_that_cannot_write_now_is_unavailable(
    owner, cast, operator, app, set_database, stored, setting
):
    """A database that takes too long or is read-only is a fault of ours that passes; nothing is half-stored."""
    set_database(setting)
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as other:
        if "timeout" in setting:
            other.execute("lock table belief in share mode")
        assert_unavailable(owner.post("postMeterData", meter_data(cast, "building")))
    set_database("reset all")
    assert stored("building") == {}
    assert owner.post("postMeterData", meter_data(cast, "building")).status_code == 200


def fail_inserts(code, times):
    """Let the server raise an error for the next so many inserts of beliefs, wherever they come from."""
    for command in (
        "create sequence fault_count",
        f"""create function fail() returns trigger language plpgsql as $$ begin
            if nextval('fault_count') <= {times} then raise exception using errcode = '{code}'; end if;
            return null; end $$""",
        "create trigger fail before insert on belief for each statement execute function fail()",
    ):
        db.session.execute(text(command))
    db.session.commit()


@pytest.fixture
def fail(app, cast):
    """Errors of the server itself, by code; undone in the end."""
    with app.app_context():
        yield fail_inserts
        db.session.rollback()
        db.session.execute(text("drop function fail cascade"))
        db.session.execute(text("drop sequence fault_count"))
        db.session.commit()


@pytest.mark.parametrize("size", [1, 2000], ids=["few", "many"])
@pytest.mark.parametrize("code", ["53100", "53200", "57014", "58030"])
def test_resources_that_run_out_are_no_bug(owner, cast, fail, stored, code, size):
    """A full disk, too little memory, a cancelled statement or an error of the disk is 503, whoever raised it."""
    fail(code, 1)  # neither is tried a second time: that would not help
    message = meter_data(cast, "building", values=[0.5] * size, duration=f"PT{15 * size}M")
    assert_unavailable(owner.post("postMeterData", message))
    assert stored("building") == {}
    assert owner.post("postMeterData", message).status_code == 200


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_transaction_in_the_way_is_waited_out(owner, cast, fail, stored, code):
    """A deadlock or a failed serialization is tried again, and the client learns nothing of it."""
    fail(code, 3)
    assert owner.post("postMeterData", meter_data(cast, "building")).status_code == 200
    assert list(stored("building")) == [START]


def test_transactions_always_in_the_way_end_as_unavailable(owner, cast, fail):
    """After some attempts the client is told to come again."""
    fail("40P01", 1000)
    assert_unavailable(owner.post("postMeterData", meter_data(cast, "building")))


def test_posts_in_opposite_order_do_not_meet(app, cast, stored):
    """Posts of the same events, with their connections in opposite order, wait for each other; none fails."""
    callers = [Caller(app.test_client(), cast.owner_email, cast.password) for _ in range(2)]
    orders = [("building", "two_way", "battery"), ("battery", "two_way", "building")]

    def post(n):
        codes = set()
        for day in range(15):
            start = START + timedelta(days=day)
            message = meter_data(cast, *orders[n], start=start, values=[0.5] * 96, duration="PT24H")
            codes.add(callers[n].post("postMeterData", message).status_code)
        return codes

    with ThreadPoolExecutor(2) as pool:
        codes = set().union(*pool.map(post, range(2)))
    assert codes <= {200, 400}
    assert {len(stored(name)) for name in orders[0]} == {15 * 96}


def test_an_asset_deleted_while_its_data_arrive(app, admin, owner, cast, operator):
    """Data of an asset that is deleted meanwhile are refused by name."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("delete from asset where id = %s", (cast.assets["building"],))
        answer = pool.submit(owner.post, "postMeterData", meter_data(cast, "building"))
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and pid <> pg_backend_pid()"
        )
        while operator.execute(waiting).fetchone() == (0,):
            assert not answer.done()
        other.commit()
        refused = answer.result()
    assert (refused.status_code, refused.json["status"]) == (400, "UNRECOGNIZED_CONNECTION_GROUP")
    assert "deleted meanwhile" in refused.json["message"]


@pytest.mark.parametrize(
    ("service", "unit", "key", "status"),
    [
        ("postMeterData", "MW", "connections", "UNRECOGNIZED_CONNECTION_GROUP"),
        ("postPriceData", "EUR/MWh", "markets", "UNRECOGNIZED_MARKET"),
    ],
)
def test_more_names_than_a_statement_has_parameters(owner, cast, service, unit, key, status):
    """70,000 names in one request are looked up like one."""
    local = (lambda n: str(10_000 + n)) if key == "connections" else (lambda n: f"market_{n}")
    names = [f"ea1.2021-01.io.flexmeasures:{local(n)}" for n in range(70_000)]
    message = {**meter_data(cast), "type": f"P{service[1:]}Request", "unit": unit, key: names}
    if key != "connections":
        del message["connections"]
    answer = owner.post(service, message)
    assert (answer.status_code, answer.json["status"]) == (400, status)


def test_more_sources_than_a_statement_has_parameters(owner, cast):
    """70,000 roles in one question are looked up like one."""
    question = {
        "type": "GetMeterDataRequest",
        "connection": cast.address("building"),
        "source": [f"role{n}" for n in range(70_000)],
        "start": START.isoformat(),
        "duration": "PT15M",
        "unit": "MW",
    }
    answer = owner.post("getMeterData", question, version="v1")
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_SOURCE")


def test_readiness_tells_which_store_is_away(app, client, cast, set_database, monkeypatch):
    """The server is alive by itself, and ready when both stores answer."""
    assert client.get("/api/ops/ready").json == {
        "message": "ready",
        "status": 200,
        "database": "ok",
        "job_store": "ok",
    }
    set_database("with allow_connections false")
    away = client.get("/api/ops/ready")
    assert_unavailable(away)
    assert (away.json["database"], away.json["job_store"]) == ("away", "ok")
    assert client.get("/api/ops/ping").json == {"message": "ok", "status": 200}
    set_database("with allow_connections true")
    monkeypatch.setitem(app.extensions, "redis", redis.Redis(port=1))
    away = client.get("/api/ops/ready")
    assert_unavailable(away)
    assert (away.json["database"], away.json["job_store"]) == ("ok", "away")


def test_an_old_schema_is_not_ready(app, client, cast):
    """A database that was not upgraded cannot serve this version."""
    with app.app_context():
        db.session.execute(text("update alembic_version set version_num = '0001'"))
        db.session.commit()
    answer = client.get("/api/ops/ready")
    with app.app_context():
        db.session.execute(text("update alembic_version set version_num = :head"), {"head": HEAD})
        db.session.commit()
    assert (answer.status_code, answer.json["database"]) == (503, "away")


@pytest.mark.parametrize(
    "store", [redis.Redis(port=1), redis.Redis("10.255.255.1", socket_connect_timeout=0.1)]
)
def test_an_event_without_the_job_store_is_not_half_taken(app, owner, cast, monkeypatch, store):
    """A UDI event whose schedule cannot be ordered is not stored: it may be sent again with the same number."""
    monkeypatch.setitem(app.extensions, "redis", store)
    assert_unavailable(owner.post("postUdiEvent", event(cast)))
    monkeypatch.undo()
    assert owner.post("postUdiEvent", event(cast)).status_code == 200


def test_a_stranger_does_not_lock_a_device(app, owner, stranger, cast):
    """While somebody else holds the row of a device, a stranger is refused at once instead of queueing for it."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select 1 from asset where id = %s for update", (cast.assets["battery"],))
        answer = pool.submit(stranger.post, "postUdiEvent", event(cast)).result(timeout=10)
    assert answer.json["status"] == "UNRECOGNIZED_CONNECTION_GROUP"
