"""What mirrors report of themselves. Each function runs in one transaction of its caller."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, delete, insert, select

from disrupt.audit import entries
from disrupt.core.mirrors import MirrorReport
from disrupt.registry.sql import audit, schema

_DAY_S = 24 * 3600


def reports(connection: Connection) -> Sequence[MirrorReport]:
    """Return the newest report of each key, also of those that are valid no more."""
    rows = connection.execute(select(schema.mirror_reports))
    return [MirrorReport(**row._asdict()) for row in rows]


def note_report(connection: Connection, report: MirrorReport) -> None:
    """Keep a report in place of the one before.

    Where it does not say since when the mirror's files are clean, that stays, or is its own time: a
    mirror that begins holds nothing that was withdrawn before. The audit log has the first report
    of each day.
    """
    table = schema.mirror_reports
    of_key = table.c.key_id == report.key_id
    known = connection.execute(select(table).where(of_key)).first()
    if not report.clean_s:
        report = replace(report, clean_s=known.clean_s if known else report.reported_s)
    if known is None or known.reported_s // _DAY_S != report.reported_s // _DAY_S:
        audit.append(connection, {"kind": entries.MIRROR, **asdict(report)})
    connection.execute(delete(table).where(of_key))
    connection.execute(insert(table).values(asdict(report)))
