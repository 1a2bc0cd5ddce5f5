"""The operators' command ``disrupt top``."""

from __future__ import annotations

import os
import time

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from disrupt.errors import UnavailableError
from disrupt.server.calls.interceptors import OK
from disrupt.server.metrics import families
from disrupt.server.metrics.scrape import Scrape, scrape

_DEFAULT = "127.0.0.1:9464"
_CALLS = f"{families.CALLS.name}_count"
_MIB = 2**20


def _own_address() -> str:
    return os.environ.get("DISRUPT_METRICS_LISTEN") or _DEFAULT


@click.command()
@click.option(
    "--metrics",
    "address",
    default=_own_address,
    show_default=f"DISRUPT_METRICS_LISTEN, or {_DEFAULT}",
    help="HOST:PORT of the server's metrics.",
)
@click.option(
    "--every",
    "pause_s",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    help="Seconds over which rates are taken.",
)
@click.option("--once", is_flag=True, help="Print once, and end.")
def top(address: str, pause_s: float, *, once: bool) -> None:
    """Watch what a server does, until Ctrl-C.

    \b
    Reads the metrics that `disrupt serve --metrics-listen` shows, and needs
    no key. Times are upper bounds of the buckets of the histograms.

    \b
    Exit codes: 0 ended by Ctrl-C, or printed once; 1 no server answers.

    \b
    Example: disrupt top --metrics 127.0.0.1:9464
    """
    url = f"http://{address}"
    console, before = Console(), scrape(url)
    if once:
        time.sleep(pause_s)
        console.print(view(scrape(url), before))
        return
    with Live(Text("..."), console=console, screen=console.is_terminal) as live:
        while True:
            try:
                time.sleep(pause_s)
                now = scrape(url)
            except KeyboardInterrupt:
                return
            except UnavailableError as error:
                live.update(Text(error.message, style="bold red"))
                continue
            live.update(view(now, before))
            before = now


def view(now: Scrape, before: Scrape) -> Group:
    """Show two scrapes: rates between them, and the present state of the later."""
    ready = Text("ready", style="green")
    if now.faults:
        ready = Text("\n".join(("not ready", *now.faults)), style="bold red")
    return Group(
        ready, _calls(now, before), _organisations(now, before), _processes(now), _state(now)
    )


def _calls(now: Scrape, before: Scrape) -> Table:
    table = Table("calls", "a second", "half within", "99 % within", "not answered")
    passed_s = now.at_s - before.at_s
    counts = now.since(before, _CALLS, "method")
    for (method,), count in sorted(counts.items()):
        within = [now.quantile(before, families.CALLS.name, q, method=method) for q in (0.5, 0.99)]
        failed = now.since(before, _CALLS, "outcome", method=method)
        told = ", ".join(
            f"{outcome} {number:g}"
            for (outcome,), number in sorted(failed.items())
            if outcome != OK
        )
        table.add_row(method, f"{count / passed_s:.1f}", *map(_duration, within), told)
    return table


def _organisations(now: Scrape, before: Scrape) -> Table:
    passed_s = now.at_s - before.at_s
    looked_up = now.since(before, f"{families.LOOKED_UP.name}_total", "organisation", "kind")
    refused = now.since(before, f"{families.REFUSED.name}_total", "organisation", "of")
    table = Table("organisation", "looked up a second", "refused")
    for name in sorted({organisation for organisation, _ in (*looked_up, *refused)}):
        rates = [
            f"{kind} {n / passed_s:.1f}" for (who, kind), n in looked_up.items() if who == name
        ]
        refusals = [f"{of} {n:g}" for (who, of), n in refused.items() if who == name]
        table.add_row(name, ", ".join(sorted(rates)), ", ".join(sorted(refusals)))
    return table


def _processes(now: Scrape) -> Table:
    table = Table(
        "process",
        "memory",
        "open files",
        "hashes",
        "since the generation",
        "behind",
        "waiting",
        "serves",
    )
    for (process,) in sorted(now.by(families.SEEN.name, "process")):
        numbers = (
            now.by(family.name, process=process).get(())
            for family in (families.OPEN_FILES, families.INDEX_HASHES, families.INDEX_DELTA)
        )
        lag_s = now.by(families.LAG.name, process=process).get(())
        waiting = now.by(families.WAITING.name, process=process).get(())
        serves = [
            service
            for (service,), value in now.by(
                families.SERVING.name, "service", process=process
            ).items()
            if value
        ]
        shown = ("" if number is None else f"{number:,.0f}" for number in (*numbers, waiting))
        files, hashes, delta, queued = shown
        memory_bytes = now.by(families.MEMORY.name, process=process).get((), 0.0)
        memory = f"{memory_bytes / _MIB:,.0f} MiB"
        behind = "" if lag_s is None else f"{lag_s:.1f} s"
        served = ", ".join(sorted(serves))
        table.add_row(process, memory, files, hashes, delta, behind, queued, served)
    return table


def _state(now: Scrape) -> Table:
    table = Table("state", "")
    free = now.by(families.DISK_FREE.name).get((), 0.0)
    table.add_row("room on the disk", f"{free / _MIB:,.0f} MiB")
    for (state,), count in sorted(now.by(families.HIDDEN.name, "state").items()):
        table.add_row(f"items {state}", f"{count:,.0f}")
    pending_s = now.by(families.ERASURE_PENDING.name).get((), 0.0)
    table.add_row(
        "withdrawn, still on disk", f"for {pending_s / 3600:.1f} h" if pending_s else "nothing"
    )
    for (role,), count in sorted(now.by(f"{families.PROCESS_ENDS.name}_total", "role").items()):
        table.add_row(f"ends of a {role}", f"{count:,.0f}")
    ends = now.by(f"{families.DECODER_ENDS.name}_total", "of", "cause")
    for (of, cause), count in sorted(ends.items()):
        table.add_row(f"decoders of {of} ended: {cause}", f"{count:,.0f}")
    return table


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:g} s"
