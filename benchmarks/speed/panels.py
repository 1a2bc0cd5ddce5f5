"""Draw every panel of deploy/grafana/disrupt.json as a Prometheus sees it, under load and faults.

A server of two workers is scraped every second while clients look hashes and pictures up, send what
is no picture and wrong keys, and register. A third of the way a worker is stopped (SIGSTOP), and
two thirds of the way the writer is killed (SIGKILL). Calls that fail meanwhile are left to fail.
What is drawn are the dashboard's own expressions; Grafana draws them in its own way.

    ./scripts/bench panels --seconds 240 docs/dashboard.svg
"""

from __future__ import annotations

import html
import io
import math
import os
import random
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np
from PIL import Image

from disrupt.client import MatchClient
from disrupt.errors import DisruptError
from rig.callers.desk import Desk
from rig.model.write import Write
from rig.processes.running import processes
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.monitored import monitored, panels

_ACROSS, _WIDE, _HIGH, _GAP = 3, 330, 110, 46
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888")


@click.command(help=__doc__)
@click.option("--seconds", type=float, default=240.0, show_default=True, help="Length of the run.")
@click.argument("chart_path", type=click.Path(path_type=Path))
def main(*, seconds: float, chart_path: Path) -> None:
    """Run the load, then draw."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        settings = f'{FEW_DECODERS}backups_dir = "{work}"\n'
        with (
            Deployment.start(work / "data", settings=settings) as server,
            monitored(server, work) as prometheus,
        ):
            began_s = time.time()
            _load(server, seconds)
            span = {"start": str(began_s), "end": str(time.time()), "step": str(seconds / 80)}
            drawn = [
                _panel(
                    panel["title"],
                    panel["fieldConfig"]["defaults"]["unit"],
                    [
                        (target["legendFormat"], series)
                        for target in panel["targets"]
                        for series in prometheus.evaluate(target["expr"], "query_range", **span)
                    ],
                    began_s,
                    seconds,
                )
                for panel in panels()
            ]
    chart_path.write_text(_chart(drawn), "utf-8")


def _load(server: Deployment, seconds: float) -> None:
    """Call from several threads until the time is over, and break two processes meanwhile."""
    key = server.make_key("platform", "match")
    stop = threading.Event()
    chance = random.Random(1)
    hashes = [chance.randbytes(32) for _ in range(100)]
    noise = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).resize((900, 700)).save(encoded, "JPEG")
    picture, damaged = encoded.getvalue(), b"\xff\xd8\xff\xe0" + bytes(100)
    with (
        MatchClient(server.address, key=key) as platform,
        MatchClient(server.address, key="wrong") as stranger,
        Desk(server.address, server.make_key("helpline", "register")).open() as desk,
    ):

        def write() -> None:
            written = Write.new(chance)
            desk.register(written)
            hashes[chance.randrange(100)] = written.hashes[0].value

        calls: list[tuple[Callable[[], object], float]] = [
            (lambda: platform.match_hashes(hashes[chance.randrange(100)]), 0.005),
            (lambda: platform.match_image(picture, hash_locally=False), 0.2),
            (lambda: platform.match_image(damaged, hash_locally=False), 0.5),
            (lambda: stranger.match_hashes(hashes[0]), 1.0),
            (write, 0.3),
        ]

        def repeat(call: Callable[[], object], pause_s: float) -> None:
            while not stop.wait(pause_s):
                with suppress(DisruptError, grpc.RpcError):
                    call()

        threads = [threading.Thread(target=repeat, args=each) for each in calls]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        os.kill(processes(server.process.pid, "worker")[0], signal.SIGSTOP)
        time.sleep(seconds / 3)
        os.kill(processes(server.process.pid, "writer")[0], signal.SIGKILL)
        time.sleep(seconds / 3)
        stop.set()
        for thread in threads:
            thread.join()


def _panel(
    title: str, unit: str, named: list[tuple[str, Any]], began_s: float, seconds: float
) -> str:
    """Draw one panel at the origin."""
    values = [float(value) for _, series in named for _, value in series["values"]]
    top = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
    parts = [
        f'<text y="-6" font-weight="bold">{html.escape(title)}</text>',
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="none" stroke="#ccc"/>',
        f'<text x="{_WIDE - 4}" y="-6" text-anchor="end" fill="#666">{top:.3g} {unit}</text>',
    ]
    if not named:
        parts.append(f'<text x="{_WIDE / 2}" y="{_HIGH / 2}" text-anchor="middle">nothing</text>')
    for at, (legend, series) in enumerate(named):
        colour = _COLOURS[at % len(_COLOURS)]
        points = " ".join(
            f"{(time_s - began_s) / seconds * _WIDE:.0f},{_HIGH * (1 - float(value) / top):.0f}"
            for time_s, value in series["values"]
            if math.isfinite(float(value))
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        if at < len(_COLOURS):
            name = _named(legend, series["metric"] | {"instance": ""})
            parts.append(
                f'<text x="4" y="{11 + 10 * at}" fill="{colour}" font-size="9">'
                f"{html.escape(name.replace('disrupt.v1.', ''))}</text>"
            )
    return "\n".join(parts)


def _named(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)


def _chart(drawn: list[str]) -> str:
    rows = -(-len(drawn) // _ACROSS)
    width, height = _ACROSS * (_WIDE + _GAP), rows * (_HIGH + _GAP) + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text { font: 11px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for at, panel in enumerate(drawn):
        x = _GAP / 2 + at % _ACROSS * (_WIDE + _GAP)
        y = _GAP + at // _ACROSS * (_HIGH + _GAP)
        parts.append(f'<g transform="translate({x},{y})">\n{panel}\n</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
