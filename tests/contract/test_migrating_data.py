"""The migration to accounts, a tree of assets and probabilities of beliefs, on a filled database, value by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import flask_migrate
import pytest
from sqlalchemy import text

from flexmeasures.app import create
from flexmeasures.data.database import HEAD, db

pytestmark = pytest.mark.faults

BEFORE, AFTER = "0005", HEAD
ASSETS, MARKETS, STATIONS = 100, 3, 10
BELIEFS = 20_000
"""In the whole database; the benchmark of migrations fills it with two million."""

FILL = """
insert into fm_user (id, email, username, password, active, fs_uniquifier, timezone, login_count)
    select n, 'user' || n || '@seita.nl', 'user ' || n, '-', true, 'u' || n, 'Europe/Amsterdam', n
    from generate_series(1, 20) n;
insert into role (id, name) values (1, 'Prosumer'), (2, 'admin');
insert into roles_users (user_id, role_id) select id, 1 + (id % 2) from fm_user;
insert into data_source (id, name, type, user_id) select id, username, 'user', id from fm_user;
insert into data_source (id, name, type, model, version) values (21, 'FlexMeasures', 'forecaster', 'naive', '1'),
    (22, 'FlexMeasures', 'scheduler', 'storage', '1');
insert into asset_type (name, display_name, is_consumer, is_producer, can_curtail, can_shift, daily_seasonality,
        weekly_seasonality, yearly_seasonality)
    values ('battery', 'stationary battery', true, true, true, true, true, true, true),
        ('solar', 'solar panel', false, true, false, false, true, false, true),
        ('wind', 'wind turbine', false, true, true, false, true, false, true),
        ('one-way_evse', 'one-way EVSE', true, false, false, true, true, true, true),
        ('two-way_evse', 'two-way EVSE', true, true, false, true, true, true, true),
        ('building', 'building', true, true, false, true, true, true, true),
        ('kiln', 'weather station', true, false, false, true, true, true, true);
insert into market_type (name, display_name, daily_seasonality, weekly_seasonality, yearly_seasonality)
    values ('day_ahead', 'day-ahead market', true, true, true);
insert into weather_sensor_type (name, display_name) values ('temperature', 'ambient temperature'),
    ('wind_speed', 'wind speed');
insert into sensor (id, name, unit, event_resolution, timezone, knowledge_horizon_fnc, knowledge_horizon_par)
    select n, 'thing ' || n, case when n <= :markets then 'EUR/MWh' when n % 2 = 0 then 'kW' else 'MW' end,
        case when n % 3 = 0 then interval '1 hour' else interval '15 minutes' end, 'Europe/Amsterdam',
        case when n <= :markets then 'x_days_ago_at_y_oclock' else 'ex_post' end,
        case when n <= :markets then '{"x": 1, "y": 12, "z": "Europe/Paris"}'::jsonb else '{}' end
    from generate_series(1, :markets + :assets + :stations + 2) n;
insert into market (id, name, display_name, market_type_name)
    select n, 'market_' || n, 'Market ' || n, 'day_ahead' from generate_series(1, :markets) n;
insert into asset (id, name, display_name, asset_type_name, capacity_in_mw, min_soc_in_mwh, max_soc_in_mwh,
        soc_in_mwh, soc_datetime, soc_udi_event_id, latitude, longitude, owner_id, market_id, flex_model)
    select n, 'thing ' || n, 'Thing ' || n,
        case n % 3 when 0 then 'battery' when 1 then 'solar' else 'kiln' end,
        n / 7.0, n / 100.0, n / 10.0, case when n % 2 = 0 then n / 50.0 end,
        case when n % 2 = 0 then timestamptz '2021-03-28T01:15Z' end, case when n % 2 = 0 then n * 3000000000 end,
        52 + n / 1000.0, 5 - n / 1000.0, 1 + n % 20, 1 + n % :markets,
        case when n % 10 = 0 then jsonb_build_object('kind', 'storage', 'co2_sensor_id', :markets + :assets + 1)
            when n % 11 = 0 then jsonb_build_object('kind', 'storage', 'co2_sensor_id', :lone) end
    from generate_series(:markets + 1, :markets + :assets) n;
