"""Erasures of cases whose PIN is lost, and the states that their items had before."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, which are empty: no erasure was requested before."""
    op.create_table(
        "case_erasures",
        sa.Column("case_id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at_s", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
        sa.Column("confirmed_at_s", sa.BigInteger()),
        sa.Column("due_at_s", sa.BigInteger()),
        sa.Column("erased_on", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_erasures")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_erasures_case_id")),
    )
    op.create_table(
        "case_erasure_items",
        sa.Column("item", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Integer()),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_case_erasure_items")),
        sa.ForeignKeyConstraint(
            ["item"], ["items.number"], name=op.f("fk_case_erasure_items_item")
        ),
    )
