"""Measure how soon the submission page answers input while it hashes, on a slow main thread.

Chromium slows the main thread of the page, as `disrupt web` serves it, by a factor. Somebody
chooses photographs, and while these are hashed presses Tab and switches the language in turns. An
answer takes from the input to the next frame after it. A first row is of the page at rest. It
exits with 1 if the 99th percentile while hashing is more than 100 ms, or of fewer than 50 inputs.

    ./scripts/bench browser_input --json out.json
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from benchmarks.harness.browsers import Browser, browser
from benchmarks.harness.deployment import BIN
from benchmarks.harness.photographs import EVERYWHERE, KINDS, encode, photographs
from benchmarks.harness.reports import publish, rows_option

_MOST_MS = 100
_LEAST_INPUTS = 50
_PAUSE_S = 0.05

_READY = "The page is ready on "
_WAY = ("Commencer", "C'est moi", "18 ans ou plus")
"""Buttons on the way to the choice of files."""

_PRESS = """
const isSought = ({ textContent }) => textContent.includes(given[0]);
let button;
while (!(button = [...document.querySelectorAll('button')].find(isSought))) {
  await new Promise(requestAnimationFrame);
}
button.click();
"""

_WATCH = """
window.answersMs = [];
const { port1, port2 } = new MessageChannel();
// A message that a frame's callback sends comes after the frame.
port1.onmessage = ({ data }) => window.answersMs.push(performance.now() - data);
for (const kind of ['keydown', 'click']) {
  const watch = ({ timeStamp }) => requestAnimationFrame(() => port2.postMessage(timeStamp));
  addEventListener(kind, watch, { capture: true });
}
"""

_BLOCK = """
setInterval(() => {
  const endMs = performance.now() + 200;
  while (performance.now() < endMs);
}, 100);
"""

_TAKE_ANSWERS = """
while (window.answersMs.length < given[0]) await new Promise(requestAnimationFrame);
return window.answersMs.splice(0);
"""
_COUNT_GOING = "return document.querySelectorAll('.files progress:not([hidden])').length;"
_MIDDLE_OF_LANGUAGE = """
const { left, top, width, height } = document.getElementById('language').getBoundingClientRect();
return [left + width / 2, top + height / 2];
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Answers of the page in a state; ``load``: processes that waited for a core, on average."""

    state: str
    inputs: int
    median_ms: float
    p99_ms: float
    slowest_ms: float
    load: float

    @property
    def excess(self) -> list[str]:
        """Return what is worse than promised of a page that hashes."""
        if self.state != "hashing":
            return []
        found = ["inputs"] if self.inputs < _LEAST_INPUTS else []
        return [*found, "time"] if self.p99_ms > _MOST_MS else found


@click.command(help=__doc__)
@click.option("--files", default=8, show_default=True, help="Photographs chosen at once.")
@click.option("--input", "kind", type=click.Choice(list(KINDS)), default="jpeg_12mp")
@click.option("--throttling", default=4.0, show_default=True, help="Factor of the main thread.")
@click.option("--sabotage", is_flag=True, help="Keep the main thread busy: must fail.")
@rows_option
def main(
    files: int,
    kind: str,
    throttling: float,
    sabotage: bool,  # noqa: FBT001 click passes it by name
    json_path: Path | None,
) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = _write(folder, files, kind)
        with _gateway() as url, browser("chromium", folder) as page:
            page.open(url)
            for words in _WAY:
                page.run(_PRESS, words)
            page.run(_WATCH)
            page.devtools("Emulation.setCPUThrottlingRate", rate=throttling)
            if sabotage:
                page.run(_BLOCK)
            rows = [_row("at rest", page, _LEAST_INPUTS)]
            _choose(page, chosen)
            rows.append(_row("hashing", page, 1))
    settings = {"files": files, "input": kind, "throttling": throttling, "sabotage": sabotage}
    sys.exit(publish(rows, json_path, settings))


def _write(folder: Path, count: int, kind: str) -> list[Path]:
    _, load = list(photographs())[EVERYWHERE[0]]
    data = encode(load(), KINDS[kind])
    paths = [folder / f"photograph-{number}" for number in range(count)]
    for path in paths:
        path.write_bytes(data)
    return paths


@contextlib.contextmanager
def _gateway() -> Iterator[str]:
    """Serve the page, and yield its address. It has no server, for nothing is sent."""
    command = [f"{BIN}/disrupt", "web", "--server", "127.0.0.1:9", "--listen", "127.0.0.1:0"]
    environment = os.environ | {"DISRUPT_KEY": "none"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(_READY):
                raise click.ClickException("The gateway did not start.")
            yield line.removeprefix(_READY).strip()
        finally:
            process.terminate()


def _choose(page: Browser, files: list[Path]) -> None:
    root = page.devtools("DOM.getDocument")["root"]["nodeId"]
    picker = page.devtools("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
    page.devtools("DOM.setFileInputFiles", nodeId=picker, files=[str(path) for path in files])


def _row(state: str, page: Browser, least: int) -> Row:
    """Send so many inputs at least, and go on until all files are hashed."""
    sent = 0
    while sent < least or page.run(_COUNT_GOING):
        _click_language(page) if sent % 2 else _press_tab(page)
        sent += 1
        time.sleep(_PAUSE_S)
    answers_ms = sorted(page.run(_TAKE_ANSWERS, sent))
    return Row(
        state,
        sent,
        round(median(answers_ms), 1),
        round(answers_ms[math.ceil(0.99 * sent) - 1], 1),
        round(answers_ms[-1], 1),
        round(os.getloadavg()[0], 1),
    )


def _press_tab(page: Browser) -> None:
    for kind in ("keyDown", "keyUp"):
        page.devtools(
            "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
        )


def _click_language(page: Browser) -> None:
    x, y = page.run(_MIDDLE_OF_LANGUAGE)
    for kind in ("mousePressed", "mouseReleased"):
        page.devtools("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


if __name__ == "__main__":
    main()
