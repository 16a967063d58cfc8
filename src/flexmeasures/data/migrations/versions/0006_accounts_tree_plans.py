"""accounts, the tree of assets, probabilities of beliefs, plans

Revision: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

JSONB = postgresql.JSONB(astext_type=sa.Text())
NO_FIELDS = sa.text("'{}'::jsonb")
EMPTY_LIST = sa.text("'[]'::jsonb")
NEXT_NUMBER = sa.text("nextval('sensor_id_seq')")

# Number, name, display name, description; consumes, produces, can be curtailed, can be shifted. The numbers of the
# first eight are known to clients.
BUILT_IN_TYPES = """
    (1, 'solar', 'solar panel', null, false, true, false, false),
    (2, 'wind', 'wind turbine', null, false, true, true, false),
    (3, 'one-way_evse', 'one-way EVSE', null, true, false, false, true),
    (4, 'two-way_evse', 'two-way EVSE', null, true, true, false, true),
    (5, 'battery', 'stationary battery', null, true, true, true, true),
    (6, 'building', 'building', null, true, true, false, true),
    (7, 'process', 'process', 'A process that consumes and can be shifted in time', true, false, false, true),
    (8, 'heat-storage', 'heat storage', 'A store of heat, such as a boiler', true, false, false, true),
    (9, 'market', 'market', 'Where energy or flexibility has a price', false, false, false, false),
    (10, 'weather station', 'weather station', 'Where the weather is measured or forecast',
        false, false, false, false),
    (11, 'transmission zone', 'transmission zone', 'A region of the transmission grid', false, false, false, false),
    (12, 'energy community', 'energy community', 'Connections that share energy', false, false, false, false),
    (13, 'series', 'time series', 'Series that belong to nothing else', false, false, false, false)
"""

# Whoever has types already, has run `add structure`, and gets the further ones now.
TYPES = f"""
update asset_type set id = built_in.id from (values {BUILT_IN_TYPES}) built_in (id, name)
    where asset_type.name = built_in.name;
insert into asset_type (id, name, display_name, description, is_consumer, is_producer, can_curtail, can_shift,
    daily_seasonality, weekly_seasonality, yearly_seasonality)
select id, name,
    case when exists (select from asset_type taken where taken.display_name = built_in.display_name)
        then display_name || ' (built-in)' else display_name end,
    description, consumes, produces, curtails, shifts, consumes, consumes, consumes
from (values {BUILT_IN_TYPES})
    built_in (id, name, display_name, description, consumes, produces, curtails, shifts)
where exists (select from asset_type) and not exists (select from asset_type own where own.name = built_in.name);
"""  # noqa: S608 - the constant above

ACCOUNTS = """
insert into account (name) select username from fm_user order by id;
update fm_user set account_id = account.id from account where account.name = fm_user.username;
"""

# Power was always stored in MW, whatever unit an asset was shown with; now its sensor says so.
#
# Assets keep their numbers, and those of their power sensors. A market becomes an asset with the number of its sensor;
# the weather sensors at one place become one station with the number of the first of them.
PUBLIC_ASSETS = """
update asset set account_id = fm_user.account_id, power_sensor_id = asset.id
    from fm_user where fm_user.id = asset.owner_id;
insert into device_state (asset_id, soc_in_mwh, soc_datetime, soc_udi_event_id)
    select id, soc_in_mwh, soc_datetime, soc_udi_event_id from asset;
update asset set unit = sensor.unit from sensor where sensor.id = asset.id;
update sensor set asset_id = id, unit = 'MW' where id in (select id from asset);

insert into asset (id, name, asset_type_name) select id, name, 'market' from market;
update sensor set asset_id = id where id in (select id from market);

create temporary table station on commit drop as
    select min(id) as id, latitude, longitude, array_agg(id) as sensors from weather_sensor
    group by latitude, longitude;
