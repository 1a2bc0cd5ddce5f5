"""Outcomes of matches, as platforms report them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table, which is empty: nothing was reported before."""
    op.create_table(
        "outcomes",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("reporter", sa.String, nullable=False),
        sa.Column("match_digest", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.Column("reported_on", sa.String(10), nullable=False),
        sa.Column("earlier", sa.Integer),
        sa.PrimaryKeyConstraint("item", "reporter", "match_digest", name=op.f("pk_outcomes")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_outcomes_item")),
        sqlite_with_rowid=False,
    )
