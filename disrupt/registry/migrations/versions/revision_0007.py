"""Keys belong to organisations, may expire, and have a day of last use."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns. A key from before is of the organisation that it is named after."""
    for name, kind in (
        ("organisation", sa.String()),
        ("expires_on", sa.String(10)),
        ("used_on", sa.String(10)),
    ):
        op.add_column("keys", sa.Column(name, kind, nullable=False, server_default=""))
    op.execute("UPDATE keys SET organisation = name")
