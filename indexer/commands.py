"""The command `disrupt-index`: options and output around the operations of this package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from disrupt import logs, ownership
from disrupt.core.progress import Progress
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.operators.options import json_option
from disrupt.operators.printing import report, show
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader

if TYPE_CHECKING:
    from disrupt.upkeep.rebuild import Rebuilt

_SHOWN_DIFFERENCES = 50


class _Group(click.Group):
    """Commands whose expected errors are one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (as click has it)
        try:
            return super().invoke(ctx)
        except DisruptError as error:
            click.echo(f"Error: {error.message}", err=True)
            ctx.exit(1)
        except OSError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command takes."""
    return click.option(
        "--data-dir",
        envvar="DISRUPT_DATA_DIR",
        required=True,
        show_envvar=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Data directory of the server.",
    )(json_option(command))


@click.group(cls=_Group)
@click.version_option(package_name="disrupt-hashes")
def main() -> None:
    """Build, check, count and tidy the index. Safe while a server runs.

    Exit codes: 0 fine, 1 failed or differences found, 2 wrong usage.
    """
    logs.configure("disrupt-index", "warning")


@main.command(name="rebuild", short_help="Build the index anew from the registry.")
@_options
@click.option(
    "--accept-registry",
    is_flag=True,
    help="Build from this registry though the index was built from another or a newer one: what"
    " only that one knew is lost.",
)
def rebuild_command(data_dir: Path, *, accept_registry: bool, as_json: bool) -> None:
    """Build the index anew from the registry and publish it; running servers take it up.

    Example: disrupt-index rebuild --data-dir data
    """
    from disrupt.upkeep.rebuild import rebuild

    with _registry(data_dir) as reader, _progress() as progress:
        rebuilt = rebuild(
            reader, DataDirectory(data_dir).index, progress, accept_registry=accept_registry
        )
        _report_published(rebuilt, as_json=as_json)


@main.command(name="compact", short_help="Fold what came since into a new generation.")
@_options
def compact_command(data_dir: Path, *, as_json: bool) -> None:
    """Fold what came since the served generation into a new one; running servers take it up.

    Quicker than a rebuild, which takes nothing from the index that is there. A server does it by
    itself.

    Example: disrupt-index compact --data-dir data
    """
    from disrupt.upkeep.compaction import compact

    with _registry(data_dir) as reader, _progress() as progress:
        _report_published(compact(reader, DataDirectory(data_dir).index, progress), as_json=as_json)


@main.command(name="verify")
@_options
def verify_command(data_dir: Path, *, as_json: bool) -> None:
    """Check every file of the index, and that it equals the registry.

    Example: disrupt-index verify --data-dir data
    """
    from indexer.verify import verify

    with _registry(data_dir) as reader, _progress() as progress:
        verified = verify(reader, DataDirectory(data_dir).index, progress)
    if as_json:
        show(json.dumps(asdict(verified)))
    else:
        for difference in verified.differences[:_SHOWN_DIFFERENCES]:
            click.echo(f"item {difference.number}: {difference.problem}")
        hidden = len(verified.differences) - _SHOWN_DIFFERENCES
        if hidden > 0:
            click.echo(f"... and {hidden} more; --json lists all")
        verdict = f"{len(verified.differences)} differences" if verified.differences else "equal"
        click.echo(
            f"Generation {verified.generation} with the changes since, against the registry at"
            f" change {verified.sequence}: {verdict}. {verified.items} items, {verified.hashes}"
            f" hashes; {verified.lookups} lookups compared with every hash."
        )
    if verified.differences:
        sys.exit(1)


@main.command(name="stats")
@_options
def stats_command(data_dir: Path, *, as_json: bool) -> None:
    """Count what the index holds.

    Example: disrupt-index stats --data-dir data --json
    """
    from indexer.stats import stats

    with _registry(data_dir) as reader:
        counted = stats(reader, DataDirectory(data_dir).index)
    if as_json:
        show(json.dumps(asdict(counted)))
        return
    rows = {
        "generation": counted.generation,
        "as of change": f"{counted.sequence} ({counted.changes_behind} behind the registry)",
        "added since": f"{counted.added_items} items, {counted.added_hashes} hashes; looked up too",
        "tombstones": counted.tombstones,
        "oldest withdrawn": f"{counted.oldest_withdrawn_s} s; erased within 86400",
        "engine": counted.engine,
        "expected a lookup": f"{counted.expected_lookup_us} us",
        "memory": f"{counted.memory_bytes} bytes, shared",
        "items": counted.items,
        "hashes": counted.hashes,
        "size": f"{counted.size_bytes} bytes",
        "items per bank": _listed(counted.items_per_bank),
        "items per kind": _listed(counted.items_per_kind),
        "hashes per profile": _listed(counted.hashes_per_profile),
        "hashes per plan": _listed(counted.hashes_per_plan),
        "on disk": _listed(
            {
                f"generation {generation.generation}": f"{generation.size_bytes} bytes"
                for generation in counted.generations
            }
        ),
    }
    for name, value in rows.items():
        click.echo(f"{name:<20}{value}")


@main.command(name="rollback", short_help="Serve the generation before the current one again.")
@_options
def rollback_command(data_dir: Path, *, as_json: bool) -> None:
    """Serve the generation before the current one again; running servers take it up.

    What was registered and withdrawn since is applied to it before it answers. The next rebuild
    goes on from there.

    Example: disrupt-index rollback --data-dir data
    """
    from indexer.retention import roll_back

    with _registry(data_dir) as reader:
        done = roll_back(reader, DataDirectory(data_dir).index)
    text = (
        f"Generation {done.generation} is served again, instead of {done.before}: as of change"
        f" {done.sequence}, and the changes since."
    )
    _report(done, text, as_json=as_json)


@main.command(name="gc", short_help="Delete the generations that are not served.")
@_options
@click.option(
    "--keep",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many generations before the current one to keep.",
)
def gc_command(data_dir: Path, *, keep: int, as_json: bool) -> None:
    """Delete generations that are not served, and what an interrupted rebuild left.

    Example: disrupt-index gc --data-dir data --keep 1
    """
    from indexer.retention import collect

    with _registry(data_dir) as reader:
        freed = collect(reader, DataDirectory(data_dir).index, keep)
    lines = [
        f"Deleted generation {generation.generation}, {generation.size_bytes} bytes."
        for generation in freed.deleted
    ]
    lines.append(f"Freed {freed.freed_bytes} bytes. Generation {freed.generation} is served.")
    _report(freed, "\n".join(lines), as_json=as_json)


def _report_published(published: Rebuilt, *, as_json: bool) -> None:
    text = (
        f"Published generation {published.generation}: {published.items} items,"
        f" {published.hashes} hashes, as of change {published.sequence}."
    )
    _report(published, text, as_json=as_json)


def _report(result: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401  (any dataclass)
    """Print what was done. Raises DisruptError, which says that it was."""
    report(json.dumps(asdict(result)) if as_json else text)


def _listed(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"


def _registry(data_dir: Path) -> AbstractContextManager[RegistryReader]:
    ownership.check(data_dir)
    return opening.reading(DataDirectory(data_dir))


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(doing: str, done: int, to_do: int) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(doing)
            bar.update(tasks[doing], completed=done, total=to_do)

        yield show
