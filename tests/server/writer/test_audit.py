"""What a server does is in its audit log, over a kill, and fits each checkpoint that it signed."""

from __future__ import annotations

from pathlib import Path

from disrupt.audit import entries
from disrupt.audit.entries import Leaf
from disrupt.audit.files import LEAVES
from rig.callers.acts import registered, withdraw
from rig.callers.caller import PIN, calling, distinctive
from rig.callers.shell import Done, typed
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


def test_a_person_checks_a_withdrawal_by_its_receipt(tmp_path: Path) -> None:
    data_dir, key_file, saved = tmp_path / "data", tmp_path / "key", tmp_path / "receipt.json"
    audit_key = tmp_path / "audit.key"
    settings = f"{FEW_DECODERS}stale_not_ready_s = 1.05\nstale_closes_s = 1.1\n"

    def asked(server: Deployment, *command: str | Path) -> Done:
        connection = ("--server", server.address, "--key-file", key_file)
        return typed(*command, *connection, DISRUPT_PIN=PIN)

    def checked_in_the_log() -> int:
        return typed("audit", "receipt", saved, "--key", audit_key).code

    with Deployment.start(data_dir, settings=settings) as server:
        secret = server.make_key("helpline", "register")
        key_file.write_text(secret)
        with calling(server.address, secret) as helpline:
            case, _ = registered(helpline, distinctive())
        withdrawn = asked(server, "withdraw", case, "--yes", "--json", "--receipt")
        codes = [withdrawn.json["receipt"]]
        assert asked(server, "receipt", *codes).code == 1, "in no checkpoint yet"
        audit_key.write_text(typed("audit", "key", "--data-dir", data_dir).out, encoding="utf-8")
    for shown in (3, 0):  # a server looks and signs as it starts: first marks, then all is erased
        with Deployment.start(data_dir, settings=settings) as server:
            eventually(lambda: asked(server, "receipt", *codes, "--save", saved).code == 0)
            assert checked_in_the_log() == shown
            typed("erase", "--data-dir", data_dir)
            wrong = f"{codes[0][:-1]}{'0' if codes[0][-1] != '0' else '1'}"
            assert asked(server, "receipt", wrong).code == 1
