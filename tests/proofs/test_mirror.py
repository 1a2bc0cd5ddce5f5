"""A mirror has what its hotline has, and nothing that was withdrawn, whichever of them is killed.

Both are real servers. Cases are registered and withdrawn all the time while one of them is killed,
or a process of it, and started again. At the end the two registries show the same, no file of the
mirror has a hash of what was withdrawn, and the hotline knows that.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import grpc
import pytest

from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from rig.callers.acts import found, registered, withdraw
from rig.callers.caller import Caller, calling
from rig.faults.sabotages import broken_by
from rig.model.mirrored import shown
from rig.ports import free_ports
from rig.processes.running import processes
from rig.servers.deployment import FEW_DECODERS, Deployment, run
from rig.waiting import eventually
from tests.proofs.traces import traces

_BANKS = {"adults", "minors"}
_KILLS = 50
_WITHIN_S = 60.0
_SEARCHED = 20


class Site:
    """A hotline and its mirror, each on a port of its own."""

    def __init__(self, work: Path, sabotage: str | None = None) -> None:
        self.ports = dict(zip(("hotline", "mirror"), free_ports(2), strict=True))
        self.work, self.sabotage = work, sabotage
        self.servers = {"hotline": self._start("hotline")}
        self.helpline_key = self.servers["hotline"].make_key("helpline", "register")
        (work / "feed.key").write_text(self.servers["hotline"].make_key("mirror", "feed"))
        self.servers["mirror"] = self._start("mirror")
        self.platform_key = self.servers["mirror"].make_key("platform", "match")

    def _start(self, name: str) -> Deployment:
        settings, options, wrapper = FEW_DECODERS, list[str](), tuple[str | Path, ...]()
        if name == "mirror":
            options, wrapper = ["--role", "mirror"], broken_by(self.sabotage)
            hotline = f"127.0.0.1:{self.ports['hotline']}"
            settings += f'hotline = "{hotline}"\nhotline_key = "{self.work / "feed.key"}"\n'
        listen = f"127.0.0.1:{self.ports[name]}"
        return Deployment.start(
            self.work / name, *options, listen=listen, settings=settings, wrapper=wrapper, workers=1
        )

    def begin_anew(self, name: str) -> None:
        """Kill all of a server, and start it."""
        self.servers[name].kill()
        self.servers[name] = self._start(name)

    def kill_keeper(self, name: str) -> None:
        """Kill the process that writes; its supervisor starts another."""
        supervisor = self.servers[name].process.pid
        role = "writer" if name == "hotline" else "mirror"
        eventually(lambda: processes(supervisor, role))
        for process in processes(supervisor, role):
            os.kill(process, signal.SIGKILL)

    def shown(self, name: str) -> dict[bytes, tuple[object, ...]]:
        """Return what a server's registry shows."""
        with opening.reading(DataDirectory(self.work / name)) as registry:
            return shown(registry, _BANKS)

    @contextmanager
    def helpline(self) -> Iterator[Caller]:
        """Yield a caller of the hotline."""
        with calling(self.servers["hotline"].address, self.helpline_key) as caller:
            yield caller


