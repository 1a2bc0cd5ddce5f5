"""The profile ``fleet`` of deploy/compose.yaml, run as it stands in a network namespace.

Exercised as in ``test_compose``; this machine's PostgreSQL stands for that of the image.
"""

from __future__ import annotations

import json
import os
import pwd
import random
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from disrupt.client import MatchClient
from rig.callers.desk import Desk, patiently
from rig.model.write import Write
from rig.servers.authority import Authority
from rig.servers.certificates import in_one_file
from rig.servers.postgresql import PostgreSql, commands
from rig.servers.roots import Root
from rig.waiting import eventually
from tests.deploy.test_compose import (
    IMAGE,
    INSIDE,
    SERVICES,
    container,
    installed,
    network,
    unusable,
)

_PASSWORD = "secret"  # noqa: S105 of a database that lasts as long as the test
_PROXY = {
    **SERVICES["proxy"],
    **SERVICES["fleet-proxy"],
    "environment": SERVICES["proxy"]["environment"] | SERVICES["fleet-proxy"]["environment"],
}


class Machines:
    """The containers of Disrupt, with the directories that are made for them by hand."""

    def __init__(self, work: Path, namespace: str, stack: ExitStack) -> None:
        self._work, self._namespace, self._stack = work, namespace, stack
        self.containers: dict[str, Root] = {}
        self.pids: dict[str, int] = {}

    def start(self, name: str, role: str) -> None:
        """Make what a machine needs, and start it."""
        files, volume = self._work / name / "files", self._work / name / "volume"
        files.mkdir(parents=True)
        volume.mkdir(mode=0o700)
        made = self._work / "machines"
        Authority(made).certify(name, role)
        for file in (f"{name}.pem", f"{name}-key.pem", "ca.pem"):
            shutil.copy(made / file, files)
        (files / "pgpass").write_text(f"*:*:*:*:{_PASSWORD}\n")
        if role == "match":
            secrets = self.containers["writer"].run("disrupt", "registry", "node-secrets")
            (volume / "secrets.json").write_text(secrets)
        for path in (files, volume, *files.iterdir(), *volume.iterdir()):
            shutil.chown(path, *map(int, IMAGE["USER"].split(":")))
            path.chmod(0o700 if path.is_dir() else 0o600)
        places = {f"/etc/disrupt/fleet/{name}": files, name: volume}
        root, log = self._work / name / "root", self._work / name / "log"
        made_from = container(SERVICES[name], self._namespace, root, places)
        self.containers[name] = machine = installed(made_from)
        command = json.loads(IMAGE["ENTRYPOINT"]) + json.loads(IMAGE["CMD"])
        process = self._stack.enter_context(machine.running(log, *command))
        assert process.stdout
        assert process.stdout.readline().startswith("Disrupt is ready on "), log.read_text()
        self.pids[name] = process.pid

    def key(self, right: str) -> str:
        """Make a key of a right."""
        create = ("disrupt", "keys", "create", "--json", right, "--right", right)
        secret: str = json.loads(self.containers["writer"].run(*create))["secret"]
        return secret


def _start_proxy(work: Path, namespace: str, stack: ExitStack) -> Path:
    """Start the proxy; return its certificate."""
    tls = work / "tls"
    tls.mkdir()
    pem = in_one_file(tls / "certificate.pem", INSIDE)
    pem.chmod(0o644)
    proxy = container(_PROXY, namespace, work / "proxy", {"/etc/disrupt/tls": tls})
    user = pwd.getpwnam("haproxy")  # of the official image, too
    proxy.user = f"{user.pw_uid}:{user.pw_gid}"
    stack.enter_context(proxy.running(work / "proxy.log", *_PROXY["command"]))
    return pem


def _start_postgresql(namespace: str, stack: ExitStack) -> None:
    words = SERVICES["postgresql"]["command"]
    settings = dict(word.split("=") for word in words if "=" in word)
    wrapper = ("ip", "netns", "exec", namespace)
    server = stack.enter_context(PostgreSql.create(port=5432, wrapper=wrapper, **settings))
    server.make_registry()
    for user in ("disrupt", "disrupt_match"):
        server.sql(f"ALTER ROLE {user} PASSWORD '{_PASSWORD}'")


def test_platforms_reach_the_node_that_is_left_through_the_proxy(tmp_path: Path) -> None:
    if why := unusable() or ("" if commands() else "needs PostgreSQL: scripts/system-packages"):
        pytest.skip(why)
    with ExitStack() as stack:
        namespace = stack.enter_context(network())
        _start_postgresql(namespace, stack)
        pem = _start_proxy(tmp_path, namespace, stack)
        machines = Machines(tmp_path, namespace, stack)
        for name, role in (("writer", "writer"), ("node-1", "match"), ("node-2", "match")):
            machines.start(name, role)

        address = f"{INSIDE}:{_PROXY['ports'][0].rpartition(':')[2]}"
        write = Write.new(random.Random(1), items=1, hashes=1)
        code = write.hashes[0].value
        desk = Desk(address, machines.key("register"), tls_ca=pem.read_bytes())
        with desk.open():
            patiently(lambda: desk.register(write))
        with MatchClient(address, key=machines.key("match"), tls_ca=pem) as client:
            for _ in range(8):  # each of its connections leads to another node
                eventually(lambda: bool(client.match_hashes(code)[0].matches))
            os.killpg(machines.pids["node-1"], signal.SIGKILL)
            for _ in range(8):
                assert client.match_hashes(code)[0].matches
