"""Items have states: LIVE, but for those that have a row here."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table; items that are there are LIVE."""
    op.create_table(
        "states",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("changed_on", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_states")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_states_item")),
        sa.ForeignKeyConstraint(
            ["sequence"], ["changes.sequence"], name=op.f("fk_states_sequence")
        ),
    )
