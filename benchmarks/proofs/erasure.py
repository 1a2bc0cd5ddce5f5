"""Prove that what a person withdraws is gone: from every worker, every file and every restore.

It calls a real server over real sockets. Each file that should hold a hash must hold it first, or
finding it nowhere afterwards would prove nothing. `--sabotage` leaves out what is checked, and must
make this fail.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import click
import numpy as np
from PIL import Image

from benchmarks.harness.deployment import Deployment, run
from benchmarks.harness.processes import client_of_each_worker
from benchmarks.harness.traces import traces
from disrupt.client import MatchClient
from disrupt.core.hashes import PdqHash
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.submission.client import SubmissionClient

SABOTAGES = ("erasure-skipped", "journal-lost", "unattended-off")
WITHDRAWN_WITHIN_S = 1.0
UNATTENDED_WITHIN_S = 24.0
"""Stands for the 24 hours of a real server, one second for each hour."""
UNATTENDED_SLACK_S = 60.0

_GIVE_UP_S = 60.0
_POLL_S = 0.02
_H = 3600.0


@dataclass(frozen=True)
class Check:
    """One claim, whether it held, and the evidence."""

    claim: str
    held: bool
    seen: object


@dataclass
class Report:
    """All checks so far; each is printed on standard error."""

    checks: list[Check] = field(default_factory=list)

    def check(self, claim: str, seen: object, *, held: bool) -> None:
        """Note a check."""
        self.checks.append(Check(claim, held, seen))
        print(f"{'ok  ' if held else 'FAIL'} {claim}: {seen}", file=sys.stderr)

    @property
    def failed(self) -> int:
        """Number of checks that did not hold."""
        return sum(not check.held for check in self.checks)


@dataclass(frozen=True)
class Case:
    """A registered picture: its case, which holds nothing else, and its unique hash."""

    number: str
    pin: str
    hash: PdqHash


@dataclass
class Site:
    """A data directory, its server, and the keys to call it."""

    server: Deployment
    work: Path
    match_key: str = ""
    register_key: str = ""
    pictures: int = 0

    def register(self) -> Case:
        """Register a new generated picture."""
        self.pictures += 1
        file = self.work / f"{self.pictures}.png"
        data = _picture(self.pictures)
        file.write_bytes(data)
        # A generated picture has enough detail.
        (fingerprint, *_) = cast("ImageFingerprints", fingerprint_image(data)).fingerprints
        with SubmissionClient(self.server.address, key=self.register_key) as client:
            done = client.submit([file])
        return Case(done.case_number, done.pin, fingerprint.hash)

    def withdraw(self, case: Case) -> None:
        """Withdraw a case; return when that is acknowledged."""
        with SubmissionClient(self.server.address, key=self.register_key) as client:
            client.withdraw(case.number, case.pin)

    def traces(self, case: Case) -> dict[str, list[str]]:
        """Return the files of the data directory with the case's hash, and its forms."""
        return traces(self.server.data_dir, case.hash.value)

    @contextlib.contextmanager
    def every_worker(self) -> Iterator[list[MatchClient]]:
        """Yield clients of one connection each, one to each of the workers."""
        with client_of_each_worker(self.server, self.match_key) as clients:
            yield list(clients.values())

    def matched_until(self, case: Case, clients: list[MatchClient], *, matches: bool) -> float:
        """Return the seconds until every client answers ``matches``, or this gives up."""
        began_s = time.monotonic()
        for client in clients:
            while bool(client.match_hashes([case.hash])[0].matches) != matches:
                if time.monotonic() - began_s > _GIVE_UP_S:
                    break
                time.sleep(_POLL_S)
        return time.monotonic() - began_s


