"""orders of forecasts that wait for the job store, and deletions that leave nothing behind

Revision: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

# A transaction at repeatable read does not see beliefs that others have stored since it began, so it cannot delete
# them: foreign keys have a way around that, triggers have none.
DELETION_RULES = """
create function must_see_all() returns void language plpgsql as $$
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise invalid_transaction_state using message = 'sensors and data sources are deleted at isolation level read'
            ' committed: any other does not see all of their beliefs';
    end if;
end $$;

create or replace function sensor_takes_beliefs() returns trigger language plpgsql set search_path from current as $$
declare
    ids integer[] := array(select id from old_sensors);
begin
    if ids = '{}' then
        return null;
    end if;
    perform must_see_all();
    delete from belief where sensor_id = any(ids);
    return null;
end $$;

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

create function sensor_goes_along() returns trigger language plpgsql set search_path from current as $$
declare
    ids integer[] := array(select id from old_things);
begin
    delete from sensor where id = any(ids);
    return null;
end $$;
create trigger sensor_goes_along after delete on asset
    referencing old table as old_things for each statement execute function sensor_goes_along();
create trigger sensor_goes_along after delete on market
    referencing old table as old_things for each statement execute function sensor_goes_along();
create trigger sensor_goes_along after delete on weather_sensor
    referencing old table as old_things for each statement execute function sensor_goes_along();
"""

FORMER_RULES = """
drop trigger sensor_goes_along on asset;
drop trigger sensor_goes_along on market;
drop trigger sensor_goes_along on weather_sensor;
drop function sensor_goes_along;

create or replace function sensor_takes_beliefs() returns trigger language plpgsql set search_path from current as $$
begin
    delete from belief where sensor_id in (select id from old_sensors);
    return null;
end $$;

create or replace function data_source_keeps_beliefs() returns trigger
language plpgsql set search_path from current as $$
begin
    if exists (select 1 from belief where source_id in (select id from old_sources)) then
        raise foreign_key_violation using message = 'a data source with beliefs cannot be deleted';
    end if;
    return null;
end $$;

drop function must_see_all;
"""

SOURCE_COLUMNS = ["name", "type", "model", "version"]


def upgrade() -> None:
    op.create_table(
        "forecast_order",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("measured_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measured_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("horizons", postgresql.ARRAY(sa.Interval()), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["sensor_id"],
            ["sensor.id"],
            name=op.f("forecast_order_sensor_id_sensor_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("forecast_order_pkey")),
    )
    op.drop_constraint(op.f("data_source_name_key"), "data_source", type_="unique")
    op.create_index(
        op.f("data_source_name_key"),
        "data_source",
        SOURCE_COLUMNS,
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("type <> 'user'"),
    )
    op.execute(DELETION_RULES)


def downgrade() -> None:
    op.execute(FORMER_RULES)
    op.drop_index(op.f("data_source_name_key"), table_name="data_source")
    op.create_unique_constraint(
        op.f("data_source_name_key"),
        "data_source",
        [*SOURCE_COLUMNS, "user_id"],
        postgresql_nulls_not_distinct=True,
    )
    op.drop_table("forecast_order")
