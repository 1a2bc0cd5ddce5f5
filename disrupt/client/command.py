"""``disrupt match``: look files or hashes up from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.table import Column, Table
from rich.text import Text

from disrupt.client import terminal
from disrupt.client.requests import MAX_MATCHES
from disrupt.client.results import HashAnswer, ImageAnswer, Match
from disrupt.client.retries import RetryPolicy
from disrupt.client.sync import MatchClient
from disrupt.core.hashes import MIN_QUALITY, OPERATOR_MAX_DISTANCE_BITS, PdqHash
from disrupt.core.transforms import IDENTITY
from disrupt.errors import DisruptError, InvalidRequestError, LimitExceededError

_RETRIES = RetryPolicy(attempts=4)

_HELP = """Look pictures up: is this a registered one?

Each FILE (JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP; HEIC with the extra "heic") is hashed on this
machine, and only hashes are sent. With --hash, the arguments are PDQ hashes of 64 hex digits
instead of files.

The key comes from --key-file or from the environment variable DISRUPT_KEY. It is no argument,
because everybody on the machine could read it in the process list.

\b
Examples:
  DISRUPT_KEY=... disrupt match upload.jpg
  disrupt match --key-file platform.key --json *.jpg
  disrupt match --key-file platform.key --hash f8f8f0cc...

With --json each input gives one line:
{"input", "quality", "matches": [{"item", "bank", "distance", "transform"}], "error"}, where error
is null or {"reason", "message"}, quality is null where it is not known, distance is in bits, and
transform says which version of the picture matched. Of an animation that is too long, frames at its
end are not looked at: their number is "frames_skipped", which is left out where it is 0.

\b
Exit codes:
  0  all inputs were looked up, whether or not something matched
  1  failed: the server cannot be reached, or refused
  2  the command is used wrongly
  3  some inputs were rejected: no picture, too featureless, no hash
"""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What became of one input."""

    source: str
    answer: HashAnswer | ImageAnswer | None = None
    error: DisruptError | None = None

    def json(self) -> dict[str, Any]:
        reason, message = self.problem()
        matches = self.answer.matches if self.answer and not reason else ()
        skipped = {"frames_skipped": self.skipped} if self.skipped else {}
        return {
            "input": self.source,
            "quality": self.answer.quality if isinstance(self.answer, ImageAnswer) else None,
            "matches": [
                {
                    "item": match.item_id,
                    "bank": match.bank,
                    "distance": match.distance_bits,
                    "transform": _transform(match),
                }
                for match in matches
            ],
            "error": {"reason": reason, "message": message} if reason else None,
            **skipped,
        }

    @property
    def skipped(self) -> int:
        """Frames of an animation that were not looked at."""
        return self.answer.frames_skipped if isinstance(self.answer, ImageAnswer) else 0

    def problem(self) -> tuple[str, str]:
        """Reason and message; empty where there is none."""
        if self.error:
            return self.error.reason, self.error.message
        if isinstance(self.answer, ImageAnswer) and self.answer.low_quality:
            return "LOW_QUALITY", (
                f"Too featureless to be told from others: quality {self.answer.quality}, "
                f"and {MIN_QUALITY} is needed. {self.answer.advice}"
            )
        return "", ""


@click.command("match", help=_HELP, no_args_is_help=True)
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option("--hash", "hashes", is_flag=True, help="The arguments are PDQ hashes, in hex.")
@click.option(
    "--max-distance",
    type=click.IntRange(0, OPERATOR_MAX_DISTANCE_BITS),
    help="Largest distance that is a match, in bits, inclusive; above the bank's own, 31 unless it"
    " says otherwise, for operators' keys only.  [default: the bank's own]",
)
@click.option(
    "--max-matches",
    type=click.IntRange(1, 1000),
    default=MAX_MATCHES,
    show_default=True,
    help="Most items answered per input, nearest first.",
)
@click.option(
    "--bank",
    "banks",
    multiple=True,
    help="Bank to search; may be repeated.  [default: all that the key may search]",
)
@click.option(
    "--send-pictures",
    is_flag=True,
    help="Send the files: the server decodes and hashes them, in memory.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per input, one per line.")
