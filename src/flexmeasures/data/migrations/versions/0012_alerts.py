"""alerts about measurements, and links that open a page to the public

Revision: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind in ('gap', 'idle', 'leak', 'outlier', 'threshold')", name="alert_kind_check"
        ),
        sa.CheckConstraint("ended_at >= started_at", name="alert_ended_at_check"),
        sa.ForeignKeyConstraint(
            ["sensor_id"], ["sensor.id"], name="alert_sensor_id_sensor_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"],
            ["fm_user.id"],
            name="alert_acknowledged_by_fm_user_fkey",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="alert_pkey"),
    )
    op.create_index("alert_sensor_id_idx", "alert", ["sensor_id", "started_at"])
    op.create_index(
        "alert_waiting_idx", "alert", ["found_at"], postgresql_where=sa.text("acknowledged_at is null")
    )
    op.create_table(
        "shared_link",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind in ('calendar', 'chart', 'page')", name="shared_link_kind_check"),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name="shared_link_asset_id_asset_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["fm_user.id"], name="shared_link_created_by_fm_user_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="shared_link_pkey"),
        sa.UniqueConstraint("token_hash", name="shared_link_token_hash_key"),
    )
    op.create_index("shared_link_asset_id_idx", "shared_link", ["asset_id"])


def downgrade() -> None:
    op.drop_table("shared_link")
    op.drop_table("alert")
