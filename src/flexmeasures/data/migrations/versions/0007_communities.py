"""communities: members, services, supply points, inscriptions, coefficients, settled days

Revision: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

JSONB = postgresql.JSONB(astext_type=sa.Text())
NO_FIELDS = sa.text("'{}'::jsonb")
TABLES = (
    "inscription",
    "distribution_table",
    "community_stale",
    "community_meter",
    "community_generator",
    "community_day",
    "supply_point",
    "community_service",
    "community_invoice",
    "community_member",
    "community",
    "emission_factor",
)


def upgrade() -> None:
    _add_communities()
    _add_services()
    _add_readings_and_tables()
    _add_inscriptions()
    _add_tables_and_inscriptions()


def _add_communities() -> None:
    op.create_table(
        "emission_factor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(length=40), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("grams_per_kwh", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("basis", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name="emission_factor_pkey"),
        sa.UniqueConstraint("zone", "year", name="emission_factor_zone_key"),
    )
    op.create_table(
        "community",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("coordinator", sa.String(length=255), nullable=True),
        sa.Column("profile", sa.String(length=40), nullable=False),
        sa.Column("timezone", sa.String(length=80), nullable=False),
        sa.Column("zone", sa.String(length=40), nullable=False),
        sa.Column(
            "action_kinds", sa.ARRAY(sa.String(length=80)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("image_url", sa.String(length=500), nullable=True),
        sa.Column("landing_photo_url", sa.String(length=500), nullable=True),
        sa.Column("social", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.Column("in_open_data", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("member_goal", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="community_account_id_account_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="community_pkey"),
        sa.UniqueConstraint("account_id", name="community_account_id_key"),
        sa.UniqueConstraint("name", name="community_name_key"),
    )
    op.create_table(
        "community_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("community_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("member_number", sa.String(length=80), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("surnames", sa.String(length=255), nullable=False),
        sa.Column("vat", sa.String(length=40), nullable=True),
        sa.Column("joined_on", sa.Date(), nullable=False),
        sa.Column("left_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["community_id"],
            ["community.id"],
            name="community_member_community_id_community_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["fm_user.id"], name="community_member_user_id_fm_user_fkey", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="community_member_pkey"),
        sa.UniqueConstraint("community_id", "member_number", name="community_member_community_id_key"),
    )
    op.create_index(
        "community_member_user_id_idx", "community_member", ["user_id", "community_id"], unique=True
    )


def _add_services() -> None:
    op.create_table(
        "community_invoice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("community_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("service_type", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("amount_total", sa.Double(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["community_id"],
            ["community.id"],
            name="community_invoice_community_id_community_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["community_member.id"],
            name="community_invoice_member_id_community_member_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="community_invoice_pkey"),
        sa.UniqueConstraint("community_id", "number", name="community_invoice_community_id_key"),
    )
    op.create_index("community_invoice_member_id_idx", "community_invoice", ["member_id"], unique=False)
    op.create_table(
        "community_service",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("community_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("power_kw", sa.Double(), nullable=True),
        sa.Column("cau", sa.String(length=26), nullable=True),
        sa.Column("address", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.Column("has_open_inscriptions", sa.Boolean(), nullable=False),
        sa.Column("inscriptions_url", sa.String(length=500), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("sharing", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.Column("closing", JSONB, nullable=True),
        sa.Column("emission_basis", sa.String(length=20), nullable=False),
        sa.Column("intensity_sensor_id", sa.Integer(), nullable=True),
        sa.Column("tolerance_kwh", sa.Double(), nullable=False),
        sa.Column("prices", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.ForeignKeyConstraint(
            ["community_id"],
            ["community.id"],
            name="community_service_community_id_community_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["intensity_sensor_id"],
            ["sensor.id"],
            name="community_service_intensity_sensor_id_sensor_fkey",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="community_service_pkey"),
        sa.UniqueConstraint("cau", name="community_service_cau_key"),
        sa.UniqueConstraint("community_id", "name", name="community_service_community_id_key"),
    )


def _add_readings_and_tables() -> None:
    op.create_table(
        "supply_point",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("community_id", sa.Integer(), nullable=False),
        sa.Column("cups", sa.String(length=40), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=True),
        sa.Column("consumption_sensor_id", sa.Integer(), nullable=True),
        sa.Column("is_inverted", sa.Boolean(), nullable=False),
        sa.Column("address", JSONB, server_default=NO_FIELDS, nullable=False),
        sa.Column("owner_name", sa.String(length=255), nullable=False),
        sa.Column("owner_surnames", sa.String(length=255), nullable=False),
        sa.Column("owner_vat", sa.String(length=40), nullable=True),
        sa.Column("tariff", sa.String(length=20), nullable=True),
        sa.Column("contracted_kw", sa.Double(), nullable=True),
        sa.Column("is_vulnerable", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name="supply_point_asset_id_asset_fkey", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["community_id"],
            ["community.id"],
            name="supply_point_community_id_community_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consumption_sensor_id"],
            ["sensor.id"],
            name="supply_point_consumption_sensor_id_sensor_fkey",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="supply_point_pkey"),
        sa.UniqueConstraint("community_id", "cups", name="supply_point_community_id_key"),
    )
    op.create_table(
        "community_day",
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("produced", sa.BigInteger(), nullable=False),
        sa.Column("shared", sa.BigInteger(), nullable=False),
        sa.Column("consumed", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("intervals", sa.Integer(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("avoided", sa.Double(), nullable=True),
        sa.Column("avoided_shared", sa.Double(), nullable=True),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.Column("by_point", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="community_day_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_id", "day", name="community_day_pkey"),
    )


def _add_inscriptions() -> None:
    op.create_table(
        "community_generator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("cil", sa.String(length=40), nullable=True),
        sa.Column("technology", sa.String(length=40), nullable=False),
        sa.Column("installed_kw", sa.Double(), nullable=True),
        sa.Column("asset_id", sa.Integer(), nullable=True),
        sa.Column("sensor_id", sa.Integer(), nullable=True),
        sa.Column("is_inverted", sa.Boolean(), nullable=False),
        sa.Column("participation_percent", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name="community_generator_asset_id_asset_fkey", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["sensor_id"],
            ["sensor.id"],
            name="community_generator_sensor_id_sensor_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="community_generator_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="community_generator_pkey"),
    )
    op.create_index("community_generator_service_id_idx", "community_generator", ["service_id"], unique=False)
    op.create_table(
        "community_meter",
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sensor_id"], ["sensor.id"], name="community_meter_sensor_id_sensor_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="community_meter_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sensor_id", "service_id", name="community_meter_pkey"),
    )
    op.create_table(
        "community_stale",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="community_stale_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="community_stale_pkey"),
    )
    op.create_index("community_stale_service_id_idx", "community_stale", ["service_id"], unique=False)
    op.create_table(
        "distribution_table",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("supply_points", sa.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="distribution_table_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="distribution_table_pkey"),
        sa.UniqueConstraint("service_id", "name", name="distribution_table_service_id_key"),
    )
    op.create_index(
        "distribution_table_one_underway_key",
        "distribution_table",
        ["service_id", "state"],
        unique=True,
        postgresql_where=sa.text("state in ('validated', 'process')"),
    )


def _add_tables_and_inscriptions() -> None:
    op.create_table(
        "inscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("supply_point_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("requested_kw", sa.Double(), nullable=True),
        sa.Column("agreed_kw", sa.Double(), nullable=True),
        sa.Column("actual_kw", sa.Double(), nullable=True),
        sa.Column("yearly_kwh", sa.Double(), nullable=True),
        sa.Column("participation_percent", sa.Integer(), nullable=False),
        sa.Column("operator_sensor_id", sa.Integer(), nullable=True),
        sa.Column("mandate", sa.String(length=80), nullable=True),
        sa.Column("has_privacy_consent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["community_member.id"],
            name="inscription_member_id_community_member_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["operator_sensor_id"],
            ["sensor.id"],
            name="inscription_operator_sensor_id_sensor_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["community_service.id"],
            name="inscription_service_id_community_service_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["supply_point_id"],
            ["supply_point.id"],
            name="inscription_supply_point_id_supply_point_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="inscription_pkey"),
        sa.UniqueConstraint("service_id", "supply_point_id", "starts_on", name="inscription_service_id_key"),
    )
    op.create_index("inscription_member_id_idx", "inscription", ["member_id"], unique=False)
    op.create_index("inscription_supply_point_id_idx", "inscription", ["supply_point_id"], unique=False)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
