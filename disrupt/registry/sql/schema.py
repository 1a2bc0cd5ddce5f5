"""The registry's tables.

A change here needs a new module in ``migrations/versions``, which ``REVISION`` names; a test
compares the two.
"""

from enum import IntEnum

from sqlalchemy import (
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
    UniqueConstraint,
    text,
)

REVISION = "0001"
"""The newest module of ``migrations/versions``, which makes the tables of this module."""

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


# Alembic's own table: one row, which names the revision.
version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


class ChangeKind(IntEnum):
    """Kind of a row of ``changes``."""

    ADDITION = 1
    REMOVAL = 2
    STATE = 3
    """An item was hidden from lookups, or is shown again."""


# The pepper's check value tells whether the secrets beside the registry are those that it is used
# with. NULL until a writer opens the registry beside them.
#
# Of PostgreSQL alone, else 0: ``timeline`` is that of its log when the epoch began, ``vacuumed``
# the newest change of which no file holds what it removed, ``vacuumed_s`` when that was last made
# sure of, in seconds since 1970.
#
# The policy of disputes is that by which ``narrowings`` were made.
registry = Table(
    "registry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", LargeBinary, nullable=False),
    Column("pepper_check", LargeBinary),
    Column("timeline", BigInteger, nullable=False, server_default="0"),
    Column("vacuumed", BigInteger, nullable=False, server_default="0"),
    Column("vacuumed_s", BigInteger, nullable=False, server_default="0"),
    Column("dispute_organisations", Integer, nullable=False, server_default="2"),
    Column("dispute_floor_bits", Integer, nullable=False, server_default="16"),
    Column("dispute_silent_permille", Integer, nullable=False, server_default="100"),
    CheckConstraint("id = 1", name="one_row"),
)

banks = Table(
    "banks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False, unique=True),
    Column("max_distance_bits", Integer, nullable=False),
    Column("goes_live", Boolean, nullable=False),
    # Names of the organisations whose keys see it; empty: all.
    Column("organisations", JSON, nullable=False),
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
    Column("organisation", String, nullable=False),
    Column("created_on", _DAY, nullable=False),
    Column("revoked_on", _DAY, nullable=False),
    # The first day on which the key is valid no more; empty: it does not expire.
    Column("expires_on", _DAY, nullable=False),
    Column("last_used_on", _DAY, nullable=False),
    # Distances in answers are rounded up to the ends of bands.
    Column("distance_bands", Boolean, nullable=False),
)

# Quotas of those organisations that have one; 0 in a column: none.
organisations = Table(
    "organisations",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("per_minute", BigInteger, nullable=False),
    Column("per_day", BigInteger, nullable=False),
    Column("hashes_per_minute", BigInteger, nullable=False),
    Column("hashes_per_day", BigInteger, nullable=False),
)

# Organisations that people affected may be told of, as they want to be named.
partners = Table(
    "partners",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("report_url", String, nullable=False),
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
    # Newest number in the case that was given to an item; 0 once the case is withdrawn.
    Column("numbers_given", Integer, nullable=False),
    # Random bytes by which staff tell the case from others for 30 days, and the day they were last
    # needed. NULL: none.
    Column("tag", LargeBinary, unique=True),
    Column("tagged_on", _DAY, index=True),
)

