"""Run the commands as people do: in their own processes, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def __call__(
        self,
        *arguments: str | Path,
        key: str | None = None,
        pin: str | None = None,
        server: str | None = None,
        stdin: str = "",
        **variables: str,
    ) -> Done:
        if key is None:
            key = self.match_key if arguments[0] == "match" else self.register_key
        clean = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
        env = clean | {"DISRUPT_SERVER": server or self.address} | variables
        if key:
            env["DISRUPT_KEY"] = key
        if pin is not None:
            env["DISRUPT_PIN"] = pin
        done = subprocess.run(
            [BIN / "disrupt", *arguments],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

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
