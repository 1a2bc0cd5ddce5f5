"""Run the commands against a real server."""

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
from tests.server.caller import eventually

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Shell:
    """Run ``disrupt`` with the address and the keys of one server."""

    address: str
    register_key: str
    match_key: str
    review_key: str

    def __call__(
        self,
        *arguments: str | Path,
        key: str | None = None,
        pin: str | None = None,
        server: str | None = None,
        stdin: str = "",
    ) -> Done:
        """Run a command in this process, which has imported what another would import again."""
        env = self._variables(arguments, key, pin, server)
        unset = dict.fromkeys(name for name in os.environ if "DISRUPT" in name)
        words = [str(argument) for argument in arguments]
        done = CliRunner().invoke(main, words, stdin, unset | env, prog_name="disrupt")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return Done(done.exit_code, done.stdout, done.stderr)

    def apart(
        self,
        *arguments: str | Path,
        key: str | None = None,
        pin: str | None = None,
        **variables: str,
    ) -> Done:
        """Run a command in a process of its own, as people do."""
        clean = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
        done = subprocess.run(
            [BIN / "disrupt", *arguments],
            env=clean | self._variables(arguments, key, pin, None) | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def _variables(
        self,
        arguments: tuple[str | Path, ...],
        key: str | None,
        pin: str | None,
        server: str | None,
    ) -> dict[str, str]:
        if key is None:
            keys = {"match": self.match_key, "review": self.review_key}
            key = keys.get(str(arguments[0]), self.register_key)
        given = {"DISRUPT_SERVER": server or self.address, "DISRUPT_KEY": key, "DISRUPT_PIN": pin}
        return {name: value for name, value in given.items() if value}

    def registered(self, *files: Path, age: AgeBand = AgeBand.ADULT) -> Submission:
        """Register without a process of its own, where the command is not what is tested."""
        with SubmissionClient(self.address, key=self.register_key) as client:
            return client.submit(files, age=age)

    def match(self, file: Path, *, until: int) -> list[Any]:
        """Return the matches of ``match --json``, once the one worker finds ``until`` of them."""
        with MatchClient(self.address, key=self.match_key) as client:
            eventually(lambda: len(client.match_image(file).matches) == until)
        done = self("match", "--json", file)
        assert done.code == 0, done.err
        (line,) = done.lines
        assert line["error"] is None
        assert len(line["matches"]) == until
        return [line]
