"""Run the commands against a real server: in this process or, where that is the claim, apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from disrupt.cli import main
from disrupt.client import MatchClient
from disrupt.core.cases import AgeBand
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Submission
from rig.callers.said import said
from rig.waiting import eventually

BIN = Path(sys.executable).parent

PLAIN_LOCALE = {"LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> set[str]:
        """The keys of the texts that it printed."""
        return said(self.out, self.err)

    @property
    def json(self) -> Any:
        """Its standard output, as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Each line of its standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def typed(*arguments: str | Path, stdin: str = "", **variables: str | None) -> Done:
    """Run ``disrupt`` in this process, with these variables and no other DISRUPT ones.

    The commands for people affected speak French, unless a variable says otherwise.
    """
    env = {name: None for name in os.environ if "DISRUPT" in name} | PLAIN_LOCALE | variables
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke(main, words, env=env, input=stdin, prog_name="disrupt")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return Done(done.exit_code, done.stdout, done.stderr)


def run(*arguments: str | Path, stdin: str = "", **variables: str | None) -> Done:
    """Do what ``typed`` does, in a process of its own."""
    usual = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
    given = {name: value for name, value in (PLAIN_LOCALE | variables).items() if value is not None}
    done = subprocess.run(
        [BIN / "disrupt", *arguments],
        env=usual | given,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Shell:
    """Run ``disrupt`` with the address and the keys of one server."""

    address: str
    register_key: str
    match_key: str

    def __call__(
        self,
        *arguments: str | Path,
        key: str | None = None,
        pin: str | None = None,
        server: str | None = None,
        stdin: str = "",
        apart: bool = False,
        **variables: str,
    ) -> Done:
        """Run a command in this process, or ``apart`` in one of its own."""
        if key is None:
            key = self.match_key if arguments[0] == "match" else self.register_key
        return (run if apart else typed)(
            *arguments,
            stdin=stdin,
            DISRUPT_SERVER=server or self.address,
            DISRUPT_KEY=key or None,
            DISRUPT_PIN=pin,
            **variables,
        )

    def registered(self, *files: Path, age: AgeBand = AgeBand.ADULT) -> Submission:
        """Register without a process of its own, where the command is not what is tested."""
        with SubmissionClient(self.address, key=self.register_key) as client:
            return client.submit(files, age=age)

    def match(self, file: Path, *, until: int) -> list[Any]:
        """Return the matches of ``match --json``, once every worker finds ``until`` of them."""
        with MatchClient(self.address, key=self.match_key) as client:
            eventually(
                lambda: all(len(client.match_image(file).matches) == until for _ in range(8))
            )
        done = self("match", "--json", file)
        assert done.code == 0, done.err
        (line,) = done.lines
        assert line["error"] is None
        assert len(line["matches"]) == until
        return [line]
