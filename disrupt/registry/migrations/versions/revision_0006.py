"""Digests of requests do not say anything of PINs: those from before, which do, are cleared.

A request from before is then refused when it is sent again, as one of which items were withdrawn.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Clear digests, and places, which only the answers to their requests were made of."""
    op.execute("UPDATE requests SET digest = NULL, sequence = NULL WHERE digest IS NOT NULL")
    op.execute("DELETE FROM places")
