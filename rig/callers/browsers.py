"""Hash files in Debian's Chromium and Firefox, as the submission page does, without the gateway."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.transforms import count_anchored
from disrupt.hashing import ImageFingerprints

Json: TypeAlias = Any
"""A decoded JSON value."""

ROOT = Path(__file__).parents[2]
HASH_FILES = "/rig/callers/hash_files.js"
PROGRAMS = {"chromium": "chromium", "firefox": "firefox-esr"}

_CHROMIUM = (
    *("--headless=new", "--disable-gpu", "--force-color-profile=srgb", "--no-first-run"),
    "--no-sandbox",  # Chromium's own sandbox does not start as root.
)
_CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self';"
    " connect-src 'self'; media-src blob:; img-src blob:"
)


class _Handler(SimpleHTTPRequestHandler):
    """Serve the page as the gateway does, and beside it modules of tests and files."""

    files: Path
    script: str
    results: queue.SimpleQueue[Json]

    def translate_path(self, path: str) -> str:
        if path == "/hashing/shapes.npy":
            return str(ROOT / "disrupt/distinctiveness/shapes.npy")
        if path.startswith("/files/"):
            return str(self.files / Path(path).name)
        if path.startswith(("/tests/", "/rig/")):
            return f"{ROOT}{path}"
        return f"{ROOT}/disrupt/web/page{path.removeprefix('/disrupt/web/page')}"

    def do_GET(self) -> None:
        """Send a file; ``/run`` is an empty page with the script, ``/files/`` lists the files."""
        if self.path == "/run":
            self._send(f'<script type="module" src="{self.script}"></script>', "text/html")
        elif self.path == "/files/":
            names = sorted(path.name for path in self.files.iterdir())
            self._send(json.dumps(names), "application/json")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Take the result of the script."""
        self.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send("", "text/plain")

    def _send(self, text: str, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", _CSP)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def serving(files: Path, script: str) -> Iterator[tuple[str, queue.SimpleQueue[Json]]]:
    """Serve a page that runs a module, and ``files`` under /files/; yield address and results."""
    results: queue.SimpleQueue[Json] = queue.SimpleQueue()
    handler = type("Handler", (_Handler,), {"files": files, "script": script, "results": results})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/run", results
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def browser(
    engine: str, url: str, profile: Path, preferences: dict[str, Any] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a browser with its files in ``profile``, at a page; ``preferences`` of Firefox."""
    if engine == "chromium":
        command = [*_CHROMIUM, f"--user-data-dir={profile}"]
    else:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in {"app.normandy.enabled": False, **(preferences or {})}.items()
        ]
        (profile / "user.js").write_text("\n".join(lines))
        command = ["--headless", "--no-remote", "--profile", str(profile)]
    program = shutil.which(PROGRAMS[engine])
    if program is None:
        raise FileNotFoundError(PROGRAMS[engine])
    with subprocess.Popen(
        [program, *command, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def awaited(results: queue.SimpleQueue[Json], process: subprocess.Popen[bytes]) -> Json:
    """Wait for a result; RuntimeError if the browser ends before."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty as error:
            if process.poll() is not None:
                raise RuntimeError(f"the browser has ended, with {process.returncode}") from error


def result_of(
    engine: str,
    files: Path,
    profile: Path,
    *,
    script: str = HASH_FILES,
    preferences: dict[str, Any] | None = None,
) -> Json:
    """Return what a module sends from a page, by default what came of each file by its name.

    RuntimeError with what the module throws.
    """
    with (
        serving(files, script) as (url, results),
        browser(engine, url, profile, preferences) as process,
    ):
        result = awaited(results, process)
    if "error" in result:
        raise RuntimeError(result["error"])
    return result


def rows_of(outcome: ImageFingerprints) -> list[str]:
    """Return a row for each fingerprint, as ``hash_files.js`` does."""
    return [
        f"{fingerprint.profile.value} {fingerprint.plan} {fingerprint.ordinal}"
        f" {fingerprint.quality} {fingerprint.hash.hex()}"
        for fingerprint in outcome.fingerprints
    ]


class Distances(NamedTuple):
    """Greatest distances between the fingerprints that two programs make of one picture."""

    plain_bits: int
    """Between fingerprints of the picture itself: plan 0."""
    variant_bits: int
    """Between fingerprints of its crops."""
    unlike: int
    """Number of fingerprints of it and of its crops that only one of them makes."""
    region_bits: int
    """Between anchored regions and the nearest one of the other side, if a lookup finds that."""
    unlike_regions: int
    """Number of anchored regions of which a lookup finds none of the other side."""


def distances(rows: Iterable[str], expected: Iterable[str]) -> Distances:
    """Compare the fingerprints of two sides."""
    (ours, our_regions), (theirs, their_regions) = _hashes_of(rows), _hashes_of(expected)
    bits = {key: (ours[key] ^ theirs[key]).bit_count() for key in ours.keys() & theirs.keys()}
    plain = max((value for (_, plan, _), value in bits.items() if not plan), default=256)
    variants = max((value for (_, plan, _), value in bits.items() if plan), default=0)
    # Pixels that differ by a level may exchange two regions.
    nearest = [
        min(((code ^ other).bit_count() for other in others), default=256)
        for some, others in ((our_regions, their_regions), (their_regions, our_regions))
        for code in some
    ]
    found = [value for value in nearest if value <= MAX_DISTANCE_BITS]
    unlike = len(ours.keys() ^ theirs.keys())
    return Distances(plain, variants, unlike, max(found, default=0), len(nearest) - len(found))


def _hashes_of(rows: Iterable[str]) -> tuple[dict[tuple[str, int, int], int], list[int]]:
    """Return hashes as numbers, by profile, plan and ordinal, and those of anchored regions."""
    hashes, regions = {}, []
    for row in rows:
        profile, plan, ordinal, _, digits = row.split()
        if count_anchored([(int(plan), int(ordinal))]):
            regions.append(int(digits, 16))
        else:
            hashes[profile, int(plan), int(ordinal)] = int(digits, 16)
    return hashes, regions
