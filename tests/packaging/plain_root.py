"""Run a Dockerfile's steps in scratch roots, where no engine is at hand. For root only.

A scratch root replaces a base image. It has this machine's programs, libraries and compiler under
/usr, read-only, and its Python at /usr/local, as in the official image; /etc, /opt, /src, /data and
so on are its own, and writable. Nothing else of this machine is inside. Each step runs in mount and
process namespaces of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.packaging.dockerfile import Instruction, Stage, context_files

CACHE = Path.home() / ".cache"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_ETC = (
    "passwd",
    "group",
    "shadow",
    "gshadow",
    "login.defs",
    "hosts",
    "resolv.conf",
    "nsswitch.conf",
)
_CERTIFICATES = {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT"}
_MADE = ("opt", "root", "run", "tmp", "var/log", "etc", "proc", "dev", "usr")


def usable() -> str:
    """Return why this cannot be done here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces and chroot"
    probe = ["unshare", "--mount", "--pid", "--fork", "--net", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "needs unshare"
    return "" if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


@dataclass
class Image:
    """The state of a stage so far."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    workdir: str = "/"
    user: str = "0:0"
    config: dict[str, Instruction] = field(default_factory=dict)


def base(root: Path) -> Image:
    """Make a fresh base image."""
    for name in _MADE:
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in _ETC:
        if (Path("/etc") / name).exists():
            shutil.copy2(Path("/etc") / name, root / "etc" / name)
    for name in ("ssl", "ld.so.conf", "ld.so.conf.d", "alternatives"):
        origin = Path("/etc") / name
        if origin.is_dir():
            shutil.copytree(origin, root / "etc" / name, symlinks=True)
        elif origin.exists():
            shutil.copy2(origin, root / "etc" / name)
    image = Image(root)
    check(run(image, ["ldconfig"]))
    return image


def build(stage: Stage, root: Path, context: Path, built: dict[str, Image]) -> Image:
    """Execute all instructions of a stage; ValueError for one it does not know."""
    image = base(root)
    ignore = (context / ".dockerignore").read_text()
    for instruction in stage.instructions:
        match instruction.name:
            case "RUN":
                check(_run_step(image, instruction))
            case "COPY":
                _copy(image, instruction, context, ignore, built)
            case "ENV":
                for name, value in instruction.pairs.items():
                    image.env[name] = value.replace("$PATH", image.env["PATH"])
            case "WORKDIR":
                image.workdir = instruction.rest
                _inside(image, instruction.rest).mkdir(parents=True, exist_ok=True)
            case "USER":
                image.user = instruction.rest
            case "LABEL" | "VOLUME" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                image.config[instruction.name] = instruction
            case unknown:
                raise ValueError(f"The test does not know how to do {unknown}.")
    return image


def run(
    image: Image,
    command: list[str],
    *,
    network: bool = True,
    mounts: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command inside, as the image's user, and wait for it."""
    return subprocess.run(
        inside(image, command, network=network, mounts=mounts, env=env),
        capture_output=True,
        text=True,
        check=False,
    )


def inside(
    image: Image,
    command: list[str],
    *,
    network: bool = True,
    mounts: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    read_only: bool = False,
) -> list[str]:
    """Return the command line that runs a command inside; ``mounts``: shell lines, $R the root.

    ``read_only`` makes the root read-only, but for what ``mounts`` puts there.
    """
    uid, gid = image.user.split(":")
    certificates = {name: os.environ[name] for name in _CERTIFICATES & os.environ.keys()}
    variables = {"HOME": "/root", **certificates, **image.env, **(env or {})}
    script = "\n".join(
        [
            "set -eu",
            f"R={shlex.quote(str(image.root))}",
            "mount --bind $R $R",
            "mount --rbind --make-private /usr $R/usr && mount -o remount,bind,ro $R/usr",
            f"mount --bind {sys.base_prefix} $R/usr/local && mount -o remount,bind,ro $R/usr/local"
            if sys.base_prefix != "/usr"
            else ":",
            "mount -t tmpfs -o mode=755 tmpfs $R/dev && mkdir $R/dev/shm",
            "for one in null zero full random urandom; do",
            "    touch $R/dev/$one && mount --bind /dev/$one $R/dev/$one",
            "done",
            "mount -t tmpfs -o mode=1777 tmpfs $R/dev/shm",
            "mount -t proc proc $R/proc",
            "mount -o remount,bind,ro $R $R" if read_only else ":",
            *mounts,
            'cd "$R"',
            'exec chroot "$R" "$@"',
        ]
    )
    return [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
        *(() if network else ("--net",)),
        *("bash", "-c", script, "bash"),
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())),
        *("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"),
        *("/usr/bin/env", "-C", image.workdir, *command),
    ]


def check(done: subprocess.CompletedProcess[str]) -> None:
    """Fail with the output unless the exit code is 0."""
    assert done.returncode == 0, done.stdout + done.stderr


def _run_step(image: Image, instruction: Instruction) -> subprocess.CompletedProcess[str]:
    """Run the shell form by /bin/sh, as an engine does; cache mounts are this machine's caches."""
    mounts: tuple[str, ...] = ()
    if "mount" in instruction.flags:
        options = dict(option.split("=") for option in instruction.flags["mount"].split(","))
        if options != {"type": "cache", "target": "/root/.cache"}:
            raise ValueError(f"The test does not know the mount {options}.")
        CACHE.mkdir(exist_ok=True)
        mounts = ("mkdir -p $R/root/.cache", f"mount --bind {CACHE} $R/root/.cache")
    network = instruction.flags.get("network", "default") != "none"
    return run(image, ["/bin/sh", "-c", instruction.rest], network=network, mounts=mounts)


def _copy(
    image: Image, instruction: Instruction, context: Path, ignore: str, built: dict[str, Image]
) -> None:
    *sources, destination = instruction.words
    target = _inside(image, str(PurePosixPath(image.workdir) / destination))
    if "from" in instruction.flags:
        (source,) = sources
        origin = _inside(built[instruction.flags["from"]], source)
        shutil.copytree(origin, target, symlinks=True)
        return
    for source in sources:
        files = context_files(context, source, ignore)
        assert files, f"COPY {source}: .dockerignore leaves nothing of it"
        for file in files:
            whole = (context / source).is_file()
            to = target / (file.name if whole else file.relative_to(source))
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context / file, to)


def _inside(image: Image, path: str) -> Path:
    return image.root / path.lstrip("/")
