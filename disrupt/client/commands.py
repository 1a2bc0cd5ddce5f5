"""``disrupt match``: look files or hashes up from the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from disrupt.client import rows, terminal
from disrupt.client.media import open_media, read_whole, shows_video
from disrupt.client.requests import MAX_MATCHES
from disrupt.client.results import HashAnswer, ImageAnswer, VideoAnswer
from disrupt.client.retries import RetryPolicy
from disrupt.client.sync import MatchClient
from disrupt.core.hashes import OPERATOR_MAX_DISTANCE_BITS, PdqHash
from disrupt.core.lookups import Effort, Extent
from disrupt.core.vpdq import parse_vpdq
from disrupt.errors import (
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    UnimplementedError,
    UnreadableMediaError,
)

_RETRIES = RetryPolicy(attempts=4)
_VIDEO_TIMEOUT_S = 86_400.0
"""A day: hashing takes as long as the file is, and whoever waits sees the progress."""

_HELP = """Look pictures and videos up: is this a registered one?

Each FILE is hashed on this machine, and only hashes are sent: JPEG, PNG, WebP, AVIF, GIF, TIFF,
BMP; HEIC with the extra "heic"; MP4, QuickTime, WebM, Matroska, AVI, MPEG, FLV, WMV and Ogg with
the extra "video". With --hash, the arguments are PDQ hashes of 64 hex digits instead of files; with
--vpdq, files of hashed frames, a line each: number,quality,hash,seconds.

The key comes from --key-file or from the environment variable DISRUPT_KEY. It is no argument,
because everybody on the machine could read it in the process list.

\b
Examples:
  DISRUPT_KEY=... disrupt match upload.jpg
  disrupt match --key-file platform.key --json *.jpg
  disrupt match --key-file platform.key --hash f8f8f0cc...
  disrupt match --key-file platform.key --self-test

With --json each input gives one line:
{"input", "quality", "matches": [{"item", "bank", "assurance", "match_id", "distance",
"extent", "query_transform", "stored_transform"}], "error"}, where error is null or {"reason",
"message"}, quality is null where it is not known, assurance is "self_reported", "reviewed" or
"imported", match_id, in hex, proves the answer, and distance is in bits. extent is "whole" where
the whole of your picture or of the registered one agrees, or nearly, "part" where only a part of
both does, such as a background, and else "unknown". The transforms say which versions were nearest,
of your file and of the registered one: turned or mirrored, then with so many thousandths of its
sides cut off, left, top, right, bottom. Of an animation that is too long, frames at its end are not
looked at: their number is "frames_skipped", 1 more where other parts of any file were not, such as
the rest of one that ends early; it is left out where it is 0. A match of a video has also
"segments", each [start, end, stored start, stored end] in ms, "query_share" and "stored_share", in
thousandths of the frames, and "common_only", true where that is a scene that many registered videos
have, such as an intro; of a video whose file ends early, is broken, or holds another video that was
not looked at, "incomplete" is true. "common" is true of a match where something in common use, such
as a template, is as near, and "disputed" of one which your organisation has reported as a false
positive; they are left out of others. "regions", of a match in part, counts the regions that the
content of the registered picture marks among the eight nearest versions that agree.

\b
Exit codes:
  0  all inputs were looked up, whether or not something matched
  1  failed: the server cannot be reached, or refused
  2  the command is used wrongly
  3  some inputs were not looked up: not readable, no picture, too featureless, no hash
"""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The answer or the error of one input."""

    source: str
    answer: HashAnswer | ImageAnswer | VideoAnswer | None = None
    error: DisruptError | None = None

    def json(self) -> dict[str, Any]:
        return {"input": self.source, **rows.row(self.answer, self.error)}

    @property
    def skipped(self) -> int:
        """Number of frames of an animation that were not looked up."""
        return self.answer.frames_skipped if isinstance(self.answer, ImageAnswer) else 0

    @property
    def incomplete(self) -> bool:
        """True if a video's file ends early, is broken or holds another video."""
        return isinstance(self.answer, VideoAnswer) and self.answer.incomplete

    def problem(self) -> tuple[str, str]:
        return rows.problem(self.answer, self.error)


