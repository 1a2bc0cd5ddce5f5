"""Items wait by rules, and registrations are compared with harmless pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, which are empty; what was reported before counts against no item."""
    op.add_column("outcomes", sa.Column("counts", sa.Boolean, nullable=False, server_default="0"))
    op.create_table(
        "waits",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("reason", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("since_h", sa.Integer, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("item", "reason", name=op.f("pk_waits")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_waits_item")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "negatives",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("added_on", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_negatives")),
        sqlite_with_rowid=False,
    )
