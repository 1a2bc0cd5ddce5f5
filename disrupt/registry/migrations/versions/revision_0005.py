"""Check value of the pepper: another server's secrets beside a registry are noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; the next writer fills it."""
    op.add_column("registry", sa.Column("pepper_check", sa.LargeBinary))
