"""Actors of a Ray cluster do the same, on a cluster of separate processes that has no network."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage

from disrupt.core.hashes import stack
from disrupt.data_directory import DataDirectory
from disrupt.hashing import ImageQuery, hash_image
from rig.media.codes import flipped
from rig.servers import ray_cluster
from rig.servers.ray_cluster import Cluster
from rig.waiting import eventually
from tests.archives.conftest import LISTED
from tests.archives.site import Site, pairs, results

PICTURES = Path(skimage.__file__).parent / "data"
FILES = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := ray_cluster.unusable():
        pytest.skip(reason)
    with ray_cluster.cluster(2) as running:
        yield running


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


def test_what_an_actor_lacks_is_said(
    cluster: Cluster, site: Site, archive: Path, tmp_path: Path
) -> None:
    shutil.rmtree(DataDirectory(site.data_dir).index)
    scan = cluster.start("scan", archive, "--data-dir", site.data_dir, "--out", tmp_path / "out")
    _, errors = scan.communicate()
    assert (scan.returncode, "Run `disrupt-index rebuild`" in errors) == (1, True), errors
    assert "Traceback" not in errors


def test_a_cluster_is_used_with_its_token_only(
    cluster: Cluster, site: Site, archive: Path, tmp_path: Path
) -> None:
    words = ("scan", archive, "--data-dir", site.data_dir, "--out", tmp_path / "out")
    refused = cluster.start(*words, token="")
    assert "cannot be used" in refused.communicate()[1]
    assert refused.returncode == 1
    assert not list((tmp_path / "out").glob("[!._]*"))
