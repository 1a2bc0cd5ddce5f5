"""Banks say whether registrations wait, who sees them, and which share of them is answered."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns. What is there goes live at once, is seen by all, and answered whole."""
    for name, kind, default in (
        ("waiting", sa.Integer(), "0"),
        ("visible_to", sa.JSON(), "[]"),
        ("share_percent", sa.Integer(), "100"),
    ):
        op.add_column("banks", sa.Column(name, kind, nullable=False, server_default=default))
