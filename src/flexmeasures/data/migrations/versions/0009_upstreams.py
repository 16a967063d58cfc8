"""signals of the grid, and the upstreams that send them

Revision: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "grid_signal",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("legal_basis", sa.String(length=80), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("grid_signal_asset_id_asset_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("grid_signal_pkey")),
    )
    op.create_index("grid_signal_asset_id_idx", "grid_signal", ["asset_id", "starts_at"], unique=False)
    op.create_index(op.f("grid_signal_source_idx"), "grid_signal", ["source"], unique=False)
    op.create_table(
        "upstream",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("token_address", sa.Text(), nullable=True),
        sa.Column("credentials", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.String(length=255), nullable=True),
        sa.Column("receiver", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("market_id", sa.Integer(), nullable=True),
        sa.Column("is_binding", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("silence", sa.Interval(), nullable=False),
        sa.Column("safe_limit_mw", sa.Double(), nullable=True),
        sa.Column("safe_for", sa.Interval(), nullable=False),
        sa.Column("legal_basis", sa.String(length=80), nullable=True),
        sa.Column("poll_every", sa.Interval(), nullable=False),
        sa.Column("listens", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "watch",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["market_id"], ["market.id"], name=op.f("upstream_market_id_market_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("upstream_pkey")),
        sa.UniqueConstraint("name", name=op.f("upstream_name_key")),
        sa.UniqueConstraint("receiver", name=op.f("upstream_receiver_key")),
    )
    op.create_index(op.f("upstream_due_at_idx"), "upstream", ["due_at"], unique=False)
    op.create_table(
        "upstream_event",
        sa.Column("upstream_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["upstream_id"],
            ["upstream.id"],
            name=op.f("upstream_event_upstream_id_upstream_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upstream_id", "event_id", name=op.f("upstream_event_pkey")),
    )
    op.create_table(
        "upstream_report",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("upstream_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("remote_id", sa.String(length=128), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["upstream_id"],
            ["upstream.id"],
            name=op.f("upstream_report_upstream_id_upstream_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("upstream_report_pkey")),
        sa.UniqueConstraint("upstream_id", "event_id", "kind", name="upstream_report_event_id_key"),
    )
    op.create_index(
        "upstream_report_due_idx",
        "upstream_report",
        ["upstream_id"],
        unique=False,
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_table(
        "upstream_target",
        sa.Column("upstream_id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("resource_name", sa.String(length=128), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=True),
        sa.Column("location_id", sa.String(length=128), nullable=True),
        sa.Column("meter_point_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("upstream_target_asset_id_asset_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["upstream_id"],
            ["upstream.id"],
            name=op.f("upstream_target_upstream_id_upstream_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upstream_id", "asset_id", name=op.f("upstream_target_pkey")),
        sa.UniqueConstraint("upstream_id", "resource_name", name="upstream_target_resource_name_key"),
    )
    op.create_index(op.f("upstream_target_asset_id_idx"), "upstream_target", ["asset_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("upstream_target_asset_id_idx"), table_name="upstream_target")
    op.drop_table("upstream_target")
    op.drop_index(
        "upstream_report_due_idx",
        table_name="upstream_report",
        postgresql_where=sa.text("due_at is not null"),
    )
    op.drop_table("upstream_report")
    op.drop_table("upstream_event")
    op.drop_index(op.f("upstream_due_at_idx"), table_name="upstream")
    op.drop_table("upstream")
    op.drop_index(op.f("grid_signal_source_idx"), table_name="grid_signal")
    op.drop_index("grid_signal_asset_id_idx", table_name="grid_signal")
    op.drop_table("grid_signal")