# The secret with which the tags of a day's origins are made, so that equal ones have equal tags.
origin_secrets = Table(
    "origin_secrets",
    metadata,
    Column("day", _DAY, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
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
# One that was replaced names the living item that its picture is now, so that it can be withdrawn
# by an old id too; once that is withdrawn nothing links the two.
#
# ``state`` is an ItemState. ``state_since_s`` (seconds since 1970, UTC) is when it was set, NULL if
# at the registration. ``state_sequence`` is the newest change that hid or showed the item, NULL if
# none did since its addition. ``new_on`` is the day (UTC) of that change, or of the addition.
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
    Column("state", Integer),
    Column("state_since_s", BigInteger),
    Column("state_sequence", BigInteger),
    Column("new_on", _DAY),
    Column("kind", Integer),
    Column("assurance", Integer),
    Column("hashes", Integer),
    Column("number_in_case", Integer),
    Column("registered_on", _DAY),
    # Who registered it: a key, and for 30 days the tag of its origin.
    Column("key_id", String),
    Column("origin_tag", LargeBinary),
    # Of what waits: the WaitReason, and whether its device has paid for an earlier turn.
    Column("wait_reason", Integer),
    Column("is_paid", Boolean),
    Column("replaced_by", ForeignKey("items.number")),
    CheckConstraint(
        "(case_id IS NULL) = (state IS NULL)"
        " AND (kind IS NULL) = (state IS NULL)"
        " AND (assurance IS NULL) = (state IS NULL)"
        " AND (hashes IS NULL) = (state IS NULL)"
        " AND (number_in_case IS NULL) = (state IS NULL)"
        " AND (registered_on IS NULL) = (state IS NULL)"
        " AND (new_on IS NULL) = (state IS NULL)"
        " AND (state_since_s IS NULL OR state IS NOT NULL)"
        " AND (state_sequence IS NULL OR state IS NOT NULL)"
        " AND (key_id IS NULL OR state IS NOT NULL)"
        " AND (origin_tag IS NULL OR state IS NOT NULL)"
        " AND (wait_reason IS NULL OR state IS NOT NULL)"
        " AND (is_paid IS NULL OR state IS NOT NULL)"
        " AND (request_id IS NULL OR state IS NOT NULL)"
        " AND (replaced_by IS NULL OR state IS NULL)",
        name="erased",
    ),
    sqlite_autoincrement=True,
)
_is_tagged = items.c.origin_tag.is_not(None)
for _column in (items.c.origin_tag, items.c.registered_on):
    Index(None, _column, sqlite_where=_is_tagged, postgresql_where=_is_tagged)
_is_replaced = items.c.replaced_by.is_not(None)
Index(None, items.c.replaced_by, sqlite_where=_is_replaced, postgresql_where=_is_replaced)
NOT_PLAINLY_LIVE = text("state > 1")
"""Condition under which a query finds items by state in an index: all states but ItemState.LIVE."""
Index(None, items.c.state, sqlite_where=NOT_PLAINLY_LIVE, postgresql_where=NOT_PLAINLY_LIVE)
IS_COMMON = text("bank = 3")
"""Condition under which a query finds the items of the bank ``policy.COMMON`` in an index."""
Index(None, items.c.bank, sqlite_where=IS_COMMON, postgresql_where=IS_COMMON)

# Lists of partners. ``source`` is JSON, of ``disrupt.lists``; ``checkpoint`` is how far it was
# read, in the source's own words. Times are in seconds since 1970; 0: never. A list that is removed
# stays
# until none of its items is left.
lists = Table(
    "lists",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("bank", ForeignKey(banks.c.number), nullable=False, unique=True),
    Column("case_id", ForeignKey(cases.c.id), nullable=False),
    Column("source", String, nullable=False),
    Column("checkpoint", String, nullable=False),
    Column("added_s", BigInteger, nullable=False),
    Column("read_s", BigInteger, nullable=False),
    Column("tried_s", BigInteger, nullable=False),
    Column("failure", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("skipped", JSON, nullable=False),
    Column("is_removed", Boolean, nullable=False),
)

# What entries of lists are registered as; several may be one item. ``source_id`` may be made from
# a hash. ``told`` is the outcome that the source was last told of.
list_entries = Table(
    "list_entries",
    metadata,
    Column("list", ForeignKey(lists.c.number), primary_key=True),
    Column("source_id", LargeBinary, primary_key=True),
    Column("item", ForeignKey(items.c.number), nullable=False, index=True),
    Column("changed_s", BigInteger, nullable=False),
    Column("told", Integer),
)

# The fingerprints of each item that is not erased, packed (``core.media``). Apart from items, so
# that these are quick to read, and a database can rewrite what was erased by itself.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("fingerprints", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (number)",
)

# Cases that are to be erased without their PIN. ``due_at_s`` is NULL until a second key asks too.
case_erasures = Table(
    "case_erasures",
    metadata,
    Column("case_id", ForeignKey(cases.c.id), primary_key=True),
    Column("asked_by", String, nullable=False),
    Column("asked_at_s", BigInteger, nullable=False),
    Column("due_at_s", BigInteger),
)

# What registrations of one picture have in common (``core.renewals``), so that none has to read the
# fingerprints of its whole case. Erased items have no row.
identities = Table(
    "identities",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("case_id", ForeignKey(cases.c.id), nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Index("ix_identities_case_id", "case_id", "identity"),
)

# What the answer to a request names, item by item, if the case had any of it already. Other
# answers name the items of the request.
answers = Table(
    "answers",
    metadata,
    Column("request_id", ForeignKey(requests.c.request_id), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("item", ForeignKey(items.c.number), nullable=False, index=True),
    Column("outcome", Integer, nullable=False),
)

# A cursor names a change by its sequence and its mark: random bytes drawn at each commit. ``bank``
# is that which a moved item was in, or came to; NULL: that of the item now.
changes = Table(
    "changes",
    metadata,
    Column("sequence", _NUMBER, primary_key=True),
    Column("item", ForeignKey(items.c.number), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("mark", LargeBinary, nullable=False),
    Column("bank", ForeignKey(banks.c.number)),
    sqlite_autoincrement=True,
)

# The latest outcome that an organisation reported of an item, false positives apart, and the last
# one of an earlier day, which is shown until the day of the latest is over. ``match`` is the nonce
# of the match id that it was of. ``outcome`` is NULL where that was taken back on ``day``.
outcomes = Table(
    "outcomes",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("organisation", String, primary_key=True),
    Column("outcome", Integer),
    Column("day", _DAY, nullable=False),
    Column("match", LargeBinary, nullable=False),
    Column("earlier_outcome", Integer),
    Column("earlier_day", _DAY),
    Column("earlier_match", LargeBinary),
)

# Matches that an organisation reported as false positives, by stored version (plan and ordinal), at
# their distance. ``match`` is the nonce of the match id, so that a new report of the same match
# takes the place of the one before. ``settlement`` is what staff have decided, NULL if nothing.
disputes = Table(
    "disputes",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("organisation", String, primary_key=True),
    Column("match", LargeBinary, primary_key=True),
    Column("plan", Integer, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("distance_bits", Integer, nullable=False),
    Column("day", _DAY, nullable=False),
    Column("settlement", Integer),
)

# What the disputes of an item make of it (``core.disputes``), as of its newest change: the versions
# that lookups answer only at some distances, packed (``sql.narrowings``), and what staff are told.
# Items of which no dispute counts have no row.
narrowings = Table(
    "narrowings",
    metadata,
    Column("item", ForeignKey(items.c.number), primary_key=True),
    Column("narrowed", LargeBinary, nullable=False),
    Column("organisations", Integer, nullable=False),
    Column("silent", Integer, nullable=False),
    # Bits of the reasons why staff have to decide; 0: they need not.
    Column("needs_staff", Integer, nullable=False),
    Column("is_settled", Boolean, nullable=False),
)

# What staff, operators and the server itself did; rows are only ever added. An act names an item or
# a case, never both, so that nothing links a withdrawn item to its case.
acts = Table(
    "acts",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("at_s", BigInteger, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("action", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("item", ForeignKey(items.c.number), index=True),
    Column("case_id", ForeignKey(cases.c.id)),
    Column("bank", ForeignKey(banks.c.number)),
    Column("key_id", String),
    # Of an act on all items that a filter named: how many it changed.
    Column("items", Integer),
    # Number of the act that this one undid.
    Column("undone", _NUMBER),
    CheckConstraint("item IS NULL OR case_id IS NULL", name="unlinked"),
    sqlite_autoincrement=True,
)

# What happened, counted when it did (``core.tallies``). ``labels`` is a list of texts, in JSON.
tallies = Table(
    "tallies",
    metadata,
    Column("day", _DAY, primary_key=True),
    Column("tally", String, primary_key=True),
    Column("labels", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# Outcomes that were reported and counted: ``match`` is the nonce of the match id, which names
# neither item nor upload, so that a report that is repeated counts once.
reports = Table(
    "reports",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("organisation", String, nullable=False),
    Column("match", LargeBinary, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("day", _DAY, nullable=False, index=True),
    UniqueConstraint("match", "outcome"),
    Index("ix_reports_organisation", "organisation", "number"),
    sqlite_autoincrement=True,
)

# The last batch of uploads that was counted of a worker's run, which 16 random bytes name.
worker_runs = Table(
    "worker_runs",
    metadata,
    Column("run", LargeBinary, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("day", _DAY, nullable=False),
)

# The states that items had before an act on many, for as long as it can be undone.
undoable = Table(
    "undoable",
    metadata,
    Column("act", ForeignKey(acts.c.number), primary_key=True),
    Column("item", ForeignKey(items.c.number), primary_key=True, index=True),
    Column("state", Integer, nullable=False),
    Column("state_since_s", BigInteger),
)

# The audit log: a leaf for each act, and for what else happened, as kinds and counts. Rows are only
# ever added. Salt and entry may be erased, and nothing that the leaf proves.
audit = Table(
    "audit",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("salt", LargeBinary),
    Column("entry", String),
    CheckConstraint("(salt IS NULL) = (entry IS NULL)", name="erased"),
)

# Of a mirror alone, where the feed of a hotline is the only writer of items: how far it has come
# (``core.mirrors.MirrorState``). ``level_boot``, ``level_boot_s`` and ``level_clock_s`` are one
# moment by its clocks, NULL before it first had all changes.
mirror = Table(
    "mirror",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cursor", String, nullable=False),
    Column("bank_names", JSON, nullable=False),
    Column("passed", BigInteger, nullable=False),
    Column("level_boot", String),
    Column("level_boot_s", Float),
    Column("level_clock_s", Float),
    Column("level_at_s", BigInteger, nullable=False),
    Column("max_age_s", Integer, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# Changes of a mirror's own, and the hotline's cursor up to which they are: from what its files hold
# no more, it finds the cursor to report.
mirror_marks = Table(
    "mirror_marks",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("cursor", String, nullable=False),
)

# What mirrors report to this registry (``core.mirrors.MirrorReport``), the newest of each key.
mirror_reports = Table(
    "mirror_reports",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("reported_s", BigInteger, nullable=False),
    Column("level_s", BigInteger, nullable=False),
    Column("clean_s", BigInteger, nullable=False),
    Column("version", String, nullable=False),
)
