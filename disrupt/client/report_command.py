"""``disrupt report``: tell the hotline what came of matches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from disrupt.client import terminal
from disrupt.client.arguments import invalid
from disrupt.client.retries import RetryPolicy
from disrupt.client.sync import MatchClient
from disrupt.core.outcomes import MatchOutcome
from disrupt.errors import DisruptError, InvalidRequestError, NotFoundError

_RETRIES = RetryPolicy(attempts=4)
_OUTCOMES = {outcome.name.lower(): outcome for outcome in MatchOutcome}

_HELP = """Tell the hotline what came of a match.

MATCH_ID is the "match_id" that `disrupt match --json` prints. OUTCOME is one of

\b
  blocked         the upload was stopped or taken down
  not_blocked     it was the registered picture, and stays up
  pending_review  people are looking at it
  false_positive  it was another picture

A report may be repeated. Of each match the last outcome counts that your organisation reported.
With - instead of MATCH_ID and OUTCOME, reports are read from standard input, one JSON object a
line: {"match_id", "outcome"}; other names are ignored.

The key comes from --key-file or from the environment variable DISRUPT_KEY: the one that looked up,
or another one of your organisation.

\b
Examples:
  disrupt report 01506f3c... blocked
  disrupt match --json upload.jpg |
    jq -c '.matches[] + {outcome: "blocked"}' | disrupt report -

With --json each report gives one line: {"match_id", "outcome", "error"}, where error is null or
{"reason", "message"}.

\b
Exit codes:
  0  all reports were noted
  1  failed: the server cannot be reached, or refused; repeat this report and
     those after it, which is safe
  2  the command is used wrongly
  3  some reports were not noted: no match id of your organisation, a picture
     that was withdrawn, or a line of standard input that is no report
"""


@dataclass(frozen=True, slots=True)
class _Report:
    """A report as it was written."""

    match_id: str
    outcome: str

    def parsed(self) -> tuple[bytes, MatchOutcome]:
        """Return match id and outcome. Raises InvalidRequestError."""
        try:
            match_id = bytes.fromhex(self.match_id)
        except ValueError:
            match_id = b""
        if not match_id:
            raise invalid("match_id", "write it in hex, as `disrupt match --json` prints it")
        outcome = _OUTCOMES.get(self.outcome.lower())
        if outcome is None:
            raise invalid("outcome", f"say one of {', '.join(_OUTCOMES)}")
        return match_id, outcome

    def show(self, error: DisruptError | None, *, as_json: bool) -> None:
        """Print what became of it."""
        if as_json:
            problem = {"reason": error.reason, "message": error.message} if error else None
            terminal.print_json(
                {"match_id": self.match_id, "outcome": self.outcome, "error": problem}
            )
        else:
            result = f"not noted: {error.message}" if error else "noted"
            click.echo(terminal.clean(f"{self.match_id} {self.outcome}: {result}"))


@click.command("report", help=_HELP, no_args_is_help=True)
@click.argument("match_id", metavar="MATCH_ID|-")
@click.argument("outcome", metavar="[OUTCOME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per report, one per line.")
@terminal.connection_options()
def report(*, match_id: str, outcome: str | None, as_json: bool, target: terminal.Target) -> None:
    """Report, print, and end with the exit code."""
    some_rejected = False
    with MatchClient(
        target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
    ) as client:
        for each in _given(match_id, outcome):
            error = None
            try:
                client.report_outcome(*each.parsed())
            except (InvalidRequestError, NotFoundError) as refused:
                error, some_rejected = refused, True
            except DisruptError as failure:
                if as_json:
                    each.show(failure, as_json=True)
                raise
            each.show(error, as_json=as_json)
    if some_rejected:
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


def _given(match_id: str, outcome: str | None) -> Iterable[_Report]:
    """Return the reports to send. Raises UsageError."""
    if match_id == "-":
        if outcome is not None:
            raise click.UsageError("With -, outcomes come from standard input: name none here.")
        return _read(sys.stdin.buffer)
    given = _Report(match_id, outcome or "")
    try:
        given.parsed()
    except InvalidRequestError as error:
        raise click.UsageError(f"{error.message}.") from None
    return [given]


def _read(lines: Iterable[bytes]) -> Iterator[_Report]:
    """Yield the report of each line that is not blank; one that is none has empty fields."""
    for line in lines:
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            fields = value if isinstance(value, dict) else {}
            yield _Report(str(fields.get("match_id", "")), str(fields.get("outcome", "")))
