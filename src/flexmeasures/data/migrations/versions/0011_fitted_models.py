"""fitted models of forecasts

Revision: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "fitted_model",
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("belief_horizon", sa.Interval(), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("known_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measurements", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.Double(), nullable=True),
        sa.Column("highest", sa.Double(), nullable=True),
        sa.Column("learned", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sensor_id"], ["sensor.id"], name="fitted_model_sensor_id_sensor_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sensor_id", "belief_horizon", "model", name="fitted_model_pkey"),
    )


def downgrade() -> None:
    op.drop_table("fitted_model")