@terminal.connection_options(
    server="Server to ask, HOST:PORT. TLS is used beyond this machine.",
    key_file="File that holds the key.  [default: the environment variable DISRUPT_KEY]",
    tls_ca="PEM file of the authorities to trust.  [default: the system's]",
    no_key="There is no key, or its file cannot be read: name a file with --key-file, or set "
    "DISRUPT_KEY.",
)
def match(
    *,
    inputs: tuple[str, ...],
    hashes: bool,
    max_distance: int | None,
    max_matches: int,
    banks: tuple[str, ...],
    send_pictures: bool,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Look up, print, and end with the exit code."""
    narrow: dict[str, Any] = {
        "max_distance_bits": max_distance,
        "max_matches": max_matches,
        "banks": banks,
    }
    found = []
    with MatchClient(
        target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
    ) as client:
        if hashes:
            looked: Iterable[_Looked] = _look_up_hashes(client, inputs, narrow)
        else:
            narrow["hash_locally"] = not send_pictures
            looked = terminal.with_progress(
                _look_up_files(client, inputs, narrow), len(inputs), "Looking up"
            )
        for one in looked:
            found.append(one)
            if as_json:
                terminal.print_json(one.json())
    failure = next((one.error for one in found if one.error and _is_general(one.error)), None)
    if not as_json:
        _print_table([one for one in found if not (one.error and _is_general(one.error))])
    if failure:
        raise failure
    if any(one.problem()[0] for one in found):
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


def _look_up_files(
    client: MatchClient, paths: Sequence[str], narrow: dict[str, Any]
) -> Iterator[_Looked]:
    failure = None
    for path in paths:
        if failure is None:
            try:
                yield _Looked(path, client.match_image(path, **narrow))
            except DisruptError as error:
                yield _Looked(path, error=error)
                failure = error if _is_general(error) else None
        else:
            yield _Looked(path, error=failure)


def _look_up_hashes(
    client: MatchClient, texts: Sequence[str], narrow: dict[str, Any]
) -> Iterator[_Looked]:
    parsed: list[PdqHash | InvalidRequestError] = []
    for text in texts:
        try:
            parsed.append(PdqHash.from_hex(text))
        except InvalidRequestError as error:
            parsed.append(error)
    hashes = [one for one in parsed if isinstance(one, PdqHash)]
    answers: Iterator[HashAnswer] = iter(())
    failure = None
    try:
        answers = iter(client.match_hashes(hashes, **narrow))
    except DisruptError as error:
        failure = error
    for text, one in zip(texts, parsed, strict=True):
        if isinstance(one, PdqHash):
            yield _Looked(text, None if failure else next(answers), failure)
        else:
            yield _Looked(text, error=one)


def _is_general(error: DisruptError) -> bool:
    """Whether the error would come for every input, and not for this one only."""
    if isinstance(error, InvalidRequestError):
        return any(violation.field.startswith("options") for violation in error.violations)
    return not isinstance(error, LimitExceededError)


def _transform(match: Match) -> str:
    """Versions of the two sides that agree; where only one is not as it is, that one."""
    stored = str(match.transform) if match.transform else f"plan {match.plan}:{match.ordinal}"
    if match.query_transform == IDENTITY:
        return stored
    if match.transform == IDENTITY:
        return str(match.query_transform)
    return f"{match.query_transform} / {stored}"


def _print_table(looked: Sequence[_Looked]) -> None:
    if not looked:
        return
    item = Column("item", min_width=16, overflow="fold")  # whole at any width: two lines of 16
    bits = Column("bits", justify="right")
    table = Table("input", Column("quality", justify="right"), item, "bank", bits, "transform")
    rejected = Table("input", "why it was not looked up")
    for one in looked:
        row = one.json()
        quality = "" if row["quality"] is None else str(row["quality"])
        source = terminal.clean(one.source)
        if one.skipped:
            source += f" (without its last {one.skipped} frames, which were not looked at)"
        label = Text(source, overflow="fold")
        if row["error"]:
            rejected.add_row(label, Text(terminal.clean(row["error"]["message"])))
        elif not row["matches"]:
            table.add_row(label, quality, Text("no match", "dim"))
        for match in row["matches"]:
            table.add_row(
                label,
                quality,
                Text(match["item"]),
                Text(terminal.clean(match["bank"])),
                str(match["distance"]),
                Text(match["transform"]),
            )
            label, quality = Text(), ""
    for shown in (table, rejected):
        if shown.rows:
            terminal.output().print(shown)
