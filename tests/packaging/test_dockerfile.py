"""The Dockerfile: what it may say, and its steps, run in roots of their own.

Exercised: COPY and RUN, without a network where the step says so, and the server that comes of
them. Not exercised: what apt-get installs, the base images (this machine's /usr and Python stand
for both; the libraries loaded are compared with what the slim one is known to have), layers and the
engine.
tests/deploy/test_compose.py runs the last stage as the compose file has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from rig.ports import free_port
from rig.processes.running import children
from rig.servers import roots
from rig.servers.roots import Root

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
SOURCES = (
    *("disrupt", "indexer", "proto", "requirements", "scripts/page-libraries"),
    *("pyproject.toml", "LICENSE", "README.md"),
)
STEPS = roots.instructions(TEXT)
FINAL = roots.last_stage(TEXT)
CACHE = Path.home() / ".cache"
IN_THE_BASE_IMAGE = {
    *("libc6", "libgcc-s1", "libstdc++6", "libzstd1", "zlib1g"),  # apt needs them
    *("libbz2-1.0", "libffi8", "liblzma5", "libsqlite3-0", "libssl3t64", "libuuid1"),  # Python
}
"""Packages whose libraries the slim image is known to have."""


def test_no_place_of_packages_is_named() -> None:
    commands = "\n".join(rest for _, rest in STEPS)
    assert not re.search(r"://|index-url|find-links|trusted-host", commands)
    for line in re.findall(r"pip install[^&\n]*", commands):
        assert "--require-hashes" in line or "--offline" in line, line


def test_the_image_runs_the_server_as_a_fixed_user_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", FINAL["USER"])
    assert json.loads(FINAL["ENTRYPOINT"]) + json.loads(FINAL["CMD"]) == ["disrupt", "serve"]
    assert FINAL["STOPSIGNAL"] == "SIGTERM"
    assert FINAL["VOLUME"] == "/data"


def rules() -> tuple[set[str], set[str]]:
    """Return what .dockerignore lets through, and what it leaves out of that."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    everything, *said = (line for line in lines if line and not line.startswith("#"))
    assert everything == "*"
    kept = {line[1:] for line in said if line.startswith("!")}
    return kept, {line for line in said if not line.startswith("!")}


def test_the_context_holds_the_sources_and_nothing_private() -> None:
    kept, left_out = rules()
    copied = [rest.split()[:-1] for name, rest in STEPS if name == "COPY" and "--from" not in rest]
    for source in (source for sources in copied for source in sources):
        assert any(Path(source).is_relative_to(name) for name in kept), source
    assert kept <= set(SOURCES)
    assert {"**/__pycache__", "disrupt/web/page/libraries"} < left_out


def copy(root: Root, rest: str, of_stages: dict[str, Root]) -> None:
    """Follow COPY: of a stage one directory, of the context without what is left out."""
    *sources, target = rest.split()
    if sources[0].startswith("--from="):
        stage, source = of_stages[sources[0].removeprefix("--from=")], sources[1]
        shutil.copytree(
            stage.inside(source), root.inside(f"{root.workdir}/{target}"), symlinks=True
        )
        return
    ignore = shutil.ignore_patterns(*(Path(rule).name for rule in rules()[1]))
    for source in sources:
        to = root.inside(f"{root.workdir}/{target}")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, to, ignore=ignore, dirs_exist_ok=True)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / source, to)