insert into asset (id, name, asset_type_name, latitude, longitude)
    select id, 'weather station at ' || latitude || ', ' || longitude, 'weather station', latitude, longitude
    from station;
update sensor set asset_id = station.id from station where sensor.id = any(station.sensors);
drop table station;
"""

# Sensors that belong to nothing: those that a flex model names are shared by all; of the others, which may be what a
# user who was deleted has left, only admins learn.
LONE_SENSORS = """
create temporary table lone on commit drop as
    select sensor.id, exists (
        select from (select flex_model from asset union all select flex_model from asset_type) used
        where sensor.id::text in (used.flex_model ->> 'export_market_id', used.flex_model ->> 'co2_sensor_id',
            used.flex_model ->> 'usage_sensor_id')
    ) as is_public from sensor where asset_id is null;
insert into account (name)
    select 'sensors without an asset' where exists (select from lone where not is_public)
    on conflict do nothing;
insert into asset_type (id, name, display_name, is_consumer, is_producer, can_curtail, can_shift,
    daily_seasonality, weekly_seasonality, yearly_seasonality)
    select 13, 'series', 'time series', false, false, false, false, false, false, false
    where exists (select from lone) on conflict do nothing;
insert into asset (id, name, asset_type_name, account_id)
    select id, 'sensor ' || id, 'series',
        case when not is_public then (select id from account where name = 'sensors without an asset') end
    from lone;
update sensor set asset_id = id where asset_id is null;
drop table lone;
"""

REFERENCES = """
insert into sensor_reference (asset_id, field, sensor_id)
select asset.id, 'flex_model.' || field, sensor.id
from asset
cross join unnest(array['export_market_id', 'co2_sensor_id', 'usage_sensor_id']) field
join sensor on sensor.id::text = asset.flex_model ->> field;
"""

# A tree has no loops, and all of it belongs to one account. Looked at when the transaction ends, one transaction after
# the other: two that would make a loop only together cannot both succeed.
TREE_RULES = """
create function asset_tree() returns trigger language plpgsql set search_path from current as $$
begin
    perform pg_advisory_xact_lock(4040000003);
    if exists (
        with recursive above (id) as (
            select parent_id from asset where id = new.id and parent_id is not null
            union
            select asset.parent_id from asset join above on asset.id = above.id where asset.parent_id is not null
        ) select from above where id = new.id
    ) then
        raise check_violation using message = format('asset %s would be a part of itself', new.id),
            constraint = 'asset_parent_id_check';
    end if;
    if exists (
        select from asset child join asset parent on parent.id = child.parent_id
        where (child.id = new.id or parent.id = new.id) and child.account_id is distinct from parent.account_id
    ) then
        raise check_violation using message = format('asset %s and its parent or a part are of two accounts', new.id),
            constraint = 'asset_account_id_check';
    end if;
    return null;
end $$;
create constraint trigger asset_tree_made after insert on asset
    deferrable initially deferred for each row when (new.parent_id is not null) execute function asset_tree();
create constraint trigger asset_tree_changed after update of parent_id, account_id on asset
    deferrable initially deferred for each row
    when (new.parent_id is distinct from old.parent_id or new.account_id is distinct from old.account_id)
    execute function asset_tree();
"""

# Triggers stand on other tables than belief itself, which may be distributed: each statement about it names sensors.
# The sensors of an asset go by their foreign key; a market goes with the asset that it is.
BELIEF_RULES = """
drop trigger belief_has_parents on belief;
drop function belief_has_parents();

create or replace function data_source_keeps_beliefs() returns trigger
language plpgsql set search_path from current as $$
declare
    ids integer[] := array(select id from old_sources);
    sensor_ids integer[];
begin
    if ids = '{}' then
        return null;
    end if;
    perform must_see_all();
    sensor_ids := array(select id from sensor);
    if exists (select 1 from belief where sensor_id = any(sensor_ids) and source_id = any(ids)) then
        raise foreign_key_violation using message = 'a data source with beliefs cannot be deleted';
    end if;
    return null;