insert into weather_sensor (id, name, display_name, weather_sensor_type_name, latitude, longitude)
    select :markets + :assets + n, 'weather ' || n, 'Weather ' || n,
        case n % 2 when 0 then 'temperature' else 'wind_speed' end, 50 + n / 2, 5.5
    from generate_series(1, :stations) n;
select setval('sensor_id_seq', :markets + :assets + :stations + 2);
select setval('fm_user_id_seq', 20), setval('data_source_id_seq', 22);
insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)
    select 1 + n % (:markets + :assets + :stations + 2), timestamptz '2020-01-01Z' + n * interval '15 minutes',
        (n % 5) * interval '1 hour' - interval '10 minutes', 1 + n % 22, sin(n)
    from generate_series(1, :beliefs) n;
insert into schedule (asset_id, source_id, udi_event_id, recorded_at, start, resolution, power_mw, soc_mwh, targets,
        outcome, gap, currency, cost, baseline, baseline_cost, shifted_mwh, shifted_mwh_h, curtailed_mwh, added_mwh,
        missed, notes, explanation)
    select id, 22, id, timestamptz '2021-01-01Z', timestamptz '2021-01-01Z', interval '15 minutes',
        array[1.0, 0.5, id], array[0, 1, 2, id], '{"2021-01-01T01:00:00Z": 2}', 'optimal', 0, 'EUR', id / 3.0,
        'forecast', id, 1, 2, 3, 4, '[]', '["a note"]', '{"marginal_price": [1, 2, 3]}'
    from asset;
insert into flexibility_order (asset_id, placed_at, regulation, start, resolution, agreed_mw, planned_mw,
        effect_start, effect_mw, volume_mwh, currency, cost, market_price, deviation_price, shifted_mwh,
        shifted_mwh_h, curtailed_mwh, added_mwh, owner_share, fee_per_activation, fee_per_hour, owner_bears_losses)
    select id, timestamptz '2021-01-01Z', 'up', timestamptz '2021-01-02Z', interval '15 minutes', array[1.0],
        array[2.0], timestamptz '2021-01-02Z', array[-1.0, 1.0], 0.25, 'EUR', 1, 2, 3, 4, 5, 6, 7, 0.5, 1, 2, false
    from asset;
"""


@pytest.fixture
def database(shared_app):
    """An application on a database of its own with the schema of before, and nothing in it."""
    with shared_app.app_context():
        uri = db.engine.url
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("drop database if exists filled with (force)"))
            connection.execute(text("create database filled"))
    address = uri.set(database="filled").render_as_string(hide_password=False)
    settings = {"FLEXMEASURES_INSTANCE_PATH": shared_app.instance_path, "SQLALCHEMY_DATABASE_URI": address}
    made = create("testing", settings=settings)
    with made.app_context():
        flask_migrate.upgrade(revision=BEFORE)
        yield made
        db.session.remove()
        db.engine.dispose()


def fill(beliefs: int = BELIEFS) -> None:
    """Fill the database, with two sensors that belong to nothing, of which flex models name one."""
    numbers = {"markets": MARKETS, "assets": ASSETS, "stations": STATIONS, "beliefs": beliefs}
    numbers["lone"] = MARKETS + ASSETS + STATIONS + 1
    with db.engine.begin() as connection:
        for statement in FILL.split(";\n"):
            if statement.strip():
                connection.execute(
                    text(statement), {k: v for k, v in numbers.items() if f":{k}" in statement}
                )


def rows(query: str) -> list[tuple[Any, ...]]:
    """Run a query."""
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Read all rows of all tables of the schema of before."""
    tables = [
        name
        for (name,) in rows("select tablename from pg_tables where schemaname = 'public' order by 1")
        if name != "alembic_version"
    ]
    return {name: rows(f"select * from {name} order by {name}::text") for name in tables}


