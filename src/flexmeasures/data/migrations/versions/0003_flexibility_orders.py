"""flexibility orders, and the targets of schedules

Revision: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "schedule",
        sa.Column(
            "targets",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_table(
        "flexibility_order",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("regulation", sa.String(length=4), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolution", sa.Interval(), nullable=False),
        sa.Column("agreed_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("planned_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("effect_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effect_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("volume_mwh", sa.Double(), nullable=False),
        sa.Column("currency", sa.String(length=80), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("market_price", sa.Double(), nullable=False),
        sa.Column("deviation_price", sa.Double(), nullable=False),
        sa.Column("shifted_mwh", sa.Double(), nullable=False),
        sa.Column("shifted_mwh_h", sa.Double(), nullable=False),
        sa.Column("curtailed_mwh", sa.Double(), nullable=False),
        sa.Column("added_mwh", sa.Double(), nullable=False),
        sa.Column("co2_kg", sa.Double(), nullable=True),
        sa.Column("owner_share", sa.Double(), nullable=False),
        sa.Column("fee_per_activation", sa.Double(), nullable=False),
        sa.Column("fee_per_hour", sa.Double(), nullable=False),
        sa.Column("owner_bears_losses", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("flexibility_order_asset_id_asset_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("flexibility_order_pkey")),
    )
    op.create_index(
        op.f("flexibility_order_asset_id_idx"),
        "flexibility_order",
        ["asset_id", "start"],
        unique=True,
        postgresql_where=sa.text("revoked_at is null"),
    )


def downgrade() -> None:
    op.drop_index(op.f("flexibility_order_asset_id_idx"), table_name="flexibility_order")
    op.drop_table("flexibility_order")
    op.drop_column("schedule", "targets")
