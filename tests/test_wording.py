"""Commands word errors about options, and counts."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.errors import DisruptError
from disrupt.wording import Command, counted


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("share_percent: 0 is too small", "Invalid value for '--share': 0 is too small"),
        ("name: a: b", "Invalid value for 'NAME': a: b"),
        ("other: 0 is too small", "other: 0 is too small"),
        ("share_percent", "share_percent"),
    ],
)
def test_an_error_names_the_option_and_not_the_field(message: str, said: str) -> None:
    @click.command(cls=Command)
    @click.argument("name")
    @click.option("--share", "share_percent")
    def change(**_: object) -> None:
        raise DisruptError(message)

    done = CliRunner().invoke(change, ["a"])
    assert isinstance(done.exception, DisruptError)
    assert done.exception.message == said


@pytest.mark.parametrize(
    "group", ["banks", "items", "keys", "negatives", "organisations", "review"]
)
def test_the_commands_of_staff_and_operators_name_their_options(group: str) -> None:
    context = click.Context(main)
    commands = main.get_command(context, group)
    assert isinstance(commands, click.Group)
    assert any(isinstance(command, Command) for command in commands.commands.values())


def test_a_count_of_one_has_a_noun_in_the_singular() -> None:
    assert [counted(number, "item") for number in (0, 1, 2)] == ["0 items", "1 item", "2 items"]
    assert [counted(number, "hash", "hashes") for number in (1, 2)] == ["1 hash", "2 hashes"]