def json_line(source: str, answer: HashAnswer) -> dict[str, Any]:
    """Return the answer to an input, or to a hash of it, as ``--json`` prints it."""
    return _Outcome(source, answer).json()


@click.command("match", help=_HELP, no_args_is_help=True)
@click.argument("inputs", metavar="FILE...", nargs=-1)
@click.option("--hash", "kind", flag_value="hash", help="The arguments are PDQ hashes, in hex.")
@click.option("--vpdq", "kind", flag_value="vpdq", help="The files are in vPDQ's text form.")
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
    "--effort",
    type=click.Choice([effort.name.lower() for effort in Effort], case_sensitive=False),
    default=Effort.STANDARD.name.lower(),
    show_default=True,
    help="How many edited versions are looked for; fast: the file as it is.",
)
@click.option(
    "--whole-only",
    is_flag=True,
    help="Leave out matches of only a part of both pictures, such as a background. Not of hashes.",
)
@click.option(
    "--leave-out-common",
    is_flag=True,
    help="Leave out matches that something in common use explains as well, such as a template. Not"
    " of videos.",
)
@click.option(
    "--send-pictures",
    is_flag=True,
    help="Send the files: the server decodes and hashes them, in memory.",
)
@click.option(
    "--self-test",
    "is_self_test",
    is_flag=True,
    help="Look a generated picture up, instead of files: do server, key and lookups work?",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per input, one per line.")
@terminal.connection_options()
def match(  # noqa: PLR0913 one for each option
    *,
    inputs: tuple[str, ...],
    kind: str | None,
    max_distance: int | None,
    max_matches: int,
    banks: tuple[str, ...],
    effort: str,
    whole_only: bool,
    leave_out_common: bool,
    send_pictures: bool,
    is_self_test: bool,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Look up, print, and end with the exit code."""
    if is_self_test == bool(inputs) or (is_self_test and (kind or banks or as_json)):
        raise click.UsageError(
            "Give files or hashes to look up, or --self-test, with --send-pictures at most."
        )
    narrow: dict[str, Any] = {
        "max_distance_bits": max_distance,
        "max_matches": max_matches,
        "banks": banks,
        "leave_out_common": leave_out_common,
    }
    with MatchClient(
        target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
    ) as client:
        if is_self_test:
            # drawing and encoding pictures takes modules that lookups do without
            from disrupt.client.self_test import self_test

            for line in self_test(client, send_pictures=send_pictures):
                click.echo(line)
            return
        if kind == "hash":
            outcomes = _shown(_look_up_hashes(client, inputs, narrow), as_json=as_json)
        else:
            with terminal.Progress(len(inputs), "Looking up") as progress:
                narrow |= {"effort": Effort[effort.upper()], "whole_only": whole_only}
                look = _Files(client, narrow, kind == "vpdq", send_pictures, progress.within)
                looked = progress.files(_look_up_files(look, inputs))
                outcomes = _shown(looked, as_json=as_json)
    failure = next(
        (outcome.error for outcome in outcomes if outcome.error and _is_general(outcome.error)),
        None,
    )
    if not as_json:
        _print_answers(
            [outcome for outcome in outcomes if not (outcome.error and _is_general(outcome.error))]
        )
    if failure:
        raise failure
    if any(outcome.problem()[0] for outcome in outcomes):
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


def _shown(outcomes: Iterable[_Outcome], *, as_json: bool) -> list[_Outcome]:
    """Collect all outcomes; as JSON, print each when it comes."""
    collected = []
    for outcome in outcomes:
        collected.append(outcome)
        if as_json:
            terminal.print_json(outcome.json())
    return collected


@dataclass(frozen=True, slots=True)
class _Files:
    """Settings with which files are looked up."""

    client: MatchClient
    narrow: dict[str, Any]
    vpdq: bool
    send: bool
    watched: Callable[[int, int], None]

    def answer(self, path: str) -> ImageAnswer | VideoAnswer:
        """Look up one file."""
        with open_media(path) as file:
            if self.vpdq:
                frames = parse_vpdq(read_whole(file).decode("utf-8", "replace"))
                return self.client.match_video(frames, **self.narrow)
            here: dict[str, Any] = self.narrow | {"hash_locally": not self.send}
            if shows_video(file):
                return self.client.match_video(
                    path, watched=self.watched, timeout_s=_VIDEO_TIMEOUT_S, **here
                )
            return self.client.match_image(read_whole(file), **here)


def _look_up_files(files: _Files, paths: Sequence[str]) -> Iterator[_Outcome]:
    failure = None
    for path in paths:
        if failure is None:
            try:
                yield _Outcome(path, files.answer(path))
            except DisruptError as error:
                yield _Outcome(path, error=error)
                failure = error if _is_general(error) else None
        else:
            yield _Outcome(path, error=failure)


def _look_up_hashes(
    client: MatchClient, texts: Sequence[str], narrow: dict[str, Any]
) -> Iterator[_Outcome]:
    parsed: list[PdqHash | InvalidRequestError] = []
    for text in texts:
        try:
            parsed.append(PdqHash.from_hex(text))
        except InvalidRequestError as error:
            parsed.append(error)
    hashes = [value for value in parsed if isinstance(value, PdqHash)]
    answers: Iterator[HashAnswer] = iter(())
    failure = None
    try:
        answers = iter(client.match_hashes(hashes, **narrow))
    except DisruptError as error:
        failure = error
    for text, value in zip(texts, parsed, strict=True):
        if isinstance(value, PdqHash):
            yield _Outcome(text, None if failure else next(answers), failure)
        else:
            yield _Outcome(text, error=value)


def _is_general(error: DisruptError) -> bool:
    """Tell whether every input would get this error, not this one only."""
    if isinstance(error, InvalidRequestError):
        return any(violation.field.startswith("options") for violation in error.violations)
    return not isinstance(error, (LimitExceededError, UnimplementedError, UnreadableMediaError))


def _clock(time_ms: int) -> str:
    minutes, seconds = divmod(time_ms // 1000, 60)
    return f"{minutes}:{seconds:02}"


def _label(outcome: _Outcome) -> str:
    label = terminal.clean(outcome.source)
    if outcome.skipped:
        label += f" (a part: it has {outcome.skipped} more frames or pages, or ends early)"
    if outcome.incomplete:
        label += " (a part: the file ends early, is broken, or holds another video)"
    return label


def _print_answers(outcomes: Sequence[_Outcome]) -> None:
    """Print each input on a line, its matches below it, without breaking item ids."""
    for outcome in outcomes:
        row = outcome.json()
        quality = "" if row["quality"] is None else f", quality {row['quality']}"
        if row["error"]:
            result = f"not looked up: {terminal.clean(row['error']['message'])}"
        else:
            count = len(row["matches"])
            result = f"{count or 'no'} match{'es' if count > 1 else ''}"
        click.echo(f"{_label(outcome)}: {result}{quality}")
        for match in row["matches"]:
            versions = " / ".join(
                dict.fromkeys((match["query_transform"], match["stored_transform"]))
            )
            bank = terminal.clean(match["bank"])
            part = ", a part of both" if match["extent"] == Extent.PART.value else ""
            if match.get("regions"):
                part += f" in {match['regions']} of its regions"
            common = ", a scene that many videos have" if match.get("common_only") else ""
            common += ", as near to something in common use" if match.get("common") else ""
            common += ", disputed by your organisation" if match.get("disputed") else ""
            click.echo(
                f"  {match['item']}  {bank}, {match['distance']} bits, {versions}{part}{common}"
            )
            for start_ms, end_ms, *_ in match.get("segments", ()):
                click.echo(f"    at {_clock(start_ms)}-{_clock(end_ms)}")
