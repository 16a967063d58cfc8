"""sessions that have ended, and permissions of roles

Revision: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("role", sa.Column("permissions", sa.UnicodeText(), nullable=True))
    op.create_table(
        "ended_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kept_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ended_session_pkey")),
    )
    op.create_index(op.f("ended_session_kept_until_idx"), "ended_session", ["kept_until"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ended_session_kept_until_idx"), table_name="ended_session")
    op.drop_table("ended_session")
    op.drop_column("role", "permissions")
