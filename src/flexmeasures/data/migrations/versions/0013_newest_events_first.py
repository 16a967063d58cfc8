"""an index in the order in which events are listed

Revision: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_NAME = "dr_event_list_idx"


def upgrade() -> None:
    _replace("serial desc")


def downgrade() -> None:
    _replace("serial")


def _replace(last: str) -> None:
    op.drop_index(_NAME, table_name="dr_event")
    op.create_index(
        _NAME,
        "dr_event",
        ["environment", "priority", sa.text(last)],
        unique=False,
        postgresql_where=sa.text("deleted_at is null"),
    )