end $$;

drop trigger sensor_goes_along on asset;
drop trigger sensor_goes_along on market;
create function asset_goes_along() returns trigger language plpgsql set search_path from current as $$
declare
    ids integer[] := array(select id from old_things);
begin
    delete from asset where id = any(ids);
    return null;
end $$;
create trigger asset_goes_along after delete on market
    referencing old table as old_things for each statement execute function asset_goes_along();
"""

FORMER_BELIEF_RULES = """
create function belief_has_parents() returns trigger language plpgsql set search_path from current as $$
declare
    pair record;
begin
    for pair in select distinct sensor_id, source_id from new_beliefs loop
        perform 1 from sensor where id = pair.sensor_id for key share;
        if found then
            perform 1 from data_source where id = pair.source_id for key share;
        end if;
        if not found then
            raise foreign_key_violation using message = 'a belief needs an existing sensor and source';
        end if;
    end loop;
    return null;
end $$;
create trigger belief_has_parents after insert on belief
    referencing new table as new_beliefs for each statement execute function belief_has_parents();

create or replace function data_source_keeps_beliefs() returns trigger
language plpgsql set search_path from current as $$
declare
    ids integer[] := array(select id from old_sources);
begin
    if ids = '{}' then
        return null;
    end if;
    perform must_see_all();
    if exists (select 1 from belief where source_id = any(ids)) then
        raise foreign_key_violation using message = 'a data source with beliefs cannot be deleted';
    end if;
    return null;
end $$;

drop trigger asset_goes_along on market;
drop function asset_goes_along();
create trigger sensor_goes_along after delete on asset
    referencing old table as old_things for each statement execute function sensor_goes_along();
create trigger sensor_goes_along after delete on market
    referencing old table as old_things for each statement execute function sensor_goes_along();
"""

# What the older version cannot show goes; data of sensors stay.
BACK_TO_OLD_ASSETS = """
delete from asset where owner_id is null or power_sensor_id is distinct from id or capacity_in_mw is null
    or latitude is null or longitude is null;
update asset set soc_in_mwh = state.soc_in_mwh, soc_datetime = state.soc_datetime,
    soc_udi_event_id = state.soc_udi_event_id from device_state state where state.asset_id = asset.id;
update sensor set unit = asset.unit from asset where asset.power_sensor_id = sensor.id and asset.unit is not null;
update asset set name = left(name, 68) || ' ' || id
    where exists (select from asset other where other.name = asset.name and other.id < asset.id);
update asset set display_name = name
    where display_name is null and not exists (select from asset other where other.display_name = asset.name);
update asset set display_name = left(name, 68) || ' ' || id where display_name is null;
delete from asset_type where id between 7 and 13 and not exists (
    select from asset where asset_type_name = asset_type.name);
