"""Banks are of items alone: a case no longer has one.

Every item has carried the bank of its case since the first schema, so no item changes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_KEPT = "id, number, pin_hash, status, opened_on, closed_on"


def upgrade() -> None:
    """Make the table of cases again without its bank.

    SQLite drops no column that a constraint names. Foreign keys are checked at the end of the
    transaction: by then each item has its case again.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TABLE cases_before AS SELECT {_KEPT} FROM cases")  # noqa: S608 constant
    op.drop_table("cases")
    op.create_table(
        "cases",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("pin_hash", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("opened_on", sa.String(10), nullable=False),
        sa.Column("closed_on", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("number", name=op.f("uq_cases_number")),
    )
    op.execute(f"INSERT INTO cases ({_KEPT}) SELECT {_KEPT} FROM cases_before")  # noqa: S608
    op.drop_table("cases_before")