def run(root: Root, rest: str) -> None:
    """Follow RUN; its one kind of mount is this machine's cache."""
    if "apt-get install" in rest:
        return
    options, command = re.fullmatch(r"((?:--\S+ +)*)(.*)", rest).groups()  # type: ignore[union-attr]
    cached = "--mount=type=cache,target=/root/.cache" in options
    assert options.count("--") == cached + ("--network=none" in options), options
    cache = ("mkdir -p $R/root/.cache", f"mount --bind {CACHE} $R/root/.cache") if cached else ()
    CACHE.mkdir(exist_ok=True)
    step = replace(root, mounts=cache)
    step.run("/bin/sh", "-c", command, network="--network=none" not in options)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Build every stage; return the last."""
    if why := roots.unusable():
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("image")
    # The root is in memory: a busy disk takes minutes to remove the files of two environments.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", directory], check=True)
    try:
        stages: dict[str, Root] = {}
        for name, rest in STEPS:
            match name:
                case "FROM":
                    root = roots.base(directory / str(len(stages)))
                    stages[rest.split()[-1]] = root
                case "WORKDIR":
                    root.workdir = rest
                    root.inside(rest).mkdir()
                case "COPY":
                    copy(root, rest, stages)
                case "RUN":
                    run(root, rest)
        yield replace(root, env=root.env | roots.variables(FINAL["ENV"]), user=FINAL["USER"])
    finally:
        subprocess.run(["umount", directory], check=True)


def packages_loaded(first: int) -> set[str]:
    """Return Debian packages of the base image that processes beside this one have loaded."""
    space = Path(f"/proc/{first}/ns/pid").readlink()
    libraries: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process may have ended
            if (process / "ns" / "pid").readlink() == space:
                maps = (process / "maps").read_text()
                libraries |= {*re.findall(r"/usr/lib/\S*/[^/\s]+\.so[.\d]*$", maps, re.MULTILINE)}
    assert libraries
    if not shutil.which("dpkg-query"):
        return set()
    search = ["dpkg-query", "--search", *(f"*/{Path(library).name}" for library in libraries)]
    owned = subprocess.run(search, capture_output=True, text=True, check=True)
    lines = (line for line in owned.stdout.splitlines() if not line.startswith("diversion "))
    return {line.split(":")[0] for line in lines}


def test_the_server_of_the_image_serves_from_a_read_only_root_and_stops_when_told_to(
    image: Root, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    subprocess.run(["cp", "--archive", image.inside(FINAL["VOLUME"]), volume], check=True)
    mounts = ("mount -t tmpfs tmpfs $R/tmp", f"mount --bind {volume} $R{FINAL['VOLUME']}")
    listen = {"DISRUPT_LISTEN": f"127.0.0.1:{free_port()}", "DISRUPT_WORKERS": "1"}
    container = replace(image, env=image.env | listen, mounts=mounts, read_only=True)
    command = json.loads(FINAL["ENTRYPOINT"]) + json.loads(FINAL["CMD"])
    log = tmp_path / "log"
    with container.running(log, *command) as process:
        assert process.stdout
        ready = process.stdout.readline()
        assert ready == f"Disrupt is ready on {listen['DISRUPT_LISTEN']}\n", log.read_text()
        health = json.loads(FINAL["HEALTHCHECK"].partition("CMD ")[2])
        assert container.run(*health).endswith("\nserving (all 2 processes)\n")
        (first,) = children(process.pid)
        assert packages_loaded(first) <= IN_THE_BASE_IMAGE
        os.kill(first, signal.SIGTERM)
        assert process.wait() == 0


def test_the_image_decodes_heic_and_videos_and_has_the_indexer_and_the_page(image: Root) -> None:
    script = """
import av, indexer.cli
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.web.files import LIBRARIES, read_page
assert "HEIC" in FORMATS
assert {f"/libraries/{name}" for name in LIBRARIES} < read_page().keys()
"""
    image.run("/opt/disrupt/bin/python", "-c", script)


def test_the_image_has_what_it_takes_to_make_a_report(image: Root) -> None:
    (installed,) = (rest for name, rest in STEPS if name == "RUN" and "apt-get install" in rest)
    packages = installed.partition("--no-install-recommends")[2].partition("&&")[0].split()
    on_this_machine = (ROOT / "scripts" / "system-packages").read_text()
    assert packages
    assert not [name for name in packages if not re.search(rf":{name}\b", on_this_machine)]
    image.run(
        *("/bin/sh", "-c"),
        "disrupt yearly-report 2026 --counts /dev/null --output /tmp/report; test $? = 3"
        " && grep -q PDF /tmp/report/disrupt-2026.fr.pdf",
    )
