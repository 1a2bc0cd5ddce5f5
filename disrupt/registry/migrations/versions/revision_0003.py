"""Marks of changes: a sequence and its mark name a point of one history."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; changes that are there have no mark."""
    op.add_column("changes", sa.Column("mark", sa.LargeBinary))
