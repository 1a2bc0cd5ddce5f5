"""The operators' command ``disrupt lists``: partners' lists in."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import structlog

from disrupt import logs, ownership
from disrupt.admin.v1 import admin_pb2
from disrupt.client.terminal import clean
from disrupt.core.lists import ListEntry
from disrupt.errors import ConfigurationError, DisruptError, NotFoundError, UnavailableError
from disrupt.lists.fetching import Http, check_address
from disrupt.lists.pages import Ask, ListReadError
from disrupt.lists.running import READERS, Run
from disrupt.operators.banks import policy_of, policy_options
from disrupt.operators.options import FILE, data_dir_option, json_option
from disrupt.operators.printing import report, show
from disrupt.server.desk import Desk, open_desk
from disrupt.wire import banks as wire_banks
from disrupt.wire import lists as wire

_BACKOFF_S, _BACKOFF_MAX_S = 60, 6 * 3600
"""Pause after a failed run of all lists, doubled with each further one."""
_SECRETS_BYTES_MAX = 10_000
_LOCK = "lists.lock"
_H = 3600.0

_log = structlog.get_logger(__name__)


@click.group()
def lists() -> None:
    """Read partners' lists of hashes, each into a bank of its own; while the server runs.

    What a partner withdraws is withdrawn here with the next run. No key sees the bank of a new
    list: `disrupt keys change` lets it.

    \b
    Exit codes: 0 done, 1 refused, or a list could not be read, 2 wrong usage.

    \b
    Example: disrupt lists add partner --kind file --path /srv/list.csv --data-dir data
    """
    logs.configure("lists", "warning")


@lists.command()
@click.argument("name")
@data_dir_option
@click.option("--kind", type=click.Choice(list(READERS)), required=True, help="Kind of source.")
@click.option("--url", help="Address of the source, without a `/` at its end.  [its own]")
@click.option(
    "--credentials",
    type=FILE,
    help="JSON file for the server's user alone to read: subscription_key, fetch_key and"
    " feedback_key of stopncii, user and password of ncmec, access_token of threatexchange.",
)
@click.option("--group", help="Privacy group of threatexchange.")
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="List of kind file: NAME.csv with a column `hash`, JSON Lines, or a directory of videos as"
    " vPDQ writes them, NAME.txt each.",
)
@policy_options
def add(
    name: str,
    data_dir: Path,
    kind: str,
    url: str | None,
    credentials: Path | None,
    **options: Any,  # noqa: ANN401 of each kind, and of the bank
) -> None:
    """Add the list NAME, and the bank NAME for it, unless there is one. Nothing is read yet.

    \b
    Example: disrupt lists add ncii --kind stopncii --credentials /etc/disrupt/ncii.json \\
      --data-dir data
    """
    path = options.pop("path")
    of_kind = {"group": options.pop("group"), "path": path and path.absolute()}
    source, policy = _source(kind, url, credentials, of_kind), policy_of(**options)
    request = admin_pb2.AddListRequest(
        name=name, source=json.dumps(source), policy=wire_banks.create_request(name, policy).policy
    )
    with open_desk(data_dir) as desk:
        desk.AddList(request)
    report(f"Added the list {name}. `disrupt lists run {name}` reads it.")


def _source(
    kind: str, url: str | None, credentials: Path | None, options: Mapping[str, object]
) -> dict[str, str]:
    """Return what is kept of a source; usage errors for what it lacks, or does not have."""
    reader, source = READERS[kind], {"kind": kind}
    for name, value in options.items():
        if (value is not None) != (name in reader.options):
            raise click.UsageError(f"--{name} is of another kind of source, or missing.")
        if value is not None:
            source[name] = str(value)
    if reader.url:
        source["url"] = url or reader.url
        check_address(source["url"])
    if (credentials is not None) != bool(reader.secrets):
        raise click.UsageError("--credentials are of another kind of source, or missing.")
    if credentials is not None:
        _secrets(credentials, reader.secrets)
        source["credentials"] = str(credentials.absolute())
    return source


def _secrets(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Read credentials, whose names must be there. Raises ConfigurationError."""
    try:
        with path.open("rb") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise ConfigurationError(
                    f"Others may read {path}: chmod 600.", setting="credentials"
                )
            values = json.loads(opened.read(_SECRETS_BYTES_MAX))
        if all(isinstance(values[name], str) for name in names):
            return dict(values)
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}."
        raise ConfigurationError(text, setting="credentials") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    text = f"{path} is no JSON object with the texts {', '.join(names)}."
    raise ConfigurationError(text, setting="credentials")


