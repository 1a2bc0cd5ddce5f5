"""Parse a Dockerfile: as much of the format as the project's own one uses."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name, its flags (``--name=value``, by name), the rest."""

    name: str
    flags: dict[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as a list: of JSON, or of shell words."""
        if self.rest.startswith("["):
            command: list[str] = json.loads(self.rest)
            return command
        return shlex.split(self.rest)

    @property
    def pairs(self) -> dict[str, str]:
        """The rest as NAME=VALUE."""
        return dict(word.split("=", 1) for word in self.words)


@dataclass
class Stage:
    """One FROM, and the instructions that follow."""

    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def only(self, name: str) -> Instruction:
        """Return the one instruction of this name."""
        (instruction,) = (candidate for candidate in self.instructions if candidate.name == name)
        return instruction


def parse(text: str) -> list[Stage]:
    """Return the stages, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        flags = {}
        while flag := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            flags[flag[1]] = flag[2]
            rest = rest[flag.end() :]
        if name == "FROM":
            _, *as_name = rest.split()
            stages.append(Stage(as_name[1] if as_name else str(len(stages))))
        else:
            stages[-1].instructions.append(Instruction(name, flags, rest.strip()))
    return stages


def in_context(path: PurePosixPath, ignore: str) -> bool:
    """Tell whether a .dockerignore lets a file through: the last rule that fits decides."""
    kept = True
    for line in ignore.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in line
        parents = [path, *path.parents][:-1]
        if any(
            fnmatchcase(parent.name if anywhere else str(parent), pattern)
            for parent in parents
            if anywhere or len(parent.parts) == len(PurePosixPath(pattern).parts)
        ):
            kept = line.startswith("!")
    return kept


def context_files(root: Path, source: str, ignore: str) -> list[PurePosixPath]:
    """List the files that ``COPY source`` takes from the context, relative to it."""
    start = root / source
    paths = [start] if start.is_file() else sorted(start.rglob("*"))
    relative = [PurePosixPath(path.relative_to(root)) for path in paths if path.is_file()]
    return [path for path in relative if in_context(path, ignore)]