delete from belief where sensor_id = any(array(select id from sensor)) and cumulative_probability <> 0.5;
"""


def upgrade() -> None:
    _make_accounts()
    _extend_assets()
    _make_new_tables()
    op.execute(TYPES)
    op.execute(PUBLIC_ASSETS)
    op.execute(LONE_SENSORS)
    op.execute(REFERENCES)
    # What is checked at the end of a transaction is checked now: tables with checks waiting cannot be altered.
    op.execute("set constraints all immediate")
    for column in ("soc_in_mwh", "soc_datetime", "soc_udi_event_id"):
        op.drop_column("asset", column)
    op.alter_column("sensor", "asset_id", nullable=False)
    op.execute(TREE_RULES)
    op.execute(BELIEF_RULES)
    op.execute("set constraints all deferred")
    op.add_column(
        "belief",
        sa.Column("cumulative_probability", sa.Double(), server_default=sa.text("0.5"), nullable=False),
    )
    _change_key(
        ["sensor_id", "event_start", "belief_horizon", "source_id", "cumulative_probability"],
    )


def _change_key(columns: list[str]) -> None:
    op.drop_constraint("belief_pkey", "belief", type_="primary")
    op.create_primary_key("belief_pkey", "belief", columns)


def _make_accounts() -> None:
    op.create_table(
        "account_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("account_role_pkey")),
        sa.UniqueConstraint("name", name=op.f("account_role_name_key")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("consultancy_account_id", sa.Integer(), nullable=True),
        sa.Column("primary_color", sa.String(length=7), nullable=True),
        sa.Column("secondary_color", sa.String(length=7), nullable=True),
        sa.Column("logo_url", sa.String(length=255), nullable=True),
        sa.Column("attributes", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.ForeignKeyConstraint(
            ["consultancy_account_id"],
            ["account.id"],
            name=op.f("account_consultancy_account_id_account_fkey"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("name", name=op.f("account_name_key")),
    )
    op.create_index(op.f("account_consultancy_account_id_idx"), "account", ["consultancy_account_id"])
    op.create_table(
        "account_roles_accounts",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("account_role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("account_roles_accounts_account_id_account_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_role_id"],
            ["account_role.id"],
            name=op.f("account_roles_accounts_account_role_id_account_role_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "account_role_id", name=op.f("account_roles_accounts_pkey")),
    )
    op.add_column("fm_user", sa.Column("account_id", sa.Integer(), nullable=True))
    op.add_column("fm_user", sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(ACCOUNTS)
    op.alter_column("fm_user", "account_id", nullable=False)
    op.create_foreign_key(
        op.f("fm_user_account_id_account_fkey"), "fm_user", "account", ["account_id"], ["id"]
    )
    op.create_index(op.f("fm_user_account_id_idx"), "fm_user", ["account_id"])


def _extend_assets() -> None:
    op.add_column("asset_type", sa.Column("id", sa.Integer(), sa.Identity(start=101), nullable=False))
    op.add_column("asset_type", sa.Column("description", sa.String(length=255), nullable=True))
    op.create_unique_constraint(op.f("asset_type_id_key"), "asset_type", ["id"])

    op.drop_constraint("asset_id_sensor_fkey", "asset", type_="foreignkey")
    op.drop_constraint("asset_name_key", "asset", type_="unique")
    op.drop_constraint("asset_market_id_market_fkey", "asset", type_="foreignkey")
    for name, kind in (
        ("account_id", sa.Integer()),
        ("parent_id", sa.Integer()),
        ("description", sa.Text()),
        ("power_sensor_id", sa.Integer()),
        ("unit", sa.String(length=80)),
        ("flex_context", JSONB),
        ("sensors_to_show", JSONB),
        ("sensors_to_show_as_kpis", JSONB),
        ("external_id", sa.String(length=255)),
    ):
        op.add_column("asset", sa.Column(name, kind, nullable=True))
    op.add_column("asset", sa.Column("attributes", JSONB, server_default=NO_FIELDS, nullable=False))
    for name in ("display_name", "capacity_in_mw", "latitude", "longitude", "owner_id"):
        op.alter_column("asset", name, nullable=True)
    op.alter_column("asset", "id", server_default=NEXT_NUMBER)
    op.add_column("sensor", sa.Column("asset_id", sa.Integer(), nullable=True))
    op.add_column("sensor", sa.Column("attributes", JSONB, server_default=NO_FIELDS, nullable=False))

    _link("asset", "account_id", "account")
    _link("asset", "parent_id", "asset", ondelete="CASCADE")
    _link("sensor", "asset_id", "asset", ondelete="CASCADE", deferrable=True, initially="DEFERRED")
    _link("asset", "power_sensor_id", "sensor", deferrable=True, initially="DEFERRED")
    _link("asset", "market_id", "market", deferrable=True, initially="DEFERRED")
    for table in ("market", "weather_sensor"):
        op.drop_constraint(f"{table}_id_sensor_fkey", table, type_="foreignkey")
        _link(table, "id", "sensor", ondelete="CASCADE")
    op.create_index(op.f("asset_parent_id_idx"), "asset", ["parent_id"])
    op.create_unique_constraint(op.f("asset_power_sensor_id_key"), "asset", ["power_sensor_id"])
    op.create_unique_constraint(op.f("sensor_asset_id_key"), "sensor", ["asset_id", "name"])
    op.create_index(
        "asset_account_id_key",
        "asset",
        ["account_id", "parent_id", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "asset_external_id_key",
        "asset",
        ["account_id", "external_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("external_id is not null"),
    )


def _link(table: str, column: str, other: str, **options: object) -> None:
    op.create_foreign_key(op.f(f"{table}_{column}_{other}_fkey"), table, other, [column], ["id"], **options)


def _make_new_tables() -> None:
    op.create_table(
        "device_state",
        sa.Column("asset_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("soc_in_mwh", sa.Double(), nullable=True),
        sa.Column("soc_datetime", sa.DateTime(timezone=True), nullable=True),
        sa.Column("soc_udi_event_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("device_state_pkey")),
    )
    _link("device_state", "asset_id", "asset", ondelete="CASCADE")
    op.create_table(
        "sensor_reference",
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=120), nullable=False),
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "field", "sensor_id", name=op.f("sensor_reference_pkey")),
    )
    _link("sensor_reference", "asset_id", "asset", ondelete="CASCADE")
    _link("sensor_reference", "sensor_id", "sensor", deferrable=True, initially="DEFERRED")
    op.create_index(op.f("sensor_reference_sensor_id_idx"), "sensor_reference", ["sensor_id"])
    _make_plans()
    _make_notes()


def _make_plans() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("udi_event_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolution", sa.Interval(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("gap", sa.Double(), nullable=False),
        sa.Column("currency", sa.String(length=80), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("baseline", sa.String(length=40), nullable=False),
        sa.Column("baseline_cost", sa.Double(), nullable=False),
        sa.Column("co2_kg", sa.Double(), nullable=True),
        sa.Column("baseline_co2_kg", sa.Double(), nullable=True),
        sa.Column("shifted_mwh", sa.Double(), nullable=False),
        sa.Column("shifted_mwh_h", sa.Double(), nullable=False),
        sa.Column("curtailed_mwh", sa.Double(), nullable=False),
        sa.Column("added_mwh", sa.Double(), nullable=False),
        sa.Column("notes", JSONB, server_default=EMPTY_LIST, nullable=False),
        sa.Column("explanation", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("plan_pkey")),
    )
    _link("plan", "asset_id", "asset", ondelete="CASCADE")
    _link("plan", "source_id", "data_source")
    op.create_index("plan_asset_id_idx", "plan", ["asset_id", "recorded_at"])
    op.create_index(
        "plan_udi_event_id_idx",
        "plan",
        ["asset_id", "udi_event_id"],
        postgresql_where=sa.text("udi_event_id is not null"),
    )
    op.create_table(
        "plan_device",
        sa.Column("plan_id", sa.UUID(), nullable=False),
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("power_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("soc_mwh", postgresql.ARRAY(sa.Double()), nullable=True),
        sa.Column("targets", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.Column("missed", JSONB, server_default=EMPTY_LIST, nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "sensor_id", name=op.f("plan_device_pkey")),
    )
    _link("plan_device", "plan_id", "plan", ondelete="CASCADE")
    _link("plan_device", "sensor_id", "sensor", ondelete="CASCADE")
    op.create_index(op.f("plan_device_sensor_id_idx"), "plan_device", ["sensor_id"])


def _make_notes() -> None:
    op.create_table(
        "annotation",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("content", sa.String(length=1024), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("belief_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("asset_id", sa.Integer(), nullable=True),
        sa.Column("sensor_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(account_id, asset_id, sensor_id) = 1", name="annotation_subject_check"
        ),
        sa.CheckConstraint('"end" > start', name="annotation_end_check"),
        sa.CheckConstraint(
            "type in ('alert', 'holiday', 'label', 'feedback', 'warning', 'error')",
            name="annotation_type_check",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("annotation_pkey")),
    )
    _link("annotation", "source_id", "data_source")
    for subject in ("account", "asset", "sensor"):
        _link("annotation", f"{subject}_id", subject, ondelete="CASCADE")
        op.create_index(f"annotation_{subject}_id_idx", "annotation", [f"{subject}_id", "start"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("event_datetime", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=500), nullable=False),
        sa.Column("active_user_id", sa.Integer(), nullable=True),
        sa.Column("active_user_name", sa.String(length=255), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("asset_id", sa.Integer(), nullable=True),
        sa.Column("sensor_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_log_pkey")),
    )
    for subject in ("account", "asset", "user"):
        op.create_index(f"audit_log_{subject}_id_idx", "audit_log", [f"{subject}_id", "event_datetime"])


def downgrade() -> None:
    op.execute("set constraints all immediate")
    for trigger in ("asset_tree_made", "asset_tree_changed"):
        op.execute(f"drop trigger {trigger} on asset")
    op.execute("drop function asset_tree()")
    for table in ("audit_log", "annotation", "plan_device", "plan", "sensor_reference"):
        op.drop_table(table)
    # Assets go, their sensors stay.
    op.drop_constraint("sensor_asset_id_asset_fkey", "sensor", type_="foreignkey")
    op.drop_constraint("asset_power_sensor_id_sensor_fkey", "asset", type_="foreignkey")
    op.drop_constraint("asset_market_id_market_fkey", "asset", type_="foreignkey")
    op.drop_constraint("asset_parent_id_asset_fkey", "asset", type_="foreignkey")
    op.drop_index("asset_account_id_key", table_name="asset")
    op.drop_index("asset_external_id_key", table_name="asset")
    for name, kind in (
        ("soc_in_mwh", sa.Double()),
        ("soc_datetime", sa.DateTime(timezone=True)),
        ("soc_udi_event_id", sa.BigInteger()),
    ):
        op.add_column("asset", sa.Column(name, kind, nullable=True))
    op.execute(BACK_TO_OLD_ASSETS)
    op.drop_table("device_state")
    _shrink_assets()
    _change_key_back()
    op.execute(FORMER_BELIEF_RULES)


def _change_key_back() -> None:
    _change_key(["sensor_id", "event_start", "belief_horizon", "source_id"])
    op.drop_column("belief", "cumulative_probability")


def _shrink_assets() -> None:
    op.alter_column("asset", "id", server_default=None)
    for name in (
        "account_id",
        "parent_id",
        "description",
        "power_sensor_id",
        "unit",
        "attributes",
        "flex_context",
        "sensors_to_show",
        "sensors_to_show_as_kpis",
        "external_id",
    ):
        op.drop_column("asset", name)
    for name in ("display_name", "capacity_in_mw", "latitude", "longitude", "owner_id"):
        op.alter_column("asset", name, nullable=False)
    op.create_unique_constraint(op.f("asset_name_key"), "asset", ["name"])
    for table in ("market", "weather_sensor"):
        op.drop_constraint(f"{table}_id_sensor_fkey", table, type_="foreignkey")
        _link(table, "id", "sensor")
    _link("asset", "market_id", "market")
    _link("asset", "id", "sensor")
    op.drop_column("sensor", "asset_id")
    op.drop_column("sensor", "attributes")
    op.drop_constraint("asset_type_id_key", "asset_type", type_="unique")
    op.drop_column("asset_type", "id")
    op.drop_column("asset_type", "description")
    op.drop_index(op.f("fm_user_account_id_idx"), table_name="fm_user")
    op.drop_column("fm_user", "account_id")
    op.drop_column("fm_user", "last_seen_at")
    op.drop_table("account_roles_accounts")
    op.drop_table("account")
    op.drop_table("account_role")
