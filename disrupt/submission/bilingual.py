"""Commands whose errors are French first, and say that nothing was changed where that is sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console

from disrupt.client import terminal
from disrupt.client.language import in_line
from disrupt.errors import DisruptError
from disrupt.submission import reasons, texts
from disrupt.submission.client import SubmissionClient
from disrupt.submission.showing import NotShownError, say
from disrupt.submission.usage import Mistyped, mistyped
from disrupt.texts import Phrase


class EndedError(Exception):
    """Ends a command with a phrase and an exit code."""

    def __init__(self, phrase: Phrase, code: int) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase
        self.code = code


class BilingualCommand(click.Command):
    """A command whose errors are French first.

    ``unchanged`` is printed after an error or an interrupt that the command raises, unless its
    client may have changed a case. ``advice`` replaces what ``reasons.explain`` says of errors, by
    their reason.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 click's
        unchanged: Phrase | None = None,
        advice: Mapping[str, Phrase] | None = None,
        **kwargs: Any,  # noqa: ANN401 click's
    ) -> None:
        super().__init__(*args, **kwargs)
        self._unchanged = unchanged
        self._advice = advice or {}

    def parse_args(self, context: click.Context, args: list[str], /) -> list[str]:
        """Say in French that the command is mistyped, before click explains it in English."""
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            raise mistyped(error, context) from error

    def invoke(self, context: click.Context, /) -> Any:  # noqa: ANN401 click's
        """Run the command; explain errors in French first, with the server's words below."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise Mistyped(error.message, context) from error
        except DisruptError as error:
            self._fail(context, self._advice.get(error.reason) or reasons.explain(error))
            detail = f"{error.reason}: {terminal.clean(error.message)}"
            click.echo(f"({in_line(texts.DETAIL)}: {detail})", err=True)
            context.exit(terminal.exit_code(error))
        except NotShownError as error:
            complain(error.phrase)
            context.exit(terminal.EXIT_FAILED)
        except EndedError as error:
            complain(error.phrase)
            context.exit(error.code)
        except (KeyboardInterrupt, click.Abort):
            self._fail(context, texts.INTERRUPTED)
            context.exit(terminal.EXIT_FAILED)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if _may_have_changed(context):
                raise
            self._fail(context, texts.UNFORESEEN)
            click.echo(f"({in_line(texts.DETAIL)}: {type(error).__name__})", err=True)
            context.exit(terminal.EXIT_FAILED)

    def _fail(self, context: click.Context, phrase: Phrase) -> None:
        """Say what happened, and that nothing was changed where that is certain."""
        unchanged = None if _may_have_changed(context) else self._unchanged
        complain(phrase, *([unchanged] if unchanged else []))


def _may_have_changed(context: click.Context) -> bool:
    client = context.find_object(SubmissionClient)
    return client is not None and client.may_have_changed


def complain(*phrases: Phrase) -> None:
    """Print phrases on standard error."""
    for phrase in phrases:
        say(Console(stderr=True, highlight=False), phrase, style="bold")
