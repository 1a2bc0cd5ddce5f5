"""Actors of a Ray cluster do the same, on a cluster of separate processes that has no network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import skimage

from disrupt.core.hashes import stack
from disrupt.hashing import ImageQuery, hash_image
from tests.archives.conftest import LISTED
from tests.archives.site import Site, pairs, results
from tests.cli.shell import BIN
from tests.index.examples import flipped
from tests.proofs.machines import unusable
from tests.server.caller import eventually

PICTURES = Path(skimage.__file__).parent / "data"
ADDRESS = "127.0.0.1:23379"
TOKEN = "7" * 64
FILES = 300


@dataclass(frozen=True)
class Cluster:
    """A cluster in namespaces of its own, in which whoever uses it runs too."""

    pid: int

    def start(self, *arguments: str | Path, token: str = TOKEN) -> subprocess.Popen[str]:
        words = ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount"]
        return subprocess.Popen(
            [*words, BIN / "disrupt", *arguments, "--ray", ADDRESS],
            env=_environment(token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def actors(self) -> list[int]:
        """Return the processes of the actors that are at work."""
        network = Path(f"/proc/{self.pid}/ns/net").readlink()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_actor = (folder / "cmdline").read_bytes().startswith(b"ray::_Actor")
                if is_actor and (folder / "ns" / "net").readlink() == network:
                    found.append(int(folder.name))
            except OSError:  # it has ended
                continue
        return found


def _environment(token: str) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if "RAY" not in name}
    return usual | {"RAY_AUTH_TOKEN": token, "RAY_AUTH_MODE": "token"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := unusable():
        pytest.skip(reason)
    head: list[str | Path] = [
        *(BIN / "ray", "start", "--head", "--block", "--node-ip-address", "127.0.0.1"),
        *("--port", ADDRESS.rpartition(":")[2], "--num-cpus", "2", "--disable-usage-stats"),
        *("--include-dashboard", "false", "--object-store-memory", "80000000"),
        *("--system-config", '{"automatic_object_spilling_enabled": false}'),
    ]
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        command = f'ip link set lo up; exec "$@" --temp-dir {folder}'
        namespaces = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with subprocess.Popen(
            [*namespaces, "sh", "-c", command, "sh", *head],
            env=_environment(TOKEN),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                eventually(lambda: bool(children.read_text()))
                pid = int(children.read_text())
                session = Path(folder) / "session_latest" / "sockets" / "raylet"
                eventually(session.exists)
                yield Cluster(pid)
            finally:
                process.kill()


def test_a_scan_ends_right_though_its_actors_are_killed(
    cluster: Cluster, site: Site, listed: list[str], tmp_path: Path
) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    expected = set()
    for file in range(FILES):
        near = flipped(LISTED[file % 40], file % 32, seed=file)
        text = f"id,hash\n{file},{near.tobytes().hex()}\n"
        (archives / f"{file}.csv").write_text(text)
        expected.add((str(file), listed[file % 40], file % 32))
    out = tmp_path / "out"
    scan = cluster.start("scan", archives, "--data-dir", site.data_dir, "--out", out)
    eventually(lambda: any(out.glob("[!._]*")))
    killed = cluster.actors()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert len(list(out.glob("[!._]*"))) < FILES, "they were killed too late to show anything"
    assert killed
    _, errors = scan.communicate()
    assert scan.returncode == 0, errors
    assert pairs(out) == expected


def test_a_folder_is_hashed_in_actors(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    shutil.copy(PICTURES / "chelsea.png", folder / "cat.png")
    done = cluster.start("hash", folder, "--out", tmp_path / "hashes")
    _, errors = done.communicate()
    assert done.returncode == 0, errors
    query = hash_image((folder / "cat.png").read_bytes())
    assert isinstance(query, ImageQuery)
    hashes = b"".join(row["hash"] for row in results(tmp_path / "hashes"))
    assert hashes == stack(value for value, _ in query.hashes).tobytes()


def test_a_cluster_is_used_with_its_token_only(
    cluster: Cluster, site: Site, archive: Path, tmp_path: Path
) -> None:
    words = ("scan", archive, "--data-dir", site.data_dir, "--out", tmp_path / "out")
    refused = cluster.start(*words, token="")
    assert "cannot be used" in refused.communicate()[1]
    assert refused.returncode == 1
    assert not list((tmp_path / "out").glob("[!._]*"))
