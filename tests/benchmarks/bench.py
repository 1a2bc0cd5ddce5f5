"""Run a benchmark's command in this process, which saves a new one the time to import it."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """A run's exit code, its report, and all that it printed."""

    code: int
    report: Any
    output: str


def command(benchmark: str) -> click.Command:
    """Return the command that ``scripts/bench`` starts by this name."""
    (path,) = (ROOT / "benchmarks").glob(f"*/{benchmark}.py")
    module: Any = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    main: click.Command = module.main
    return main


def bench(benchmark: str, file: Path, *options: object) -> Done:
    """Run a benchmark that writes its report to a file, and must write one."""
    words = ["--json", str(file), *map(str, options)]
    ran = CliRunner().invoke(command(benchmark), words, catch_exceptions=False)
    assert file.exists(), ran.output
    return Done(ran.exit_code, json.loads(file.read_text()), ran.output)
