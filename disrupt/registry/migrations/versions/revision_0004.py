"""A case has each picture once: what identifies its items, and answers that name earlier ones."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; items and requests that are there have no rows in them."""
    op.create_table(
        "identities",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("case_id", _NUMBER, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_identities")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_identities_item")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_identities_case_id")),
    )
    op.create_index(op.f("ix_identities_case_id"), "identities", ["case_id", "identity"])
    op.create_table(
        "places",
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "place", name=op.f("pk_places")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.request_id"], name=op.f("fk_places_request_id")
        ),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_places_item")),
    )
    op.create_index(op.f("ix_places_item"), "places", ["item"])
