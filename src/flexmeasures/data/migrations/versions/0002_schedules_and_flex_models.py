"""schedules and flex models

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

# The documented types, as `add structure` makes them.
FLEX_MODELS = """
update asset_type set flex_model = case name
    when 'battery' then '{"kind": "storage"}'::jsonb
    when 'one-way_evse' then '{"kind": "evse", "max_production_mw": 0}'::jsonb
    else '{"kind": "evse"}'::jsonb
end
where name in ('battery', 'one-way_evse', 'two-way_evse')
"""


def upgrade() -> None:
    for table in ("asset_type", "asset"):
        op.add_column(table, sa.Column("flex_model", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.execute(FLEX_MODELS)
    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("udi_event_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolution", sa.Interval(), nullable=False),
        sa.Column("power_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("soc_mwh", postgresql.ARRAY(sa.Double()), nullable=True),
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
        sa.Column("missed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("notes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("explanation", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("schedule_asset_id_asset_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["data_source.id"], name=op.f("schedule_source_id_data_source_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_pkey")),
    )
    op.create_index(op.f("schedule_asset_id_idx"), "schedule", ["asset_id", "recorded_at", "id"])


def downgrade() -> None:
    op.drop_index(op.f("schedule_asset_id_idx"), table_name="schedule")
    op.drop_table("schedule")
    for table in ("asset", "asset_type"):
        op.drop_column(table, "flex_model")
