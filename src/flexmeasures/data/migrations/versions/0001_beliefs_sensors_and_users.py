"""beliefs, sensors and users

Revision: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


# What foreign keys would promise, a statement at a time instead of row by row.
BELIEF_RULES = """
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

create function sensor_takes_beliefs() returns trigger language plpgsql set search_path from current as $$
begin
    delete from belief where sensor_id in (select id from old_sensors);
    return null;
end $$;
create trigger sensor_takes_beliefs after delete on sensor
    referencing old table as old_sensors for each statement execute function sensor_takes_beliefs();

create function data_source_keeps_beliefs() returns trigger language plpgsql set search_path from current as $$
begin
    if exists (select 1 from belief where source_id in (select id from old_sources)) then
        raise foreign_key_violation using message = 'a data source with beliefs cannot be deleted';
    end if;
    return null;
end $$;
create trigger data_source_keeps_beliefs after delete on data_source
    referencing old table as old_sources for each statement execute function data_source_keeps_beliefs();
"""


def upgrade() -> None:
    op.create_table(
        "asset_type",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.Column("hover_label", sa.String(length=120), nullable=True),
        sa.Column("is_consumer", sa.Boolean(), nullable=False),
        sa.Column("is_producer", sa.Boolean(), nullable=False),
        sa.Column("can_curtail", sa.Boolean(), nullable=False),
        sa.Column("can_shift", sa.Boolean(), nullable=False),
        sa.Column("daily_seasonality", sa.Boolean(), nullable=False),
        sa.Column("weekly_seasonality", sa.Boolean(), nullable=False),
        sa.Column("yearly_seasonality", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("asset_type_pkey")),
        sa.UniqueConstraint("display_name", name=op.f("asset_type_display_name_key")),
    )
    op.create_table(
        "fm_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("timezone", sa.String(length=255), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("login_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("fm_user_pkey")),
        sa.UniqueConstraint("email", name=op.f("fm_user_email_key")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("fm_user_fs_uniquifier_key")),
        sa.UniqueConstraint("username", name=op.f("fm_user_username_key")),
    )
    op.create_table(
        "latest_task_run",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("datetime", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("latest_task_run_pkey")),
    )
    op.create_table(
        "market_type",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.Column("daily_seasonality", sa.Boolean(), nullable=False),
        sa.Column("weekly_seasonality", sa.Boolean(), nullable=False),
        sa.Column("yearly_seasonality", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("market_type_pkey")),
        sa.UniqueConstraint("display_name", name=op.f("market_type_display_name_key")),
    )
    op.create_table(
        "role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("role_pkey")),
        sa.UniqueConstraint("name", name=op.f("role_name_key")),
    )
    op.create_table(
        "sensor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("unit", sa.String(length=80), nullable=False),
        sa.Column("event_resolution", sa.Interval(), nullable=False),
        sa.Column("timezone", sa.String(length=80), nullable=False),
        sa.Column("knowledge_horizon_fnc", sa.String(length=80), nullable=False),
        sa.Column("knowledge_horizon_par", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("sensor_pkey")),
    )
    op.create_table(
        "weather_sensor_type",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("weather_sensor_type_pkey")),
        sa.UniqueConstraint("display_name", name=op.f("weather_sensor_type_display_name_key")),
    )
    op.create_table(
        "data_source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=True),
        sa.Column("version", sa.String(length=40), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["fm_user.id"], name=op.f("data_source_user_id_fm_user_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("data_source_pkey")),
        sa.UniqueConstraint(
            "name",
            "type",
            "model",
            "version",
            "user_id",
            name=op.f("data_source_name_key"),
            postgresql_nulls_not_distinct=True,
        ),
        sa.UniqueConstraint("user_id", name=op.f("data_source_user_id_key")),
    )
    op.create_table(
        "market",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.Column("market_type_name", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["sensor.id"], name=op.f("market_id_sensor_fkey")),
        sa.ForeignKeyConstraint(
            ["market_type_name"], ["market_type.name"], name=op.f("market_market_type_name_market_type_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("market_pkey")),
        sa.UniqueConstraint("display_name", name=op.f("market_display_name_key")),
        sa.UniqueConstraint("name", name=op.f("market_name_key")),
    )
    op.create_table(
        "roles_users",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name=op.f("roles_users_role_id_role_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["fm_user.id"], name=op.f("roles_users_user_id_fm_user_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("roles_users_pkey")),
    )
    op.create_table(
        "weather_sensor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("display_name", sa.String(length=120), nullable=False),
        sa.Column("weather_sensor_type_name", sa.String(length=80), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["sensor.id"], name=op.f("weather_sensor_id_sensor_fkey")),
        sa.ForeignKeyConstraint(
            ["weather_sensor_type_name"],
            ["weather_sensor_type.name"],
            name=op.f("weather_sensor_weather_sensor_type_name_weather_sensor_type_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("weather_sensor_pkey")),
        sa.UniqueConstraint("name", name=op.f("weather_sensor_name_key")),
        sa.UniqueConstraint(
            "weather_sensor_type_name",
            "latitude",
            "longitude",
            name=op.f("weather_sensor_weather_sensor_type_name_key"),
        ),
    )
    op.create_table(
        "asset",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.Column("asset_type_name", sa.String(length=80), nullable=False),
        sa.Column("capacity_in_mw", sa.Double(), nullable=False),
        sa.Column("min_soc_in_mwh", sa.Double(), nullable=True),
        sa.Column("max_soc_in_mwh", sa.Double(), nullable=True),
        sa.Column("soc_in_mwh", sa.Double(), nullable=True),
        sa.Column("soc_datetime", sa.DateTime(timezone=True), nullable=True),
        sa.Column("soc_udi_event_id", sa.BigInteger(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("market_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_type_name"], ["asset_type.name"], name=op.f("asset_asset_type_name_asset_type_fkey")
        ),
        sa.ForeignKeyConstraint(["id"], ["sensor.id"], name=op.f("asset_id_sensor_fkey")),
        sa.ForeignKeyConstraint(["market_id"], ["market.id"], name=op.f("asset_market_id_market_fkey")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["fm_user.id"], name=op.f("asset_owner_id_fm_user_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("asset_pkey")),
        sa.UniqueConstraint("display_name", name=op.f("asset_display_name_key")),
        sa.UniqueConstraint("name", name=op.f("asset_name_key")),
    )
    op.create_index(op.f("asset_owner_id_idx"), "asset", ["owner_id"], unique=False)
    op.create_table(
        "belief",
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("event_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("belief_horizon", sa.Interval(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("event_value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sensor_id", "event_start", "belief_horizon", "source_id", name=op.f("belief_pkey")
        ),
    )

    op.execute(BELIEF_RULES)


def downgrade() -> None:
    op.drop_table("belief")
    op.execute("drop trigger sensor_takes_beliefs on sensor")
    op.execute("drop trigger data_source_keeps_beliefs on data_source")
    for function in ("belief_has_parents", "sensor_takes_beliefs", "data_source_keeps_beliefs"):
        op.execute(f"drop function {function}")
    op.drop_index(op.f("asset_owner_id_idx"), table_name="asset")
    op.drop_table("asset")
    op.drop_table("weather_sensor")
    op.drop_table("roles_users")
    op.drop_table("market")
    op.drop_table("data_source")
    op.drop_table("weather_sensor_type")
    op.drop_table("sensor")
    op.drop_table("role")
    op.drop_table("market_type")
    op.drop_table("latest_task_run")
    op.drop_table("fm_user")
    op.drop_table("asset_type")
