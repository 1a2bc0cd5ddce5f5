"""The operators' command ``disrupt top``."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from disrupt.data_directory import DataDirectory
from disrupt.errors import UnavailableError
from disrupt.operators.scrape import Scrape, scrape
from disrupt.server.metrics import families

_MIB = 2**20
_H = 3600.0


@click.command()
@click.option(
    "--data-dir",
    envvar="DISRUPT_DATA_DIR",
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of a server of this machine, which knows the address.",
)
@click.option("--metrics", "address", help="HOST:PORT of the server's metrics instead.")
@click.option(
    "--every",
    "pause_s",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    help="Seconds over which rates are taken.",
)
@click.option("--once", is_flag=True, help="Print once, and end.")
def top(data_dir: Path | None, address: str | None, pause_s: float, *, once: bool) -> None:
    """Watch what a server does, by its metrics, until Ctrl-C. Needs no key.

    Times are upper bounds of the buckets of histograms.

    \b
    Exit codes: 0 ended by Ctrl-C, or printed once; 1 no server answers;
    2 wrong usage.

    \b
    Example: disrupt top --data-dir data
    """
    if address is None:
        if data_dir is None:
            raise click.UsageError("Give --data-dir or --metrics.")
        address = _address(data_dir)
    console, before = Console(), scrape(address)
    if once:
        time.sleep(pause_s)
        console.print(view(scrape(address), before))
        return
    with Live(Text("…"), console=console, screen=console.is_terminal) as live:
        while True:
            try:
                time.sleep(pause_s)
                now = scrape(address)
            except KeyboardInterrupt:
                return
            except UnavailableError as error:
                live.update(Text(error.message, style="bold red"))
                continue
            live.update(view(now, before))
            before = now


def _address(data_dir: Path) -> str:
    """Ask the supervisor for the address of its metrics. Raises UnavailableError."""
    try:
        address: str = DataDirectory(data_dir).ask_supervisor("states")["metrics"]
    except (OSError, ValueError) as error:
        raise UnavailableError(f"No server runs in {data_dir}: {error}.") from None
    if not address:
        raise UnavailableError("This server serves no metrics; see its setting metrics_listen.")
    return address


def view(now: Scrape, before: Scrape) -> Group:
    """Show two scrapes: rates between them, and the state of the later."""
    readiness = Text(now.readiness.strip())
    readiness.highlight_regex(r"(?m)^.*: (?!ready$).*$", "bold red")
    return Group(readiness, _calls(now, before), _keys(now, before), _processes(now), _state(now))


def _calls(now: Scrape, before: Scrape) -> Table:
    table = Table("call", "a second", "half within", "99 % within", "not OK")
    passed_s, calls = now.at_s - before.at_s, families.CALLS.name
    for (call,), count in sorted(now.since(before, f"{calls}_count", "call").items()):
        within = [now.quantile_s(before, calls, share, call=call) for share in (0.5, 0.99)]
        outcomes = now.since(before, f"{calls}_count", "outcome", call=call)
        not_ok = (f"{name} {n:g}" for (name,), n in sorted(outcomes.items()) if name != "OK")
        table.add_row(call, f"{count / passed_s:.1f}", *map(_duration, within), ", ".join(not_ok))
    return table


def _keys(now: Scrape, before: Scrape) -> Table:
    table = Table("key", "calls a second", "refused", "holds")
    passed_s = now.at_s - before.at_s
    calls = now.since(before, f"{families.KEY_CALLS.name}_total", "key")
    refusals = now.since(before, f"{families.REFUSALS.name}_total", "key", "reason")
    held = now.by(families.ADMISSION_HELD.name, "key", "resource")
    names = now.by(families.KEY_INFO.name, "key", "name")
    shown = {key: f"{name} {key}".strip() for key, name in names}
    for key in sorted({pair[0] for pair in (*calls, *refusals, *held)}):
        refused = (f"{reason} {n:g}" for (by, reason), n in sorted(refusals.items()) if by == key)
        holds = (f"{n:g} {name}" for (by, name), n in sorted(held.items()) if by == key and n)
        rate = f"{calls.get((key,), 0.0) / passed_s:.1f}"
        table.add_row(
            shown.get(key, key) or "no key",
            rate,
            ", ".join(refused),
            ", ".join(holds),
        )
    return table


def _processes(now: Scrape) -> Table:
    columns = {
        "memory,\nMiB": (families.MEMORY, 1 / _MIB),
        "open\nfiles": (families.OPEN_FILES, 1),
        "silent,\ns": (families.PROCESS_SILENT, 1),
        "hashes": (families.INDEX_HASHES, 1),
        "added\nsince": (families.INDEX_DELTA, 1),
        "behind,\ns": (families.INDEX_LAG, 1),
        "waiting": (families.WAITING, 1),
    }
    # fits into 80 columns: there are no lines, and only the state is folded
    table = Table(box=None, collapse_padding=True, pad_edge=False)
    for heading in ("process", "", *columns):
        table.add_column(heading, no_wrap=bool(heading))
    up = now.by(families.PROCESS_UP.name, "process")
    for (process,) in sorted(now.by(families.MEMORY.name, "process") | up):
        state = {1.0: "serves", 0.0: "does not serve"}.get(up.get((process,), -1.0), "")
        values = (now.by(family.name, process=process).get(()) for family, _ in columns.values())
        cells = (
            "" if value is None else f"{value * scale:,.0f}"
            for value, (_, scale) in zip(values, columns.values(), strict=True)
        )
        table.add_row(process, state, *cells)
    return table


def _state(now: Scrape) -> Table:
    table = Table("state", "")
    # both are absent while the writer is down or a reload is under way
    free_bytes = now.by(families.DISK_FREE.name).get(())
    room = "not known" if free_bytes is None else f"{free_bytes / _MIB:,.0f} MiB"
    table.add_row("room on the disk", room)
    withdrawn_s = now.by(families.OLDEST_WITHDRAWN.name).get(())
    oldest = "not known" if withdrawn_s is None else f"{withdrawn_s / _H:.1f} h"
    table.add_row("oldest withdrawn byte", "none" if withdrawn_s == 0 else oldest)
    for name, what in (
        (families.PROCESS_ENDS.name, ("role", "cause")),
        (families.DECODER_ENDS.name, ("media", "cause")),
    ):
        for (of, cause), count in sorted(now.by(f"{name}_total", *what).items()):
            if count:
                table.add_row(f"{of}: {cause.lower()}", f"{count:,.0f} since the start")
    return table


def _duration(duration_s: float | None) -> str:
    if duration_s is None:
        return ""
    return f"{1000 * duration_s:g} ms" if duration_s < 1 else f"{duration_s:g} s"
