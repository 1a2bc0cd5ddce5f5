"""The commands of deploy/compose.yaml, run as they stand in a network namespace that they share.

Exercised: commands, environment, volumes, users and read-only roots of compose file and Dockerfile.
Not exercised: the base images (this machine's /usr and Python stand for them), published ports,
limits, and the engine's policies.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from disrupt.client import MatchClient
from disrupt.client.health import check_health
from disrupt.core.cases import case_number
from disrupt.errors import UnauthenticatedError
from disrupt.v1.registration_pb2 import CaseAccess, GetCaseRequest
from disrupt.web.gateway import CONTENT_TYPE, SERVICE
from rig.servers import proxied, roots
from rig.servers.certificates import in_one_file
from rig.servers.gateway import whole_page
from rig.servers.roots import Root

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
IMAGE = roots.last_stage((ROOT / "Dockerfile").read_text())
OUTSIDE, INSIDE = "10.213.7.1", "10.213.7.2"
"""Ends of a link between this machine and the namespace."""


def unusable() -> str:
    """Return why namespaces cannot be used here; empty where they can."""
    if why := proxied.unusable() or roots.unusable():
        return why
    if any(ROOT.is_relative_to(target) for target in SERVICES["server"].get("tmpfs", ())):
        return "needs a checkout elsewhere: the container has a file system of its own there"
    return "" if shutil.which("ip") else "needs ip, of iproute2"


@contextmanager
def network() -> Iterator[str]:
    """Make a network namespace with a link to this machine; yield its name."""
    name = f"disrupt-{secrets.token_hex(4)}"
    link = f"d{secrets.token_hex(4)}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{OUTSIDE}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "address", "add", f"{INSIDE}/30", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", name, "link", "set", device, "up")
        yield name
    finally:
        ip("netns", "delete", name)


def container(
    service: dict[str, Any], namespace: str, directory: Path, places: dict[str, Path]
) -> Root:
    """Prepare a service; ``places`` are the paths here of volumes and of what is at /etc."""
    root = roots.base(directory)
    mounts = []
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        origin = places.get(source) or (DEPLOY / source).resolve(strict=True)
        mounts.append(f"mount --bind {origin} $R{target}")
        point = root.inside(target)
        if origin.is_dir():
            point.mkdir(parents=True)
        else:
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
    for target in service.get("tmpfs", ()):
        root.inside(target).mkdir(exist_ok=True)
        mounts.append(f"mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $R{target}")
    env = root.env | service.get("environment", {})
    read_only = service["read_only"]
    return replace(root, env=env, namespace=namespace, mounts=tuple(mounts), read_only=read_only)


def installed(server: Root) -> Root:
    """Put this environment, which is of this checkout, where the Dockerfile installs Disrupt."""
    server.inside("/root").chmod(0o711)
    mounts = []
    for origin, target in (
        (ROOT, str(ROOT)),
        (Path(sys.base_prefix), sys.base_prefix),
        (Path(sys.prefix), "/opt/disrupt"),
    ):
        server.inside(target).mkdir(parents=True, exist_ok=True)
        mounts.append(f"mount --bind {origin} $R{target}")
    of_image = roots.variables(IMAGE["ENV"])
    env = of_image | server.env | {"PATH": of_image["PATH"]}
    return replace(server, env=env, user=IMAGE["USER"], mounts=(*mounts, *server.mounts))


def asked(page: str, tls: ssl.SSLContext, path: str, body: bytes | None = None) -> tuple[int, str]:
    """Ask the page over HTTPS; return status and body."""
    connection = http.client.HTTPSConnection(page, context=tls)
    headers = {"content-type": CONTENT_TYPE} if body else {}
    connection.request("POST" if body else "GET", path, body, headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_platforms_and_browsers_reach_the_server_through_the_proxy(tmp_path: Path) -> None:
    if why := unusable():
        pytest.skip(why)
    whole_page()
    volume, tls, web_keys = (tmp_path / name for name in ("volume", "tls", "keys"))
    volume.mkdir(mode=0o700)
    shutil.chown(volume, *map(int, IMAGE["USER"].split(":")))
    tls.mkdir()
    web_keys.mkdir()
    pem = in_one_file(tls / "certificate.pem", INSIDE)
    pem.chmod(0o644)  # as for the image's user, who is not known here
    places = {"data": volume, "/etc/disrupt/tls": tls, "/etc/disrupt/web": web_keys}
    address, page = (f"{INSIDE}:{port.rpartition(':')[2]}" for port in SERVICES["proxy"]["ports"])

    with network() as name:
        proxy = container(SERVICES["proxy"], name, tmp_path / "proxy", places)
        user = pwd.getpwnam("haproxy")  # of the official image, too
        proxy.user = f"{user.pw_uid}:{user.pw_gid}"
        server = installed(container(SERVICES["server"], name, tmp_path / "server", places))
        command = json.loads(IMAGE["ENTRYPOINT"]) + json.loads(IMAGE["CMD"])
        with (
            proxy.running(tmp_path / "proxy.log", *SERVICES["proxy"]["command"]),
            server.running(tmp_path / "server.log", *command) as process,
        ):
            assert process.stdout
            ready = process.stdout.readline()
            assert ready == "Disrupt is ready on 127.0.0.1:50051\n", (
                tmp_path / "server.log"
            ).read_text()
            health = json.loads(IMAGE["HEALTHCHECK"].rpartition("CMD ")[2])
            assert "\nserving (all " in server.run(*health)
            create = ("disrupt", "keys", "create", "--json")
            secret = json.loads(server.run(*create, "platform", "--right", "match"))["secret"]
            of_page = json.loads(server.run(*create, "web", "--right", "register"))["secret"]

            check_health(address, tls_ca=pem)
            with MatchClient(address, key=secret, tls_ca=pem) as client:
                assert not client.match_hashes(os.urandom(32))[0].matches
            with (
                MatchClient(address, key="stranger", tls_ca=pem) as client,
                pytest.raises(UnauthenticatedError),
            ):
                client.match_hashes(os.urandom(32))

            (web_keys / "web.key").write_text(of_page)
            (web_keys / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
            web = installed(container(SERVICES["web"], name, tmp_path / "web", places))
            command = [*json.loads(IMAGE["ENTRYPOINT"]), *SERVICES["web"]["command"]]
            with web.running(tmp_path / "web.log", *command) as gateway:
                assert gateway.stdout
                ready = gateway.stdout.readline()
                assert ready == "The page is ready on http://127.0.0.1:8080\n", (
                    tmp_path / "web.log"
                ).read_text()
                trusting = ssl.create_default_context(cafile=pem)
                status, front = asked(page, trusting, "/")
                assert status == 200
                assert "<title>" in front
                asking = GetCaseRequest(access=CaseAccess(case_number=case_number(1), pin="0" * 12))
                status, refused = asked(
                    page, trusting, f"{SERVICE}/GetCase", asking.SerializeToString()
                )
                assert status == 404
                assert "No case with this number and PIN" in refused
                _, python, *words = SERVICES["web"]["healthcheck"]["test"]
                web.run(f"/opt/disrupt/bin/{python}", *words)
