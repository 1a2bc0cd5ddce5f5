"""Run commands in scratch roots, where no engine of containers is at hand. For root only.

A scratch root replaces a base image. It has this machine's programs, libraries and compiler under
/usr, read-only, and its Python at /usr/local, as in the official image; /etc, /opt, /src, /data and
so on are its own, and writable. Each command runs in mount and process namespaces of its own.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_ACCOUNTS = ("passwd", "group", "shadow", "gshadow", "login.defs")
_NETWORK = ("hosts", "resolv.conf", "nsswitch.conf", "ssl")
_LIBRARIES = ("ld.so.conf", "ld.so.conf.d", "alternatives", "fonts")
_CERTIFICATES = {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT"}
_MADE = ("opt", "root", "run", "tmp", "var/log", "etc", "proc", "dev", "usr")

_ENTER = """
set -eu
mount --bind $R $R
mount --rbind --make-private /usr $R/usr && mount -o remount,bind,ro $R/usr
if [ "$PYTHON" != /usr ]; then
    mount --bind $PYTHON $R/usr/local && mount -o remount,bind,ro $R/usr/local
fi
mount --rbind --make-private /dev $R/dev
mount -t proc proc $R/proc
"""


def unusable() -> str:
    """Return why this cannot be done here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces and chroot"
    probe = ["unshare", "--mount", "--pid", "--fork", "--net", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


@dataclass
class Root:
    """A directory that commands see as ``/``, and how they are run.

    ``mounts`` are shell lines, in which $R is the directory; ``read_only`` makes all read-only but
    what they put there. ``namespace`` is one of networks, of ``ip netns``.
    """

    path: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    workdir: str = "/"
    user: str = "0:0"
    mounts: tuple[str, ...] = ()
    read_only: bool = False
    namespace: str = ""

    def inside(self, path: str) -> Path:
        """Return where a path of the root is."""
        return self.path / path.lstrip("/")

    def line(self, *command: str, network: bool = True) -> list[str]:
        """Return the command line that runs a command inside."""
        uid, gid = self.user.split(":")
        certificates = {name: os.environ[name] for name in _CERTIFICATES & os.environ.keys()}
        variables = {"HOME": "/root", **certificates, **self.env}
        places = f"R={shlex.quote(str(self.path))}\nPYTHON={shlex.quote(sys.base_prefix)}"
        locked = ("mount -o remount,bind,ro $R $R",) if self.read_only else ()
        script = [places, _ENTER, *locked, *self.mounts, 'cd "$R"', 'exec chroot "$R" "$@"']
        return [
            *(("ip", "netns", "exec", self.namespace) if self.namespace else ()),
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *(() if network else ("--net",)),
            *("bash", "-c", "\n".join(script), "bash"),
            *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())),
            *("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"),
            *("/usr/bin/env", "-C", self.workdir, *command),
        ]

    def run(self, *command: str, network: bool = True) -> str:
        """Run a command inside; return its output."""
        line = self.line(*command, network=network)
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, log: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command inside meanwhile; its errors go to ``log``."""
        with (
            log.open("w") as errors,
            subprocess.Popen(
                self.line(*command),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def base(path: Path) -> Root:
    """Make a fresh root."""
    for name in _MADE:
        (path / name).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    (path / "root").chmod(0o700)
    for name in ("bin", "sbin", "lib", "lib64"):
        (path / name).symlink_to(f"usr/{name}")
    ours = (Path("/etc") / name for name in (*_ACCOUNTS, *_NETWORK, *_LIBRARIES))
    copied = [place for place in ours if place.exists()]
    subprocess.run(["cp", "--archive", "--dereference", *copied, path / "etc"], check=True)
    root = Root(path)
    root.run("ldconfig")
    return root


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile: each one's name, and the rest of it."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.strip().partition(" ") for line in joined.splitlines())
    return [(name, rest.strip()) for name, _, rest in pairs]


def last_stage(text: str) -> dict[str, str]:
    """Return the rest of each instruction behind the last FROM, by name; of several, the last."""
    stage: dict[str, str] = {}
    for name, rest in instructions(text):
        stage = {} if name == "FROM" else stage | {name: rest}
    return stage


def variables(rest: str) -> dict[str, str]:
    """Return what ENV or LABEL sets."""
    pairs = dict(word.split("=", 1) for word in shlex.split(rest))
    return {name: value.replace("$PATH", BASE_PATH) for name, value in pairs.items()}