def _picture(seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (12, 12, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((480, 360), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def _spread(site: Site) -> Case:
    """Make a case whose hash is in the database, in its log, and in two index generations."""
    case = site.register()
    run("disrupt", "erase", "--data-dir", site.server.data_dir)  # from the log into the database
    for _ in range(2):
        site.register()  # writes the page of the case to the log again
        run("disrupt-index", "rebuild", "--data-dir", site.server.data_dir)
    return case


def _holders(traced: dict[str, list[str]]) -> set[str]:
    """Return where a hash is: files of the registry, generations of the index."""
    return {path.rpartition("/")[0] or path for path in traced}


def _check_spread(report: Report, site: Site, case: Case, *files: str) -> None:
    traced = site.traces(case)
    generations = [place for place in _holders(traced) if place.startswith("index/")]
    report.check(
        f"before the withdrawal it is in {', '.join(files)} and two generations",
        traced,
        held=_holders(traced).issuperset(files) and len(generations) >= 2,
    )


def by_command(
    report: Report, site: Site, backup: Path, within_s: float, sabotage: str | None
) -> Case:
    """Withdraw a case and erase it by command."""
    case = _spread(site)
    _check_spread(report, site, case, "registry.db", "registry.db-wal")
    run("disrupt", "backup", "--data-dir", site.server.data_dir, "--to", backup)
    report.check(
        "the backup holds it", traced := traces(backup, case.hash.value), held=bool(traced)
    )
    with site.every_worker() as clients:
        site.matched_until(case, clients, matches=True)
        matching = [bool(client.match_hashes([case.hash])[0].matches) for client in clients]
        report.check("it matches in every worker", matching, held=all(matching))
        site.withdraw(case)
        took_s = site.matched_until(case, clients, matches=False)
        report.check(
            f"{within_s} s after the withdrawal it matches in no worker",
            round(took_s, 3),
            held=took_s <= within_s,
        )
        if sabotage is None:
            _roll_back(report, site, case, clients)
    if sabotage != "erasure-skipped":
        erased = run("disrupt", "erase", "--data-dir", site.server.data_dir, "--json")
        report.check("erasing publishes a generation without it", json.loads(erased), held=True)
    traced = site.traces(case)
    report.check("after erasing it is in no file", traced, held=not traced)
    with site.every_worker() as clients:
        kept = site.register()
        site.matched_until(kept, clients, matches=True)
        answers = [client.match_hashes([case.hash, kept.hash]) for client in clients]
        right = [not gone.matches and bool(there.matches) for gone, there in answers]
        report.check("lookups go on in every worker", right, held=all(right))
    return case


def _roll_back(report: Report, site: Site, case: Case, clients: list[MatchClient]) -> None:
    """Serve a generation again that holds the withdrawn case."""
    run("disrupt-index", "rebuild", "--data-dir", site.server.data_dir)
    done = run("disrupt-index", "rollback", "--data-dir", site.server.data_dir, "--json")
    generation = json.loads(done)["generation"]
    holds = f"index/{generation:08d}" in _holders(site.traces(case))
    report.check("a generation that holds it is rolled back to", generation, held=holds)
    matched = False
    give_up_s = time.monotonic() + _GIVE_UP_S
    waiting = list(clients)
    while waiting and time.monotonic() < give_up_s:
        for client in clients:
            matched |= bool(client.match_hashes([case.hash])[0].matches)
        waiting = [client for client in waiting if client.index_status().generation != generation]
    report.check("every worker serves it", len(waiting), held=not waiting)
    answers = [bool(client.match_hashes([case.hash])[0].matches) for client in clients]
    report.check(
        "it never matches, before and after", answers, held=not matched and not any(answers)
    )


def by_restoring(
    report: Report, site: Site, backup: Path, case: Case, sabotage: str | None
) -> None:
    """Lose the registry, and restore the backup that has the withdrawn case."""
    data_dir = site.server.data_dir
    site.server.stop()
    (data_dir / "registry.db").write_bytes(bytes(100_000))
    for name in ("registry.db-wal", "registry.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    options = []
    if sabotage == "journal-lost":
        (data_dir / "removals.journal").unlink()
        options = ["--accept-unknown-removals"]
    run("disrupt", "restore", "--from", backup, "--data-dir", data_dir, *options)
    traced = site.traces(case)
    report.check("after a restore it is in no file", traced, held=not traced)


def unattended(report: Report, site: Site, hours_s: float, slack_s: float) -> None:
    """Withdraw a case, and wait for the server to erase it by itself."""
    case = _spread(site)
    _check_spread(report, site, case, "registry.db")  # its log may be cleared by now
    site.withdraw(case)
    began_s = time.monotonic()
    give_up_s = hours_s + slack_s
    while (traced := site.traces(case)) and time.monotonic() - began_s < give_up_s:
        time.sleep(1)
    took_s = round(time.monotonic() - began_s, 1)
    report.check("unattended it is gone from every file in time", traced or took_s, held=not traced)


def erasure(
    report: Report,
    work: Path,
    within_s: float,
    hours_s: float,
    slack_s: float,
    sabotage: str | None,
) -> None:
    """Run all checks in an empty directory; with sabotage, those that it breaks."""
    site = Site(Deployment.start(work / "data"), work)
    with contextlib.ExitStack() as stack:
        stack.callback(_end, site)
        site.match_key = site.server.make_key("platform", "match")
        site.register_key = site.server.make_key("helpline", "register")
        if sabotage == "unattended-off":
            unattended(report, site, hours_s, slack_s)
            return
        case = by_command(report, site, work / "backup", within_s, sabotage)
        if sabotage == "erasure-skipped":
            return
        by_restoring(report, site, work / "backup", case, sabotage)
        (work / "config.toml").write_text(f"erase_within_h = {hours_s / _H}\n")
        site.server = Deployment.start(work / "data", "--config", str(work / "config.toml"))
        with site.every_worker() as clients:
            matching = [bool(client.match_hashes([case.hash])[0].matches) for client in clients]
        report.check("after a restore it matches in no worker", matching, held=not any(matching))
        if sabotage == "journal-lost":
            return
        unattended(report, site, hours_s, slack_s)
        code = site.server.stop()
        report.check("the server ends well", code, held=code == 0)


def _end(site: Site) -> None:
    if site.server.process.poll() is None:
        site.server.kill()


@click.command(help=__doc__)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Must make it fail.")
@click.option(
    "--within-s",
    default=WITHDRAWN_WITHIN_S,
    show_default=True,
    help="How soon a withdrawn picture may match no more.",
)
@click.option(
    "--unattended-s",
    default=UNATTENDED_WITHIN_S,
    show_default=True,
    help="What to set the 24 hours to that a server has for erasing by itself.",
)
@click.option(
    "--slack-s",
    default=UNATTENDED_SLACK_S,
    show_default=True,
    help="How much later it may be: to start a process takes seconds on a busy machine.",
)
def main(
    json_path: str, sabotage: str | None, within_s: float, unattended_s: float, slack_s: float
) -> None:
    """Check, write the report; exit with 1 unless every check held."""
    report = Report()
    work = Path(tempfile.mkdtemp(prefix="disrupt-erasure-"))
    try:
        erasure(report, work, within_s, unattended_s, slack_s, sabotage)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result = {
        "sabotage": sabotage,
        "failed": report.failed,
        "checks": [asdict(check) for check in report.checks],
    }
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(result, indent=2) + "\n")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
