"""Start PostgreSQL of Debian for tests: servers in directories of their own, killed by their id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

from rig.ports import free_port
from rig.processes.running import children

_INSTALLED = Path("/usr/lib/postgresql")
"""Debian keeps the commands of PostgreSQL's server here, in a folder for each version."""
_OLDEST = 15
RIGHTS = (Path(__file__).parents[2] / "deploy" / "postgresql.sql").read_text("utf-8")
"""Statements that docs/fleet.md has run in the database ``disrupt``."""

SUPERUSER = "postgres"
_READY_WITHIN_S = 60.0
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "60",
    "listen_addresses": "127.0.0.1",
    "log_error_verbosity": "terse",
}
"""Settings of a server whose machine never loses power, unless others are given."""


def commands() -> Path | None:
    """Return the folder of the newest server's commands; None where it is not installed."""
    versions = [path.parents[1].name for path in _INSTALLED.glob("*/bin/initdb")]
    newest = max(map(int, versions), default=0)
    return _INSTALLED / str(newest) / "bin" if newest >= _OLDEST else None


@dataclass
class PostgreSql:
    """A server of PostgreSQL. A context, at whose end it has stopped and its directory is gone.

    ``wrapper`` is a command that it runs under, such as ``ip netns exec NAME``. Processes of root
    connect by its Unix socket without a password, as every process of this machine does.
    """

    directory: Path
    port: int
    wrapper: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    _databases: Iterator[int] = field(default_factory=count)

    @classmethod
    def create(cls, *, port: int = 0, wrapper: tuple[str, ...] = (), **settings: str) -> Self:
        """Make a data directory with initdb, in 1-4 s. ``settings`` are added to _SETTINGS."""
        server = cls.empty(port=port, wrapper=wrapper)
        try:
            server.initialise(**_SETTINGS | settings)
        except BaseException:  # SIGINT, say
            shutil.rmtree(server.directory)
            raise
        return server

    def initialise(self, **settings: str) -> None:
        """Make the data directory, with settings."""
        self.command(
            *("initdb", "--pgdata", self.data, "--username", SUPERUSER, "--no-sync"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--wal-segsize=1"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
        )
        self.configure(**settings)

    @classmethod
    def empty(cls, *, port: int = 0, wrapper: tuple[str, ...] = ()) -> Self:
        """Make a directory for a server whose data are to come, as of pg_basebackup."""
        directory = Path(tempfile.mkdtemp(prefix="pg"))
        if user := _other_user():
            os.chown(directory, user.pw_uid, user.pw_gid)
        return cls(directory, port or free_port(), wrapper)

    @property
    def data(self) -> Path:
        """Data directory of the server."""
        return self.directory / "data"

    def configure(self, **settings: str) -> None:
        """Add settings, in force from its next start or ``reload`` on; the last of each counts."""
        with (self.data / "postgresql.conf").open("a") as config:
            for name, value in settings.items():
                config.write(f"{name} = '{value}'\n")

    def command(self, name: str, *words: str | Path) -> str:
        """Run a command of PostgreSQL as the server's user; return its output."""
        command = [*self._prefix(), str(_commands() / name), *map(str, words)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> Self:
        """Start it, and wait until it takes connections."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self._prefix(),
                    *(str(_commands() / "postgres"), "-D", str(self.data), "-p", str(self.port)),
                    *("-k", str(self.directory)),
                ],
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        give_up_s = time.monotonic() + _READY_WITHIN_S
        while self._state() not in {"ready", "standby"}:
            if self.process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.01)
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, and end the sessions that are open: in order, or with SIGQUIT at once."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait()

    def kill(self) -> None:
        """Kill all processes of it with SIGKILL, like a power cut."""
        if not self.process or self.process.poll() is not None:
            return
        os.kill(self.process.pid, signal.SIGSTOP)  # it starts no more
        for process in (self.process.pid, *children(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        with suppress(OSError, IndexError):  # else the kernel keeps a segment of shared memory
            segment = (self.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "--shmem-id", segment], check=False, capture_output=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:  # SIGINT, say
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)

    def url(self, database: str = SUPERUSER, user: str = SUPERUSER) -> str:
        """Return the URL of a database, by the Unix socket."""
        host = quote(str(self.directory), safe="")
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def sql(self, statement: str, database: str = SUPERUSER) -> str:
        """Run a statement with psql as the superuser; return its rows without headings."""
        words = ("--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        return self.command("psql", *words, "--command", statement, self.url(database)).strip()

    def new_database(self, template: str = "template0") -> str:
        """Make a database, as a copy of another; return its name."""
        name = f"test_{next(self._databases)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def make_registry(self) -> None:
        """Make the database of a registry, and its users, as docs/fleet.md says."""
        self._make_users()
        self.sql("CREATE DATABASE disrupt OWNER disrupt")
        self.grant("disrupt")

    def grant(self, database: str) -> None:
        """Give the users of a registry their rights in a database."""
        self._make_users()
        self.sql(RIGHTS.replace("ON DATABASE disrupt", f"ON DATABASE {database}"), database)

    def _make_users(self) -> None:
        known = self.sql("SELECT rolname FROM pg_roles").split()
        for user in ("disrupt", "disrupt_match"):
            if user not in known:
                self.sql(f"CREATE ROLE {user} LOGIN")

    def drop(self, database: str) -> None:
        """Delete a database, and end the sessions that are open in it."""
        self.sql(f"DROP DATABASE {database} WITH (FORCE)")

    def _prefix(self) -> list[str]:
        """Return the words before a command: it never runs as root, and ends with its starter."""
        user = _other_user()
        changed = user and (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        return [*self.wrapper, "setpriv", "--pdeathsig=INT", *(changed or ())]

    def _state(self) -> str:
        """Return what the server says of itself: the 8th line of its file, empty before."""
        with suppress(OSError, IndexError):
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip()
        return ""


def _commands() -> Path:
    folder = commands()
    assert folder
    return folder


def _other_user() -> pwd.struct_passwd | None:
    """Return the user as whom root runs PostgreSQL, which refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
