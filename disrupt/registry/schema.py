"""The registry's tables.

A change here needs a revision in ``migrations/versions``; a test compares the two.
"""

from enum import IntEnum

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    event,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite numbers rows only in columns of exactly the type INTEGER, which has 64 bits there.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_DAY = String(10)


class ChangeKind(IntEnum):
    """Kind of a row of ``changes``."""

    ADDITION = 1
    REMOVAL = 2
    STATE = 3


# The pepper's check value tells whether the secrets beside the registry are those that it is used
# with. NULL until a writer opens the registry beside them.
registry = Table(
    "registry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", LargeBinary, nullable=False),
    Column("pepper_check", LargeBinary),
    CheckConstraint("id = 1", name="one_row"),
)

banks = Table(
    "banks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False, unique=True),
    Column("max_distance_bits", Integer, nullable=False),
    Column("waiting", Integer, nullable=False, server_default="0"),
    Column("visible_to", JSON, nullable=False, server_default="[]"),
    Column("share_percent", Integer, nullable=False, server_default="100"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("key_id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("rights", JSON, nullable=False),
    Column("banks", JSON, nullable=False),
    Column("created_on", _DAY, nullable=False),
    Column("revoked_on", _DAY, nullable=False),
    Column("organisation", String, nullable=False, server_default=""),
    Column("expires_on", _DAY, nullable=False, server_default=""),
    Column("used_on", _DAY, nullable=False, server_default=""),
)

# What is an organisation's own of quotas (NULL: everybody's; Infinity: no limit) and certificates.
# One without a row has what everybody has.
organisations = Table(
    "organisations",
    metadata,
    Column("name", String, primary_key=True),
    Column("hashes_per_s", Float),
    Column("pictures_per_s", Float),
    Column("video_mib_per_s", Float),
    Column("certificate", String, nullable=False),
)

# A withdrawn case keeps its number, PIN hash and days. Its items have the banks, which show an age.
cases = Table(
    "cases",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("number", String, nullable=False, unique=True),
    Column("pin_hash", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("opened_on", _DAY, nullable=False),
    Column("closed_on", _DAY, nullable=False),
)

# All but the id is NULL once something that the request registered was withdrawn: the digest is
# made from hashes. The id stays, so that a late retry does not register again.
requests = Table(
    "requests",
    metadata,
    Column("request_id", LargeBinary, primary_key=True),
    Column("digest", LargeBinary),
    Column("sequence", _NUMBER),
    CheckConstraint("(digest IS NULL) = (sequence IS NULL)", name="withdrawn"),
)

# An erased item keeps number, item_id and bank, so that its addition can be delivered as a removal.
# ``registered_on`` is NULL in erased items and in those from before there was such a column.
items = Table(
    "items",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("item_id", LargeBinary, nullable=False, unique=True),
    Column("bank", ForeignKey(banks.c.number), nullable=False),
    Column("case_id", ForeignKey(cases.c.id), index=True),
    Column(
        "request_id",
        # A request is stored after its items, since it names the sequence of the last one.
        ForeignKey(requests.c.request_id, deferrable=True, initially="DEFERRED"),
        index=True,
    ),
    Column("kind", Integer),
    Column("assurance", Integer),
    Column("hashes", Integer),
    Column("fingerprints", LargeBinary),
    Column("registered_on", _DAY),
    CheckConstraint(
        "(case_id IS NULL) = (fingerprints IS NULL) AND (kind IS NULL) = (fingerprints IS NULL)"
        " AND (assurance IS NULL) = (fingerprints IS NULL)"
        " AND (hashes IS NULL) = (fingerprints IS NULL)"
        " AND (request_id IS NULL OR fingerprints IS NOT NULL)",
        name="erased",
    ),
    sqlite_autoincrement=True,
)

# What registrations of one picture have in common (``core.renewals``), so that none has to read the
# fingerprints of its whole case. Items from before have no row until something is added to their
# case; erased items have none.
identities = Table(
    "identities",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("case_id", ForeignKey(cases.c.id), nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Index("ix_identities_case_id", "case_id", "identity"),
)

# What the answer to a request names, place by place, if the case had any of it already. Other
# answers name the items of the request.
places = Table(
    "places",
    metadata,
    Column("request_id", ForeignKey(requests.c.request_id), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("item", ForeignKey(items.c.number), nullable=False, index=True),
    Column("outcome", Integer, nullable=False),
)

# What platforms report of matches of an item. Erased with the item. The digest is of a match id,
# which is random; the rows of a platform and an item are bounded. ``earlier`` is the outcome at the
# end of the day before ``reported_on``, NULL if there was none: a person affected sees that until
# the next day. Rows of an item lie together, so that a withdrawal on a full disk writes few pages,
# and by digest, which does not show in which order they came.
outcomes = Table(
    "outcomes",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("reporter", String, primary_key=True),
    Column("match_digest", LargeBinary, primary_key=True),
    Column("outcome", Integer, nullable=False),
    Column("reported_on", _DAY, nullable=False),
    Column("earlier", Integer),
    # Whether a false positive counts against the item: its match was far, and nobody has decided on
    # the item since it was first reported.
    Column("counts", Boolean, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

# A cursor names a change by its sequence and its mark: random bytes drawn at each commit, NULL in
# changes from before there were marks. ``bank`` is that which the item left with this change, NULL
# in all other changes, which are of the bank that the item is in.
changes = Table(
    "changes",
    metadata,
    Column("sequence", _NUMBER, primary_key=True),
    Column("item", ForeignKey(items.c.number), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("mark", LargeBinary),
    Column("bank", Integer),
    sqlite_autoincrement=True,
)

# The state of each item that was ever other than LIVE, or in another bank, and its newest change:
# only that one shows the item. ``reason`` is NULL where none was given. Erased items have no row.
states = Table(
    "states",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("state", Integer, nullable=False),
    Column("sequence", ForeignKey(changes.c.sequence), nullable=False),
    Column("changed_on", _DAY, nullable=False),
    Column("reason", Integer),
)

# Erasures of cases whose PIN is lost (``core.case_erasures``). A row goes when the erasure is
# stopped or the case withdrawn, and stays once the case was erased by it. ``due_at_s`` is NULL
# until it is confirmed, and after a restore until the writer sets it anew.
case_erasures = Table(
    "case_erasures",
    metadata,
    Column("case_id", ForeignKey(cases.c.id), primary_key=True, autoincrement=False),
    Column("requested_by", String, nullable=False),
    Column("requested_at_s", BigInteger, nullable=False),
    Column("confirmed_by", String, nullable=False),
    Column("confirmed_at_s", BigInteger),
    Column("due_at_s", BigInteger),
    Column("erased_on", _DAY, nullable=False),
)

# The states, and their reasons, that items had before a confirmed erasure disabled them: those that
# were disabled before have no row. Erased with the item.
case_erasure_items = Table(
    "case_erasure_items",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True, autoincrement=False),
    Column("state", Integer, nullable=False),
    Column("reason", Integer),
)

# What staff and operators did (``core.acts``). SQLite refuses to change or to delete a row.
acts = Table(
    "acts",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", Integer, nullable=False),
    Column("subject", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

_APPEND_ONLY = """CREATE TRIGGER acts_no_{name} BEFORE {change} ON acts{condition} \
BEGIN SELECT RAISE(ABORT, 'acts are append-only'); END"""
_IS_NOT_NEXT = " WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM acts)"
APPEND_ONLY = (
    _APPEND_ONLY.format(name="update", change="UPDATE", condition=""),
    _APPEND_ONLY.format(name="delete", change="DELETE", condition=""),
    # REPLACE deletes a row without the trigger of DELETE.
    _APPEND_ONLY.format(name="replace", change="INSERT", condition=_IS_NOT_NEXT),
)
"""SQLite's triggers that refuse all but appending to ``acts``."""

for _trigger in APPEND_ONLY:
    event.listen(
        acts,
        "after_create",
        DDL(_trigger).execute_if(dialect="sqlite"),  # type: ignore[no-untyped-call]
    )

# Why items wait for review by a rule and not by somebody's decision, and since which hour (counted
# from 1970). ``ended`` once that is over; the row stays, since some rules hide an item only once.
# Erased with the item.
waits = Table(
    "waits",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("reason", Integer, primary_key=True, autoincrement=False),
    Column("since_h", Integer, nullable=False),
    Column("ended", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Hashes of well-known harmless pictures, which what is registered is compared with. They are in no
# index and in no feed.
negatives = Table(
    "negatives",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("label", String, nullable=False),
    Column("added_on", _DAY, nullable=False),
    sqlite_with_rowid=False,
)
