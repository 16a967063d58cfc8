"""coordination: clients, programmes, events, VENs, resources, reports, subscriptions and their deliveries

Revision: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

JSONB = postgresql.JSONB(astext_type=sa.Text())
TABLES = (
    "dr_resource_group_member",
    "dr_resource",
    "dr_usage",
    "dr_location",
    "dr_enrolment",
    "dr_acknowledgement",
    "dr_user",
    "dr_report",
    "dr_event_version",
    "dr_event_target",
    "dr_eligibility_change",
    "dr_delivery",
    "dr_subscription",
    "dr_event",
    "dr_client",
    "dr_area",
    "dr_ven",
    "dr_resource_group",
    "dr_program",
    "dr_notification",
)


def upgrade() -> None:
    _make_roots()
    _make_middle()
    _make_leaves()
    _make_rest()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _make_roots() -> None:
    op.create_table(
        "dr_notification",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("object_type", sa.String(length=20), nullable=False),
        sa.Column("operation", sa.String(length=10), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=True),
        sa.Column("object", JSONB, nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("client_ids", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("granted", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("webhooks_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mqtt_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_notification_pkey")),
    )
    op.create_index(
        "dr_notification_mqtt_idx",
        "dr_notification",
        ["id"],
        unique=False,
        postgresql_where=sa.text("mqtt_at is null"),
    )
    op.create_index(
        "dr_notification_webhooks_idx",
        "dr_notification",
        ["id"],
        unique=False,
        postgresql_where=sa.text("webhooks_at is null"),
    )
    op.create_table(
        "dr_program",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_program_pkey")),
        sa.UniqueConstraint("serial", name=op.f("dr_program_serial_key")),
    )
    op.create_index(
        "dr_program_name_key",
        "dr_program",
        ["environment", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at is null"),
    )
    op.create_table(
        "dr_resource_group",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_resource_group_pkey")),
        sa.UniqueConstraint("environment", "name", name="dr_resource_group_name_key"),
        sa.UniqueConstraint("serial", name=op.f("dr_resource_group_serial_key")),
    )
    op.create_table(
        "dr_ven",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_ven_pkey")),
        sa.UniqueConstraint("environment", "client_id", name="dr_ven_client_id_key"),
        sa.UniqueConstraint("environment", "name", name="dr_ven_name_key"),
        sa.UniqueConstraint("serial", name=op.f("dr_ven_serial_key")),
    )
    op.create_table(
        "dr_area",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("corners", JSONB, nullable=True),
        sa.Column("meter_point_ids", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("price_area", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("timezone", sa.String(length=80), nullable=False),
        sa.Column("daily_at", sa.String(length=5), nullable=True),
        sa.Column("last_daily_for", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["program_id"],
            ["dr_program.id"],
            name=op.f("dr_area_program_id_dr_program_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_area_pkey")),
        sa.UniqueConstraint("environment", "name", name="dr_area_name_key"),
    )
    op.create_index(op.f("dr_area_program_id_idx"), "dr_area", ["program_id"], unique=False)


def _make_middle() -> None:
    op.create_table(
        "dr_client",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=3), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("dr_client_account_id_account_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_client_pkey")),
        sa.UniqueConstraint("client_id", name=op.f("dr_client_client_id_key")),
    )
    op.create_index(op.f("dr_client_account_id_idx"), "dr_client", ["account_id"], unique=False)
    op.create_table(
        "dr_event",
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payload_type", sa.String(length=40), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_id"], ["dr_program.id"], name=op.f("dr_event_program_id_dr_program_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_event_pkey")),
        sa.UniqueConstraint("serial", name=op.f("dr_event_serial_key")),
    )
    op.create_index(
        "dr_event_list_idx",
        "dr_event",
        ["environment", "priority", "serial"],
        unique=False,
        postgresql_where=sa.text("deleted_at is null"),
    )
    op.create_index(op.f("dr_event_program_id_idx"), "dr_event", ["program_id"], unique=False)
    op.create_index("dr_event_targets_idx", "dr_event", ["targets"], unique=False, postgresql_using="gin")
    op.create_table(
        "dr_subscription",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("client_name", sa.String(length=128), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=True),
        sa.Column("face", sa.String(length=10), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("broken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_id"],
            ["dr_program.id"],
            name=op.f("dr_subscription_program_id_dr_program_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_subscription_pkey")),
        sa.UniqueConstraint("serial", name=op.f("dr_subscription_serial_key")),
    )
    op.create_index(
        "dr_subscription_list_idx", "dr_subscription", ["environment", "client_id", "serial"], unique=False
    )
    op.create_index(op.f("dr_subscription_program_id_idx"), "dr_subscription", ["program_id"], unique=False)
    op.create_table(
        "dr_delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["dr_notification.id"],
            name=op.f("dr_delivery_notification_id_dr_notification_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["dr_subscription.id"],
            name=op.f("dr_delivery_subscription_id_dr_subscription_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_delivery_pkey")),
    )
    op.create_index(
        "dr_delivery_due_idx",
        "dr_delivery",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("dr_delivery_notification_id_idx", "dr_delivery", ["notification_id"], unique=False)
    op.create_index(op.f("dr_delivery_subscription_id_idx"), "dr_delivery", ["subscription_id"], unique=False)
    op.create_table(
        "dr_eligibility_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("area_id", sa.Integer(), nullable=False),
        sa.Column("is_eligible", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["area_id"],
            ["dr_area.id"],
            name=op.f("dr_eligibility_change_area_id_dr_area_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["dr_client.id"],
            name=op.f("dr_eligibility_change_client_id_dr_client_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_eligibility_change_pkey")),
    )
    op.create_index(
        op.f("dr_eligibility_change_area_id_idx"), "dr_eligibility_change", ["area_id"], unique=False
    )
    op.create_index(
        "dr_eligibility_change_waiting_idx",
        "dr_eligibility_change",
        ["client_id"],
        unique=False,
        postgresql_where=sa.text("event_id is null"),
    )


def _make_leaves() -> None:
    op.create_table(
        "dr_event_target",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=True),
        sa.Column("location_id", sa.String(length=128), nullable=True),
        sa.Column("resource_id", sa.String(length=128), nullable=True),
        sa.Column("meter_point_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["dr_client.id"],
            name=op.f("dr_event_target_client_id_dr_client_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["dr_event.id"],
            name=op.f("dr_event_target_event_id_dr_event_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_event_target_pkey")),
        sa.UniqueConstraint(
            "event_id",
            "client_id",
            "location_id",
            "resource_id",
            name="dr_event_target_key",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "dr_event_target_client_id_idx", "dr_event_target", ["client_id", "event_id"], unique=False
    )
    op.create_table(
        "dr_event_version",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["dr_event.id"],
            name=op.f("dr_event_version_event_id_dr_event_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "version", name=op.f("dr_event_version_pkey")),
    )
    op.create_table(
        "dr_report",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("client_name", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("partner", JSONB, nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["dr_event.id"], name=op.f("dr_report_event_id_dr_event_fkey")),
        sa.ForeignKeyConstraint(
            ["program_id"], ["dr_program.id"], name=op.f("dr_report_program_id_dr_program_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_report_pkey")),
        sa.UniqueConstraint("serial", name=op.f("dr_report_serial_key")),
    )
    op.create_index(op.f("dr_report_event_id_idx"), "dr_report", ["event_id"], unique=False)
    op.create_index(
        "dr_report_idempotency_key_key",
        "dr_report",
        ["environment", "client_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key is not null"),
    )
    op.create_index("dr_report_list_idx", "dr_report", ["environment", "client_id", "serial"], unique=False)
    op.create_index(op.f("dr_report_program_id_idx"), "dr_report", ["program_id"], unique=False)
    op.create_table(
        "dr_user",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["dr_client.id"], name=op.f("dr_user_client_id_dr_client_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_user_pkey")),
        sa.UniqueConstraint("client_id", "user_id", name="dr_user_user_id_key"),
    )
    op.create_table(
        "dr_acknowledgement",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("report_id", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.String(length=128), nullable=True),
        sa.Column("resource_id", sa.String(length=128), nullable=True),
        sa.Column("meter_point_id", sa.String(length=128), nullable=True),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["dr_client.id"],
            name=op.f("dr_acknowledgement_client_id_dr_client_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["dr_event.id"], name=op.f("dr_acknowledgement_event_id_dr_event_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["dr_report.id"],
            name=op.f("dr_acknowledgement_report_id_dr_report_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_acknowledgement_pkey")),
    )
    op.create_index(
        "dr_acknowledgement_event_id_idx", "dr_acknowledgement", ["event_id", "client_id"], unique=False
    )
    op.create_index(
        op.f("dr_acknowledgement_report_id_idx"), "dr_acknowledgement", ["report_id"], unique=False
    )


def _make_rest() -> None:
    op.create_table(
        "dr_enrolment",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_id"],
            ["dr_program.id"],
            name=op.f("dr_enrolment_program_id_dr_program_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["dr_user.id"], name=op.f("dr_enrolment_user_id_dr_user_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "program_id", name=op.f("dr_enrolment_pkey")),
    )
    op.create_index(op.f("dr_enrolment_program_id_idx"), "dr_enrolment", ["program_id"], unique=False)
    op.create_table(
        "dr_location",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.String(length=128), nullable=False),
        sa.Column("location_type", sa.String(length=128), nullable=False),
        sa.Column("meter_point_ids", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["dr_user.id"], name=op.f("dr_location_user_id_dr_user_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_location_pkey")),
        sa.UniqueConstraint("user_id", "location_id", name="dr_location_location_id_key"),
    )
    op.create_table(
        "dr_usage",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("report_id", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=True),
        sa.Column("location_id", sa.String(length=128), nullable=True),
        sa.Column("resource_id", sa.String(length=128), nullable=True),
        sa.Column("meter_point_id", sa.String(length=128), nullable=True),
        sa.Column("slot_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kilowatt_hours", sa.Numeric(precision=18, scale=6), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["dr_client.id"],
            name=op.f("dr_usage_client_id_dr_client_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["event_id"], ["dr_event.id"], name=op.f("dr_usage_event_id_dr_event_fkey")),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["dr_report.id"],
            name=op.f("dr_usage_report_id_dr_report_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_usage_pkey")),
    )
    op.create_index(op.f("dr_usage_event_id_idx"), "dr_usage", ["event_id"], unique=False)
    op.create_index(op.f("dr_usage_report_id_idx"), "dr_usage", ["report_id"], unique=False)
    op.create_index(
        "dr_usage_slot_idx",
        "dr_usage",
        ["client_id", "event_id", "location_id", "resource_id", "slot_start", "id"],
        unique=False,
    )
    op.create_table(
        "dr_resource",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("ven_id", sa.String(length=128), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("resource_type", sa.String(length=128), nullable=True),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("former", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["dr_location.id"],
            name=op.f("dr_resource_location_id_dr_location_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["dr_user.id"], name=op.f("dr_resource_user_id_dr_user_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ven_id"], ["dr_ven.id"], name=op.f("dr_resource_ven_id_dr_ven_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_resource_pkey")),
        sa.UniqueConstraint("serial", name=op.f("dr_resource_serial_key")),
        sa.UniqueConstraint("ven_id", "name", name="dr_resource_name_key"),
    )
    op.create_index(op.f("dr_resource_client_id_idx"), "dr_resource", ["client_id"], unique=False)
    op.create_index(op.f("dr_resource_location_id_idx"), "dr_resource", ["location_id"], unique=False)
    op.create_index(op.f("dr_resource_user_id_idx"), "dr_resource", ["user_id"], unique=False)
    op.create_table(
        "dr_resource_group_member",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("group_id", sa.String(length=128), nullable=False),
        sa.Column("child_id", sa.String(length=128), nullable=True),
        sa.Column("resource_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["child_id"],
            ["dr_resource_group.id"],
            name=op.f("dr_resource_group_member_child_id_dr_resource_group_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["dr_resource_group.id"],
            name=op.f("dr_resource_group_member_group_id_dr_resource_group_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"],
            ["dr_resource.id"],
            name=op.f("dr_resource_group_member_resource_id_dr_resource_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dr_resource_group_member_pkey")),
        sa.UniqueConstraint(
            "group_id",
            "child_id",
            "resource_id",
            name="dr_resource_group_member_key",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        op.f("dr_resource_group_member_child_id_idx"), "dr_resource_group_member", ["child_id"], unique=False
    )
    op.create_index(
        op.f("dr_resource_group_member_resource_id_idx"),
        "dr_resource_group_member",
        ["resource_id"],
        unique=False,
    )
