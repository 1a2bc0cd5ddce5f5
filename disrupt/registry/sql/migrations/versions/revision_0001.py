"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "registry",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("epoch", sa.LargeBinary, nullable=False),
        sa.Column("pepper_check", sa.LargeBinary),
        sa.Column("timeline", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("vacuumed", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("vacuumed_s", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("dispute_organisations", sa.Integer, server_default="2", nullable=False),
        sa.Column("dispute_floor_bits", sa.Integer, server_default="16", nullable=False),
        sa.Column("dispute_silent_permille", sa.Integer, server_default="100", nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_registry_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry")),
    )
    op.create_table(
        "banks",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("max_distance_bits", sa.Integer, nullable=False),
        sa.Column("goes_live", sa.Boolean, nullable=False),
        sa.Column("organisations", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_banks")),
        sa.UniqueConstraint("name", name=op.f("uq_banks_name")),
    )
    op.create_table(
        "keys",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
        sa.Column("rights", sa.JSON, nullable=False),
        sa.Column("banks", sa.JSON, nullable=False),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("created_on", sa.String(10), nullable=False),
        sa.Column("revoked_on", sa.String(10), nullable=False),
        sa.Column("expires_on", sa.String(10), nullable=False),
        sa.Column("last_used_on", sa.String(10), nullable=False),
        sa.Column("distance_bands", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("key_id", name=op.f("uq_keys_key_id")),
    )
    op.create_table(
        "organisations",
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("per_minute", sa.BigInteger, nullable=False),
        sa.Column("per_day", sa.BigInteger, nullable=False),
        sa.Column("hashes_per_minute", sa.BigInteger, nullable=False),
        sa.Column("hashes_per_day", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organisation", name=op.f("pk_organisations")),
    )
    op.create_table(
        "partners",
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("report_url", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("organisation", name=op.f("pk_partners")),
    )
    op.create_table(
        "cases",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("pin_hash", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("opened_on", sa.String(10), nullable=False),
        sa.Column("closed_on", sa.String(10), nullable=False),
        sa.Column("numbers_given", sa.Integer, nullable=False),
        sa.Column("tag", sa.LargeBinary),
        sa.Column("tagged_on", sa.String(10)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("number", name=op.f("uq_cases_number")),
        sa.UniqueConstraint("tag", name=op.f("uq_cases_tag")),
    )
    op.create_index(op.f("ix_cases_tagged_on"), "cases", ["tagged_on"])
    op.create_table(
        "origin_secrets",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_origin_secrets")),
    )
    op.create_table(
        "requests",
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("sequence", _NUMBER),
        sa.CheckConstraint(
            "(digest IS NULL) = (sequence IS NULL)", name=op.f("ck_requests_withdrawn")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_requests")),
    )
    op.create_table(
        "items",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("item_id", sa.LargeBinary, nullable=False),
        sa.Column("bank", sa.Integer, nullable=False),
        sa.Column("case_id", _NUMBER),
        sa.Column("request_id", sa.LargeBinary),
        sa.Column("state", sa.Integer),
        sa.Column("state_since_s", sa.BigInteger),
        sa.Column("state_sequence", sa.BigInteger),
        sa.Column("new_on", sa.String(10)),
        sa.Column("kind", sa.Integer),
        sa.Column("assurance", sa.Integer),
        sa.Column("hashes", sa.Integer),
        sa.Column("number_in_case", sa.Integer),
        sa.Column("registered_on", sa.String(10)),
        sa.Column("key_id", sa.String),
        sa.Column("origin_tag", sa.LargeBinary),
        sa.Column("wait_reason", sa.Integer),
        sa.Column("is_paid", sa.Boolean),
        sa.Column("replaced_by", _NUMBER),
        sa.CheckConstraint(
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
            name=op.f("ck_items_erased"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_items")),
        sa.ForeignKeyConstraint(["bank"], ["banks.number"], name=op.f("fk_items_bank")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_items_case_id")),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["requests.request_id"],
            name=op.f("fk_items_request_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["items.number"], name=op.f("fk_items_replaced_by")
        ),
        sa.UniqueConstraint("item_id", name=op.f("uq_items_item_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_items_case_id"), "items", ["case_id"])
    op.create_index(op.f("ix_items_request_id"), "items", ["request_id"])
    for column in ("origin_tag", "registered_on"):
        op.create_index(
            op.f(f"ix_items_{column}"),
            "items",
            [column],
            sqlite_where=sa.text("origin_tag IS NOT NULL"),
            postgresql_where=sa.text("origin_tag IS NOT NULL"),
        )
    op.create_index(
        op.f("ix_items_replaced_by"),
        "items",
        ["replaced_by"],
        sqlite_where=sa.text("replaced_by IS NOT NULL"),
        postgresql_where=sa.text("replaced_by IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_items_state"),
        "items",
        ["state"],
        sqlite_where=sa.text("state > 1"),
        postgresql_where=sa.text("state > 1"),
    )
    op.create_index(
        op.f("ix_items_bank"),
        "items",
        ["bank"],
        sqlite_where=sa.text("bank = 3"),
        postgresql_where=sa.text("bank = 3"),
    )
    op.create_table(
        "fingerprints",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("fingerprints", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_fingerprints")),
        postgresql_partition_by="RANGE (number)",
    )
    op.create_table(
        "case_erasures",
        sa.Column("case_id", _NUMBER, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("asked_at_s", sa.BigInteger, nullable=False),
        sa.Column("due_at_s", sa.BigInteger),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_erasures")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_erasures_case_id")),
    )
    op.create_table(
        "lists",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("bank", sa.Integer, nullable=False),
        sa.Column("case_id", _NUMBER, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("checkpoint", sa.String, nullable=False),
        sa.Column("added_s", sa.BigInteger, nullable=False),
        sa.Column("read_s", sa.BigInteger, nullable=False),
        sa.Column("tried_s", sa.BigInteger, nullable=False),
        sa.Column("failure", sa.String, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("skipped", sa.JSON, nullable=False),
        sa.Column("is_removed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lists")),
        sa.UniqueConstraint("name", name=op.f("uq_lists_name")),
        sa.UniqueConstraint("bank", name=op.f("uq_lists_bank")),
        sa.ForeignKeyConstraint(["bank"], ["banks.number"], name=op.f("fk_lists_bank")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_lists_case_id")),
    )
    op.create_table(
        "list_entries",
        sa.Column("list", _NUMBER, nullable=False),
        sa.Column("source_id", sa.LargeBinary, nullable=False),
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("changed_s", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Integer),
        sa.PrimaryKeyConstraint("list", "source_id", name=op.f("pk_list_entries")),
        sa.ForeignKeyConstraint(["list"], ["lists.number"], name=op.f("fk_list_entries_list")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_list_entries_item")),
    )
    op.create_index(op.f("ix_list_entries_item"), "list_entries", ["item"])
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
        "answers",
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "position", name=op.f("pk_answers")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.request_id"], name=op.f("fk_answers_request_id")
        ),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_answers_item")),
    )
    op.create_index(op.f("ix_answers_item"), "answers", ["item"])
    op.create_table(
        "changes",
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("mark", sa.LargeBinary, nullable=False),
        sa.Column("bank", sa.Integer),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changes")),
        sa.ForeignKeyConstraint(["bank"], ["banks.number"], name=op.f("fk_changes_bank")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_changes_item")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outcomes",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("outcome", sa.Integer),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("match", sa.LargeBinary, nullable=False),
        sa.Column("earlier_outcome", sa.Integer),
        sa.Column("earlier_day", sa.String(10)),
        sa.Column("earlier_match", sa.LargeBinary),
        sa.PrimaryKeyConstraint("item", "organisation", name=op.f("pk_outcomes")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_outcomes_item")),
    )
    op.create_table(
        "disputes",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("match", sa.LargeBinary, nullable=False),
        sa.Column("plan", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("distance_bits", sa.Integer, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("settlement", sa.Integer),
        sa.PrimaryKeyConstraint(
            *("item", "organisation", "match", "plan", "ordinal"), name=op.f("pk_disputes")
        ),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_disputes_item")),
    )
    op.create_table(
        "narrowings",
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("narrowed", sa.LargeBinary, nullable=False),
        sa.Column("organisations", sa.Integer, nullable=False),
        sa.Column("silent", sa.Integer, nullable=False),
        sa.Column("needs_staff", sa.Integer, nullable=False),
        sa.Column("is_settled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_narrowings")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_narrowings_item")),
    )
    op.create_table(
        "acts",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("at_s", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("action", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("item", _NUMBER),
        sa.Column("case_id", _NUMBER),
        sa.Column("bank", sa.Integer),
        sa.Column("key_id", sa.String),
        sa.Column("items", sa.Integer),
        sa.Column("undone", _NUMBER),
        sa.CheckConstraint("item IS NULL OR case_id IS NULL", name=op.f("ck_acts_unlinked")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_acts")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_acts_item")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_acts_case_id")),
        sa.ForeignKeyConstraint(["bank"], ["banks.number"], name=op.f("fk_acts_bank")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_acts_at_s"), "acts", ["at_s"])
    op.create_index(op.f("ix_acts_item"), "acts", ["item"])
    op.create_table(
        "tallies",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("tally", sa.String, nullable=False),
        sa.Column("labels", sa.String, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "tally", "labels", name=op.f("pk_tallies")),
    )
    op.create_table(
        "reports",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("match", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_reports")),
        sa.UniqueConstraint("match", "outcome", name=op.f("uq_reports_match")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_reports_day"), "reports", ["day"])
    op.create_index(op.f("ix_reports_organisation"), "reports", ["organisation", "number"])
    op.create_table(
        "worker_runs",
        sa.Column("run", sa.LargeBinary, nullable=False),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_worker_runs")),
    )
    op.create_table(
        "undoable",
        sa.Column("act", _NUMBER, nullable=False),
        sa.Column("item", _NUMBER, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("state_since_s", sa.BigInteger),
        sa.PrimaryKeyConstraint("act", "item", name=op.f("pk_undoable")),
        sa.ForeignKeyConstraint(["act"], ["acts.number"], name=op.f("fk_undoable_act")),
        sa.ForeignKeyConstraint(["item"], ["items.number"], name=op.f("fk_undoable_item")),
    )
    op.create_index(op.f("ix_undoable_item"), "undoable", ["item"])
    op.create_table(
        "audit",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("entry", sa.String),
        sa.CheckConstraint("(salt IS NULL) = (entry IS NULL)", name=op.f("ck_audit_erased")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_table(
        "mirror",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("cursor", sa.String, nullable=False),
        sa.Column("bank_names", sa.JSON, nullable=False),
        sa.Column("passed", sa.BigInteger, nullable=False),
        sa.Column("level_boot", sa.String),
        sa.Column("level_boot_s", sa.Float),
        sa.Column("level_clock_s", sa.Float),
        sa.Column("level_at_s", sa.BigInteger, nullable=False),
        sa.Column("max_age_s", sa.Integer, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_mirror_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirror")),
    )
    op.create_table(
        "mirror_marks",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("cursor", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_mirror_marks")),
    )
    op.create_table(
        "mirror_reports",
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("reported_s", sa.BigInteger, nullable=False),
        sa.Column("level_s", sa.BigInteger, nullable=False),
        sa.Column("clean_s", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_mirror_reports")),
    )
