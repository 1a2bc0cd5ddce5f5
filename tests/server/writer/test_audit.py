"""What a server does is in its audit log, over a kill, and fits each checkpoint that it signed."""

from __future__ import annotations

from pathlib import Path

from disrupt.audit import entries
from disrupt.audit.entries import Leaf
from disrupt.audit.files import LEAVES
from rig.callers.acts import registered, withdraw
from rig.callers.caller import calling, distinctive
from rig.callers.shell import typed
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.waiting import eventually


def kinds(leaves: list[Leaf]) -> list[str]:
    return [leaf.content["kind"] for leaf in leaves]


def test_what_a_server_does_is_in_its_log_also_after_a_kill(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    path, key = data_dir / "audit" / LEAVES, tmp_path / "key"

    def leaves() -> list[Leaf]:
        return list(entries.read(path))

    def verified() -> int:
        checkpoints = ("--checkpoint", data_dir / "audit" / "checkpoints")
        return typed("audit", "verify", path, "--key", key, *checkpoints).code

    with Deployment.start(data_dir, settings=FEW_DECODERS) as server:
        secret = server.make_key("helpline", "register")
        with calling(server.address, secret) as helpline:
            case, _ = registered(helpline, distinctive())
            eventually(lambda: kinds(leaves())[-2:] == ["act", "registration"])
            key.write_text(typed("audit", "key", "--data-dir", data_dir).out, encoding="utf-8")
            assert verified() == 0
            withdraw(helpline, case)
        server.kill()
    with Deployment.start(data_dir, settings=FEW_DECODERS):
        eventually(lambda: kinds(leaves())[-1] == "withdrawal")
        assert verified() == 0
    path.write_bytes(path.read_bytes().replace(b"registration", b"withdrawing."))
    assert verified() == 1
