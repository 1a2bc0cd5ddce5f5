"""The Dockerfile, executed step by step in a plain environment; its server, run as in an engine.

Exercised: every RUN by /bin/sh in a root of its own with nothing of this machine but /usr and
Python, network switched off where the step says so; COPY through .dockerignore, and between
stages; USER, ENV, WORKDIR, ENTRYPOINT and CMD; a read-only root with a volume at VOLUME and a tmpfs
at /tmp; HEALTHCHECK; STOPSIGNAL. Not exercised: the base images themselves (this machine's /usr and
Python stand for them; the libraries loaded are compared with what the slim one is known to have),
layers, and the engine's schedule of health checks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import pytest
from cryptography import x509

from disrupt.client.health import check_health
from rig.ports import free_port
from rig.processes.running import children
from rig.servers.certificates import pair
from tests.packaging import plain_root
from tests.packaging.dockerfile import in_context, parse
from tests.packaging.plain_root import Image, inside

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
STAGES = parse(TEXT)
IGNORE = (ROOT / ".dockerignore").read_text()
FINAL = STAGES[-1]
VOLUME = "/data"
IN_THE_BASE_IMAGE = {
    *("libc6", "libgcc-s1", "libstdc++6", "libzstd1", "zlib1g"),  # apt needs them
    *("libbz2-1.0", "libffi8", "liblzma5", "libsqlite3-0", "libssl3t64", "libuuid1"),  # Python
}
"""Packages whose libraries the slim image is known to have."""

needs_root = pytest.mark.skipif(bool(why := plain_root.usable()), reason=why)


def test_no_place_of_packages_is_named() -> None:
    commands = "\n".join(instruction.rest for stage in STAGES for instruction in stage.instructions)
    assert not re.search(r"://|index-url|find-links|trusted-host", commands)
    for line in re.findall(r"pip install[^&]*", commands):
        assert "--require-hashes" in line or "--offline" in line, line


def test_the_image_runs_the_server_as_a_fixed_user_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", FINAL.only("USER").rest)
    assert FINAL.only("ENTRYPOINT").words + FINAL.only("CMD").words == ["disrupt", "serve"]
    assert FINAL.only("STOPSIGNAL").rest == "SIGTERM"
    assert FINAL.only("VOLUME").rest == VOLUME


def test_the_context_holds_the_sources_and_nothing_private() -> None:
    for kept in ("disrupt/cli.py", "requirements/runtime.txt", "LICENSE", "indexer/commands.py"):
        assert in_context(PurePosixPath(kept), IGNORE)
    for left in (".git/config", ".venv/bin/python", "data/secrets.json", "platform.key", "tests/x"):
        assert not in_context(PurePosixPath(left), IGNORE)
    assert not in_context(PurePosixPath("disrupt/__pycache__/cli.cpython-311.pyc"), IGNORE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the last stage."""
    directory = tmp_path_factory.mktemp("image")
    # The root is in memory: a busy disk takes minutes to remove the files of two environments.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", directory], check=True)
    try:
        built: dict[str, Image] = {}
        for stage in STAGES:
            built[stage.name] = plain_root.build(stage, directory / stage.name, ROOT, built)
        yield built[FINAL.name]
    finally:
        subprocess.run(["umount", directory], check=True)


