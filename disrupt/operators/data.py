"""The operators' commands for what is stored: ``disrupt erase``, ``backup`` and ``restore``."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from disrupt import logs
from disrupt.operators import removals as removing
from disrupt.operators import restore as restoring
from disrupt.operators.options import data_dir_option, json_option
from disrupt.operators.printing import report
from disrupt.registry.backup import CONFIG, back_up, copy_journal
from disrupt.server.config import Config
from disrupt.server.upkeep import erasure

_PATH = click.Path(path_type=Path)
_H = 3600.0
_EXIT_INCOMPLETE, _EXIT_FORGETS = 3, 4


@click.command()
@data_dir_option
@click.option(
    "--older-than-h",
    default=0.0,
    type=click.FloatRange(min=0),
    help="Only if the index holds what was withdrawn in a generation of this age, in hours.",
)
@json_option
def erase(data_dir: Path, older_than_h: float, *, as_json: bool) -> None:
    """Erase every byte of what was withdrawn, now; with the server running or not.

    A server does it by itself within 24 hours of a withdrawal. Backups are yours to
    delete.

    \b
    Exit codes: 0 erased, 1 not erased, 2 wrong usage.

    \b
    Example: disrupt erase --data-dir data
    """
    logs.configure("erase", "warning")
    erased = erasure.erase(data_dir, older_than_s=older_than_h * _H)
    if as_json:
        report(json.dumps(asdict(erased)))
        return
    if erased.rebuilt:
        report(f"Published generation {erased.generation} of the index.")
    for generation in erased.deleted:
        report(f"Deleted generation {generation}.")
    if older_than_h:
        report("Nothing withdrawn stays for longer than asked.")
    else:
        report("Of what was withdrawn before, no byte is left in the data directory.")


@click.command()
@data_dir_option
@click.option("--to", "target", type=_PATH, help="New directory for the backup.")
@click.option(
    "--config",
    envvar="DISRUPT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Configuration of the server, to go into the backup.",
)
@click.option(
    "--journal-to",
    type=_PATH,
    help="File to replace by a copy of removals.journal, apart from backups.",
)
@json_option
def backup(
    data_dir: Path,
    target: Path | None,
    config: Path | None,
    journal_to: Path | None,
    *,
    as_json: bool,
) -> None:
    """Back up the registry, the secrets and the configuration; with the server running or not.

    A registry in PostgreSQL is dumped by pg_dump, on the machine of a writer.

    The backup holds fingerprints and secrets: guard it as the data directory itself, and delete
    it after as many days as your rules allow. The index is not in it, it is built anew. Neither is
    removals.journal, which a restore needs as it is then: copy it apart, again and again, with
    --journal-to, alone or beside --to.

    \b
    Exit codes: 0 done, 1 not done, 2 wrong usage.

    \b
    Example: disrupt backup --data-dir data --to backups/monday
    """
    logs.configure("backup", "warning")
    if target is None and journal_to is None:
        raise click.UsageError("Give --to, --journal-to, or both.")
    if target is not None:
        written = back_up(data_dir, target, config)
        if as_json:
            report(written.model_dump_json())
        else:
            report(f"Made the backup {target}, as of change {written.sequence}.")
    if journal_to is not None:
        copy_journal(data_dir, journal_to)
        if not as_json:
            report(f"Copied the journal of removals to {journal_to}.")


@click.command()
@click.option("--from", "source", type=_PATH, help="Directory of the backup.")
@click.option(
    "--removals",
    is_flag=True,
    help="Instead of a backup: remove again what machines that followed the registry list.",
)
@click.option(
    "--to",
    "url",
    help="URL of an empty database, for the backup of a registry in PostgreSQL; that of the data"
    " directory if not given.",
)
@data_dir_option
@click.option(
    "--config",
    "file",
    envvar="DISRUPT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Configuration of the server, for --removals: it names these machines.",
)
@click.option(
    "--accept-unknown-removals",
    is_flag=True,
    help="Restore though it is not known what was withdrawn and revoked since: that matches again,"
    " and these keys are valid again.",
)
@json_option
def restore(
    source: Path | None,
    url: str | None,
    data_dir: Path,
    file: Path | None,
    *,
    removals: bool,
    accept_unknown_removals: bool,
    as_json: bool,
) -> None:
    """Replace what is in the data directory by a backup; while no server runs.

    What was withdrawn since the backup stays withdrawn, and keys revoked since stay revoked: the
    data directory's removals.journal says what that is. Keep that file when a disk is replaced;
    without it, see --accept-unknown-removals. What was registered since the backup is lost, and
    what was renewed since is as it was before. If it is interrupted, run it again. Mirrors of the
    feed start over.

    The backup of a registry in PostgreSQL goes into an empty database: stop all writers before.
    Where machines of role match have followed the registry, or it was restored by PostgreSQL's own
    means, then run this with --removals, before any server: it asks the `nodes` of the settings
    what was removed since. What only a machine lists that is not named there, or does not answer,
    matches again.

    \b
    Exit codes: 0 restored, 1 not restored, 2 wrong usage, 3 restored, but with --removals no nodes
    are named, or not all of their lists were read; 4 restored, but not all that was decided since
    the backup.

    \b
    Example: disrupt restore --from backups/monday --data-dir data
    """
    if removals == (source is not None):
        raise click.UsageError("Give either --from or --removals.")
    if removals and url:
        raise click.UsageError("--to is for --from.")
    if removals:
        logs.configure("restore", "warning")
        done = removing.restore(Config.load(file, data_dir=data_dir))
        report(json.dumps(asdict(done)) if as_json else removing.text(done))
        if not done.complete:
            click.get_current_context().exit(_EXIT_INCOMPLETE)
        if removing.forgotten(done.decisions_doubt, done.decisions_lost):
            click.get_current_context().exit(_EXIT_FORGETS)
    elif source:
        _restore_backup(
            source,
            data_dir,
            url,
            accept_unknown_removals=accept_unknown_removals,
            as_json=as_json,
        )


def _restore_backup(
    source: Path, data_dir: Path, url: str | None, *, accept_unknown_removals: bool, as_json: bool
) -> None:
    logs.configure("restore", "warning")
    restored = restoring.restore(
        source, data_dir, accept_unknown_removals=accept_unknown_removals, url=url
    )
    lost = removing.forgotten(restored.decisions_doubt, restored.decisions_lost)
    if as_json:
        report(json.dumps(asdict(restored)))
        click.get_current_context().exit(_EXIT_FORGETS if lost else 0)
    made = datetime.fromtimestamp(restored.made_s, UTC)
    report(
        f"Restored: {restored.items} items, {restored.hashes} hashes, of the backup made"
        f" {made:%Y-%m-%d %H:%M} UTC."
    )
    if restored.renewals_undone:
        report(
            "Renewed since the backup, and restored as they were before:"
            f" {restored.renewals_undone} items."
        )
    if restored.renewed_missing:
        report(
            "Renewed since, and in no version in the backup:"
            f" {restored.renewed_missing} items. They match again once they are registered again."
        )
    if restored.counted_until:
        report(
            f"Tallies are those of the backup: from {restored.counted_until} until today, counts"
            " are lower than they were."
        )
    if restored.erasures_stopped:
        report(removing.stopped(restored.erasures_stopped))
    if not restored.removals_known:
        report("What was withdrawn since the backup matches again where it was not known.")
    if restored.unsure_keys:
        keys = ", ".join(restored.unsure_keys)
        report(f"Valid, though they may have been revoked since: {keys}. Revoke those that were.")
    if (source / CONFIG).exists():
        report(f"The configuration is {source / CONFIG}: put it where the server reads it.")
    else:
        report("The backup has no configuration: put it where the server reads it.")
    report("No backup has the TLS certificate and key, nor files of the proxy and of systemd.")
    if lost:
        report(lost)
        click.get_current_context().exit(_EXIT_FORGETS)
