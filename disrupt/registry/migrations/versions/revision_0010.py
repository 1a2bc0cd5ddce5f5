"""Acts of staff and operators; why an item has its state, its day, and the bank that it left."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the log of acts, and add columns that are NULL for what is there.

    The day of an item from before is that of its case: to write it would rewrite all fingerprints.
    """
    op.create_table(
        "acts",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_acts")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _make_append_only()
    op.add_column("items", sa.Column("registered_on", sa.String(10)))
    op.add_column("states", sa.Column("reason", sa.Integer()))
    op.add_column("changes", sa.Column("bank", sa.Integer()))


def _make_append_only() -> None:
    # REPLACE deletes a row without the trigger of DELETE.
    is_not_next = " WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM acts)"
    for name, change, condition in (
        ("update", "UPDATE", ""),
        ("delete", "DELETE", ""),
        ("replace", "INSERT", is_not_next),
    ):
        op.execute(
            f"CREATE TRIGGER acts_no_{name} BEFORE {change} ON acts{condition}"
            " BEGIN SELECT RAISE(ABORT, 'acts are append-only'); END"
        )
