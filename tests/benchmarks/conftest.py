"""Benchmarks run at tiny size, in the process of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import click
import pytest

from benchmarks.load import probing
from benchmarks.recall import narrowing, recall
from benchmarks.speed import archives, hashing, lifecycle, search

Bench = Callable[..., tuple[int, Any]]
"""Runs a command with words; returns its exit code and its report."""


class InProcess:
    """Stands for a ProcessPoolExecutor: a new interpreter would take seconds."""

    def __init__(
        self,
        *_: object,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        **__: object,
    ) -> None:
        if initializer:
            initializer(*initargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return map(function, *arguments)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a function that runs a benchmark's command in this process.

    Of its report it returns figures, details, failures and parameters beside each other.
    """
    for module in (archives, hashing, lifecycle, narrowing, probing, recall, search):
        monkeypatch.setattr(module, "ProcessPoolExecutor", InProcess)

    def run(command: click.Command, *words: str | Path) -> tuple[int, Any]:
        report = tmp_path / "report.json"
        code = 0
        try:
            command([*map(str, words), "--json", str(report)], standalone_mode=False)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        written = json.loads(report.read_text())
        shown = {**written.get("details", {}), **written["figures"]}
        return code, shown | {name: written[name] for name in ("failures", "parameters")}

    return run