@lists.command()
@click.argument("names", nargs=-1)
@data_dir_option
@click.option(
    "--every", type=click.IntRange(60), metavar="SECONDS", help="Go on, with so long a pause."
)
@click.option(
    "--feedback", is_flag=True, help="Tell sources that take it what platforms did with matches."
)
@click.option(
    "--accept-shrink", is_flag=True, help="Take a file with less than half of its entries before."
)
def run(
    names: tuple[str, ...],
    data_dir: Path,
    every: int | None,
    *,
    feedback: bool,
    accept_shrink: bool,
) -> None:
    """Read the lists NAMES, all by default; of all, those that failed lately are left out.

    \b
    Example: disrupt lists run --data-dir data
    """
    ownership.check(data_dir)
    with _alone(data_dir):
        while True:
            failed = _run_all(data_dir, names, feedback=feedback, may_shrink=accept_shrink)
            if every is None:
                break
            time.sleep(every)
    if failed:
        raise SystemExit(1)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Keep another run from bringing back what this one withdraws."""
    lock = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UnavailableError("Lists are being read already.") from None
    finally:
        os.close(lock)


def _run_all(data_dir: Path, names: tuple[str, ...], *, feedback: bool, may_shrink: bool) -> bool:
    """Run lists once; tell whether any failed."""
    with open_desk(data_dir) as desk:
        if isinstance(desk, Desk):  # which would keep a server from starting for as long
            raise UnavailableError("No server runs with this data directory: start it first.")
        known = {kept.name: kept for kept in desk.ListLists(admin_pb2.ListListsRequest()).lists}
        for name in names:
            if name not in known:
                raise NotFoundError(f"There is no list {name!r}. `disrupt lists status` shows all.")
        failed = False
        for name, kept in known.items():
            if name in names or (not names and not kept.is_removed and _is_due(kept)):
                options = {"feedback": feedback, "may_shrink": may_shrink}
                failed |= not run_list(desk, kept, Http().ask, now_s=int(time.time()), **options)
    return failed


def _is_due(kept: admin_pb2.List) -> bool:
    pause_s = min(_BACKOFF_S * 2 ** min(kept.failures - 1, 20), _BACKOFF_MAX_S)
    return not kept.failures or time.time() >= kept.tried_s + pause_s


def run_list(
    desk: Desk,
    kept: admin_pb2.List,
    ask: Ask,
    *,
    now_s: int,
    feedback: bool = False,
    may_shrink: bool = False,
) -> bool:
    """Read a list to its end, and note how that ended; tell whether it did well."""

    def apply(
        entries: list[ListEntry], checkpoint: str | None, before_s: int
    ) -> tuple[Mapping[str, int], bool]:
        answer = desk.ApplyList(wire.apply_request(kept.name, entries, checkpoint, before_s))
        return wire.skipped(answer.skipped), answer.is_more

    skipped, failure = Counter[str](), ""
    try:
        source = json.loads(kept.source)
        reader, secrets = READERS[source["kind"]], dict[str, str]()
        if reader.secrets:
            secrets = _secrets(Path(source["credentials"]), reader.secrets)
        pages = reader.pages(source, secrets, ask, kept.checkpoint, now_s)
        Run(apply, kept.entries, may_shrink, skipped).take(pages)
        if feedback and reader.tell is not None:
            _tell(desk, kept.name, source, secrets, ask)
    except DisruptError as error:
        failure = error.code if isinstance(error, ListReadError) else error.reason.lower()
        _log.warning("list_not_read", list=kept.name, failure=failure)
        click.echo(f"{kept.name}: {clean(error.message)}", err=True)
    note = admin_pb2.NoteListRunRequest(
        name=kept.name, failure=failure, skipped=wire.skipped_messages(+skipped)
    )
    desk.NoteListRun(note)
    return not failure


def _tell(
    desk: Desk, name: str, source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask
) -> None:
    """Tell a source what it was not told; what it refuses waits in the registry."""
    tell = READERS[source["kind"]].tell
    told = list[admin_pb2.ListFeedback]()
    while tell is not None:
        request = admin_pb2.ReadListFeedbackRequest(name=name, told=told)
        told = list(desk.ReadListFeedback(request).feedback)
        if not told:
            return
        if source["kind"] == "stopncii" and "feedback_key" not in secrets:
            raise ConfigurationError("The credentials have no feedback_key.", setting="credentials")
        tell(source, secrets, ask, [wire.feedback(feedback) for feedback in told])


@lists.command()
@data_dir_option
@json_option
def status(data_dir: Path, *, as_json: bool) -> None:
    """Show lists: how many entries each has, how old it is, why it failed, and what was skipped."""
    with open_desk(data_dir) as desk:
        rows = [_row(kept) for kept in desk.ListLists(admin_pb2.ListListsRequest()).lists]
    if as_json:
        show(json.dumps({"lists": rows}))
        return
    show("\n".join(map(_line, rows)) or "There is no list.")


def _row(kept: admin_pb2.List) -> dict[str, Any]:
    read_s = kept.read_s or None
    return {
        "name": kept.name,
        "source": json.loads(kept.source),
        "entries": kept.entries,
        "read_s": read_s,
        "age_s": None if read_s is None else max(int(time.time()) - read_s, 0),
        "failure": kept.failure,
        "failures": kept.failures,
        "skipped": wire.skipped(kept.skipped),
        "is_removed": kept.is_removed,
    }


def _line(row: Mapping[str, Any]) -> str:
    read = "never read" if row["age_s"] is None else f"read {row['age_s'] / _H:.1f} hours ago"
    parts = [f"{row['name']}: {row['source']['kind']}, {row['entries']} entries, {read}"]
    if row["failure"]:
        parts.append(f"failed {row['failures']} times: {row['failure']}")
    if row["skipped"]:
        skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(row["skipped"].items()))
        parts.append(f"skipped {skipped}")
    if row["is_removed"]:
        parts.append("being removed: run `disrupt lists remove` again")
    return "; ".join(parts)


@lists.command()
@click.argument("name")
@data_dir_option
def remove(name: str, data_dir: Path) -> None:
    """Withdraw all items of the list NAME, and forget it. Its bank stays.

    \b
    Example: disrupt lists remove partner --data-dir data
    """
    request, is_done = admin_pb2.RemoveListRequest(name=name), False
    with open_desk(data_dir) as desk:
        while not is_done:
            is_done = desk.RemoveList(request).is_done
    report(f"Removed the list {name}; all of its items are withdrawn.")