def columns_of(table: str) -> list[str]:
    """List the columns of a table."""
    query = (
        "select column_name from information_schema.columns where table_name = '{}' order by ordinal_position"
    )
    return [name for (name,) in rows(query.format(table))]


def test_each_value_survives_up_and_down(database):
    """Going up keeps every value where the new rows say, and going down gives every row as it was."""
    fill()
    before = everything()
    columns = {table: columns_of(table) for table in before}
    assert len(before["belief"]) == BELIEFS
    flask_migrate.upgrade(revision=AFTER)
    moved = {"soc_in_mwh", "soc_datetime", "soc_udi_event_id"}
    for table, old_rows in before.items():
        if table == "schedule":  # which are plans now
            continue
        kept = [name for name in columns[table] if (table, name) not in {("asset", m) for m in moved}]
        expected = [
            tuple(value for name, value in zip(columns[table], row, strict=True) if name in kept)
            for row in old_rows
        ]
        listed = ", ".join(kept)
        wanted = {"asset": " where owner_id is not null", "asset_type": " where id >= 101 or id <= 6"}
        found = rows(f"select {listed} from {table}{wanted.get(table, '')}")
        if table == "sensor":
            unit = kept.index("unit")
            own = {row[0] for row in before["asset"]}
            expected = [(*r[:unit], "MW" if r[0] in own else r[unit], *r[unit + 1 :]) for r in expected]
        assert sorted(map(str, found)) == sorted(map(str, expected)), table
    check_new_rows(dict(zip(columns["asset"], zip(*before["asset"], strict=True), strict=True)))
    flask_migrate.downgrade(revision=BEFORE)
    after = everything()
    assert after.keys() == before.keys()
    for table in before:
        names = columns_of(table)
        assert set(names) == set(columns[table])
        order = [names.index(name) for name in columns[table]]
        again = sorted(str(tuple(row[n] for n in order)) for row in after[table])
        assert again == sorted(map(str, before[table])), table