@contextmanager
def container(
    image: Image, volume: Path, *command: str, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run ENTRYPOINT with CMD, or another command, as `docker run --read-only --tmpfs /tmp -v`."""
    words = image.config["ENTRYPOINT"].words + (list(command) or image.config["CMD"].words)
    mounts = (
        "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $R/tmp",
        f"mount --bind {volume} $R{VOLUME}",
    )
    line = inside(image, words, mounts=mounts, env=variables, read_only=True)
    with (
        (volume.parent / "log").open("a") as log,
        subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def new_volume(image: Image, tmp_path: Path) -> Path:
    """Make a named volume as an engine does: owner and mode are the image directory's."""
    volume, inside_image = tmp_path / "volume", image.root / VOLUME.lstrip("/")
    volume.mkdir()
    status = inside_image.stat()
    os.chown(volume, status.st_uid, status.st_gid)
    volume.chmod(stat.S_IMODE(status.st_mode))
    return volume


def first_process(process: subprocess.Popen[str]) -> int:
    """Return the process with id 1 inside: the child of unshare."""
    (first,) = children(process.pid)
    return first


def entered(pid: int, image: Image, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command beside a process, in its namespaces and environment, as an engine does."""
    environment = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    uid, gid = image.user.split(":")
    line = [
        *("nsenter", "--target", str(pid), "--all", "--root", "--wd=/"),
        *("/usr/bin/env", "-i", *environment),
        *("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", *command),
    ]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def mapped_libraries(first: int) -> set[str]:
    """Return names of the base image's libraries that any process inside has loaded."""
    space = Path(f"/proc/{first}/ns/pid").readlink()
    libraries: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process may have ended
            if (process / "ns" / "pid").readlink() == space:
                maps = (process / "maps").read_text()
                libraries |= set(
                    re.findall(r"/usr/lib/\S*/([^/\s]+\.so[.\d]*)$", maps, re.MULTILINE)
                )
    assert libraries
    return libraries


def packages_of(libraries: set[str]) -> set[str]:
    """Return the Debian packages of these libraries; none where this is no Debian."""
    if not shutil.which("dpkg-query"):
        return set()
    packages = set()
    for library in libraries:
        owned = subprocess.run(
            ["dpkg-query", "--search", f"*/{library}"], capture_output=True, text=True, check=True
        )
        packages.add(owned.stdout.split(":")[0])
    return packages


@needs_root
def test_the_server_serves_from_a_read_only_root_and_stops_when_told_to(
    image: Image, tmp_path: Path
) -> None:
    volume = new_volume(image, tmp_path)
    tls = pair(volume, "match.example.org")
    for file in (tls.certificate, tls.key):
        os.chown(file, volume.stat().st_uid, volume.stat().st_gid)
    certificates = {
        "DISRUPT_TLS_CERT": f"{VOLUME}/{tls.certificate.name}",
        "DISRUPT_TLS_KEY": f"{VOLUME}/{tls.key.name}",
    }
    port = free_port()
    variables = {"DISRUPT_LISTEN": f"0.0.0.0:{port}", "DISRUPT_WORKERS": "1"} | certificates
    with container(image, volume, **variables) as process:
        assert process.stdout
        ready = process.stdout.readline()
        assert ready == f"Disrupt is ready on 0.0.0.0:{port}\n", (tmp_path / "log").read_text()
        check_health(
            f"127.0.0.1:{port}", own=x509.load_pem_x509_certificate(tls.certificate.read_bytes())
        )

        first = first_process(process)
        health = json.loads(image.config["HEALTHCHECK"].rest.removeprefix("CMD "))
        done = entered(first, image, health)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("\nserving (all 2 processes)\n")
        assert packages_of(mapped_libraries(first)) <= IN_THE_BASE_IMAGE

        written = Path(f"/proc/{first}/root/opt/disrupt/written")
        with pytest.raises(OSError, match="Read-only"):
            written.touch()

        os.kill(first, signal.SIGTERM)
        assert process.wait() == 0

    for path in volume.rglob("*"):
        assert path.stat().st_uid == int(image.user.split(":")[0]), path
    (volume / "secrets.json").stat()
    with container(image, volume, "health", **variables) as process:
        assert process.wait() == 1, "healthy without a server"


@needs_root
def test_the_image_decodes_heic_and_videos_and_has_the_page(image: Image) -> None:
    script = """
import av
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.web.files import LIBRARIES, read_page
assert "HEIC" in FORMATS
assert {f"/libraries/{name}" for name in LIBRARIES} < read_page().keys()
"""
    python = ["/opt/disrupt/bin/python", "-c", script]
    done = subprocess.run(inside(image, python), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
