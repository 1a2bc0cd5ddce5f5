"""Organisations have quotas and client certificates of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table; an organisation without a row has what everybody has."""
    op.create_table(
        "organisations",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hashes_per_s", sa.Float, nullable=True),
        sa.Column("pictures_per_s", sa.Float, nullable=True),
        sa.Column("video_mib_per_s", sa.Float, nullable=True),
        sa.Column("certificate", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_organisations")),
    )