def check_new_rows(old: dict[str, tuple[Any, ...]]) -> None:
    """Compare what the migration makes with what it made it of."""
    assert rows(
        "select count(*) from fm_user join account on account.id = account_id and name = username"
    ) == [(20,)]
    assert rows(
        "select count(*) from asset join fm_user on fm_user.id = owner_id"
        " where asset.account_id = fm_user.account_id and power_sensor_id = asset.id"
    ) == [(ASSETS,)]
    states = rows("select asset_id, soc_in_mwh, soc_datetime, soc_udi_event_id from device_state order by 1")
    names = ("id", "soc_in_mwh", "soc_datetime", "soc_udi_event_id")
    assert states == sorted(zip(*(old[name] for name in names), strict=True), key=lambda row: row[0])
    assert rows(
        "select count(*) from asset join market on market.id = asset.id"
        " where asset.name = market.name and account_id is null and asset_type_name = 'market'"
    ) == [(MARKETS,)]
    # Two sensors at a place, but for the first and the last one.
    stations = rows("select latitude, id from asset where asset_type_name = 'weather station' order by 1")
    first = MARKETS + ASSETS + 1
    assert stations == [(50.0 + n, first + max(0, 2 * n - 1)) for n in range(STATIONS // 2 + 1)]
    assert rows(
        "select count(*) from weather_sensor w join sensor s on s.id = w.id join asset a on a.id = s.asset_id"
        " where a.latitude = w.latitude and a.longitude = w.longitude"
    ) == [(STATIONS,)]
    lone = MARKETS + ASSETS + STATIONS + 1
    assert rows(
        "select asset.id, account.name from asset left join account on account.id = account_id"
        " where asset_type_name = 'series' order by 1"
    ) == [(lone, None), (lone + 1, "sensors without an asset")]
    assert rows("select count(*) from sensor where asset_id is null") == [(0,)]
    assert rows("select distinct cumulative_probability from belief") == [(0.5,)]
    named = [
        (number, "flex_model.co2_sensor_id", model["co2_sensor_id"])
        for number, model in zip(old["id"], old["flex_model"], strict=True)
        if model
    ]
    assert rows("select asset_id, field, sensor_id from sensor_reference order by 1") == sorted(named)
    check_plans()
    assert rows("select display_name from asset_type where name = 'weather station'") == [
        ("weather station (built-in)",)
    ]
    with db.engine.begin() as connection:
        connection.execute(text("insert into asset (name, asset_type_name) values ('new', 'building')"))
        found = connection.scalar(text("select id from asset where name = 'new'"))
        assert found == lone + 2
        connection.execute(text("delete from asset where name = 'new'"))


def check_plans() -> None:
    """Compare plans with the schedules of `FILL`, of which each asset has one."""
    first = MARKETS + 1
    planned = rows(
        "select asset_id, sensor_id, udi_event_id, power_mw, soc_mwh, targets, plan_device.missed, source_id,"
        ' recorded_at, start, "end" - start, resolution, cost, baseline, notes, explanation, net_mw, plan.missed'
        " from plan join plan_device on plan_id = plan.id order by number"
    )
    day, quarter = datetime(2021, 1, 1, tzinfo=UTC), timedelta(minutes=15)
    assert planned == [
        (
            *(number, number, number, [1.0, 0.5, number], [0.0, 1.0, 2.0, number]),
            *({"2021-01-01T01:00:00Z": 2}, [], 22, day, day, 3 * quarter, quarter, number / 3.0),
            *("forecast", ["a note"], {"marginal_price": [1, 2, 3]}, None, []),
        )
        for number in range(first, first + ASSETS)
    ]
    assert rows("select count(distinct number), min(number) from plan") == [(ASSETS, 1)]
    assert rows("select nextval(pg_get_serial_sequence('plan', 'number'))") == [(ASSETS + 1,)]


def test_the_plan_of_a_site_becomes_schedules_of_its_devices(database):
    """Going down, each device of a plan gets a schedule, and numbers go on after the highest one."""
    fill(1000)
    flask_migrate.upgrade(revision=AFTER)
    first = MARKETS + 1
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "insert into plan_device (plan_id, sensor_id, udi_event_id, power_mw, targets, missed)"
                " select id, :other, 77, array[9, 9, 9], '{}', '[]' from plan where asset_id = :first"
            ),
            {"first": first, "other": first + 1},
        )
    flask_migrate.downgrade(revision=BEFORE)
    found = rows(
        f"select id, udi_event_id, power_mw, cost from schedule where asset_id = {first + 1} order by id"
    )
    assert found == [
        (2, first + 1, [1.0, 0.5, first + 1], pytest.approx((first + 1) / 3)),
        (ASSETS + 1, 77, [9.0, 9.0, 9.0], pytest.approx(first / 3)),
    ]


def test_what_only_the_newer_version_knows_goes_with_it(database):
    """Going down takes quantiles and parts of assets along, names twice given become different, medians stay."""
    fill(1000)
    flask_migrate.upgrade(revision=AFTER)
    with db.engine.begin() as connection:
        for statement in (
            """insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value,
                cumulative_probability) select sensor_id, event_start, belief_horizon, source_id, 7, 0.9
                from belief where sensor_id = 5""",
            """insert into asset (name, asset_type_name, parent_id, account_id)
                select 'part', 'battery', id, account_id from asset where id = 5""",
            "update asset set name = 'same', parent_id = null where id in (5, 6)",
        ):
            connection.execute(text(statement))
    flask_migrate.downgrade(revision=BEFORE)
    assert rows("select count(*) from belief") == [(1000,)]
    assert rows("select id, name from asset where name like 'same%' order by 1") == [
        (5, "same"),
        (6, "same 6"),
    ]
    assert rows("select count(*) from asset") == [(ASSETS,)]
