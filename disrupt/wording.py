"""How commands word what they say: options by their names, counts with their nouns."""

from __future__ import annotations

from typing import Any

import click

from disrupt.errors import DisruptError


class Command(click.Command):
    """A command whose errors name its options and arguments, not the fields of a request.

    The parameter of an option is called as the field that it fills.
    """

    def invoke(self, context: click.Context, /) -> Any:  # noqa: ANN401 click's
        """Run the command; in an error say ``'--share'`` for ``share_percent``, as click does."""
        try:
            return super().invoke(context)
        except DisruptError as error:
            # By the text: from a running server nothing else comes.
            field, colon, what = error.message.partition(": ")
            for parameter in self.params:
                if colon and parameter.name == field:
                    hint = parameter.get_error_hint(context)
                    error.message = f"Invalid value for {hint}: {what}"
            raise


class Group(click.Group):
    """Commands whose errors name their options and arguments."""

    command_class = Command


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; ``plural`` where that is not the noun and an s."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