class Life(threading.Thread):
    """Registers cases and withdraws some, until it is ended; what has no answer is dropped."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site, self.chance = site, random.Random(1)
        self.acknowledged = 0
        self.withdrawn: list[bytes] = []
        self.problems: list[str] = []
        self._ended = threading.Event()

    def run(self) -> None:
        held = list[tuple[str, bytes]]()
        with self.site.helpline() as helpline:
            while not self._ended.is_set():
                try:
                    value = secrets.token_bytes(32)
                    held.append((registered(helpline, value)[0], value))
                    if len(held) > 3:
                        case, value = held.pop(self.chance.randrange(len(held)))
                        withdraw(helpline, case)
                        self.withdrawn.append(value)
                    self.acknowledged += 1
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        self.problems.append(f"{error.code()}: {error.details()}")
                    time.sleep(0.05)

    def end(self) -> None:
        """Stop, and wait for the call under way."""
        self._ended.set()
        self.join()


def test_a_mirror_is_level_after_kills_and_its_files_hold_nothing_withdrawn(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    figures(mirrored(tmp_path, kills=_KILLS if whole else 2, samples=100 if whole else 1))


def test_a_mirror_that_removes_nothing_is_noticed(tmp_path: Path) -> None:
    with pytest.raises((AssertionError, TimeoutError)):
        mirrored(tmp_path, kills=0, samples=1, sabotage="deaf-mirror", within_s=5.0)


def mirrored(
    work: Path,
    *,
    kills: int,
    samples: int,
    sabotage: str | None = None,
    within_s: float = _WITHIN_S,
) -> str:
    """Kill either side again and again; return a line of figures. AssertionError for a fault."""
    site = Site(work, sabotage)
    try:
        life, chance = Life(site), random.Random(2)
        life.start()
        for at in range(kills):
            time.sleep(chance.uniform(0.2, 0.8))
            name = ("mirror", "hotline")[at % 2]
            (site.kill_keeper if at % 4 < 2 else site.begin_anew)(name)
        life.end()
        assert life.problems == []
        eventually(lambda: site.shown("mirror") == site.shown("hotline"), within_s=within_s)
        times_s = _times(site, samples, within_s)
        searched = life.withdrawn[-_SEARCHED:] + _spread_and_withdraw(site, within_s)
        run("disrupt", "erase", "--data-dir", work / "mirror")
        for value in searched:
            assert traces(work / "mirror", value) == {}
        _check_report(site)
        come_s, gone_s = (f"{median(each):.2f} s, {max(each):.2f} s" for each in times_s)
        return (
            f"{kills} kills, {life.acknowledged} acknowledged, {len(life.withdrawn)} withdrawn:"
            f" 0 differences, 0 traces of {len(searched)}; median and longest time until an item"
            f" matches at the mirror {come_s}, until it is gone {gone_s}"
        )
    finally:
        for server in site.servers.values():
            server.kill()


def _times(site: Site, samples: int, within_s: float) -> tuple[list[float], list[float]]:
    """Measure from an acknowledgement of the hotline to an answer of the mirror."""
    come_s, gone_s = list[float](), list[float]()
    mirror = site.servers["mirror"].address
    with site.helpline() as helpline, calling(mirror, site.platform_key) as platform:
        eventually(  # a writer that was killed may be about to start
            lambda: registered(helpline, secrets.token_bytes(32)), passing=(grpc.RpcError,)
        )
        for _ in range(samples):
            value = secrets.token_bytes(32)
            case, _ = registered(helpline, value)
            for times_s, matches in ((come_s, True), (gone_s, False)):
                began_s = time.monotonic()
                eventually(
                    lambda value=value, matches=matches: bool(found(platform, value)) == matches,  # type: ignore[misc]
                    within_s=within_s,
                )
                times_s.append(time.monotonic() - began_s)
                if matches:
                    withdraw(helpline, case)
    return come_s, gone_s


def _spread_and_withdraw(site: Site, within_s: float) -> list[bytes]:
    """Withdraw what the mirror's database, its log and its index hold; return the hash."""
    value = secrets.token_bytes(32)
    mirror = site.servers["mirror"]
    with site.helpline() as helpline, calling(mirror.address, site.platform_key) as platform:
        case, _ = registered(helpline, value)
        eventually(lambda: found(platform, value), within_s=within_s)
        run("disrupt-index", "rebuild", "--data-dir", mirror.data_dir)
        holders = {path.split("/")[0] for path in traces(mirror.data_dir, value)}
        assert "index" in holders
        assert any(holder.startswith("registry.db") for holder in holders)
        withdraw(helpline, case)
        eventually(lambda: not found(platform, value), within_s=within_s)
    return [value]


def _check_report(site: Site) -> None:
    """Wait until the hotline knows that the mirror's files hold nothing of what was withdrawn."""
    erased_s = time.time()
    site.begin_anew("mirror")  # it reports when it starts

    def is_known() -> bool:
        with opening.reading(DataDirectory(site.work / "hotline")) as registry:
            return any(report.clean_s >= int(erased_s) for report in registry.mirror_reports())

    eventually(is_known)
