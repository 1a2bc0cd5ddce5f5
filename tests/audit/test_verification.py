"""Whoever changes a log is found by who kept a checkpoint, and an honest one is not accused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from disrupt.audit import entries
from disrupt.audit.commands import audit
from disrupt.audit.entries import Leaf
from disrupt.audit.files import LEAVES, AuditFiles, verifier_of
from disrupt.audit.notes import Checkpoint
from disrupt.audit.tree import root_of
from disrupt.audit.verification import Fault, verify
from disrupt.errors import DataDirectoryError

NAME = "log.example/audit"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))

contents = st.fixed_dictionaries(
    {"kind": st.sampled_from([entries.ACT, entries.WITHDRAWAL]), "items": st.integers(0, 2**40)}
)
logs = st.lists(contents, min_size=1, max_size=12).map(
    lambda made: [Leaf.of(number, entry) for number, entry in enumerate(made)]
)


def at(leaves: list[Leaf], size: int) -> Checkpoint:
    return Checkpoint(NAME, size, root_of(leaf.leaf for leaf in leaves[:size]))


def faults(leaves: list[Leaf], *checkpoints: Checkpoint) -> set[Fault]:
    return {finding.fault for finding in verify(leaves, checkpoints).findings}


@given(logs, st.data())
def test_an_honest_log_fits_all_its_checkpoints_also_once_entries_are_erased(
    log: list[Leaf], data: st.DataObject
) -> None:
    checkpoints = [at(log, size) for size in range(len(log) + 1)]
    erased = data.draw(st.sets(st.sampled_from(range(len(log)))))
    kept = [replace(leaf, salt=None, entry=None) if leaf.number in erased else leaf for leaf in log]
    verified = verify(kept, checkpoints)
    assert (verified.findings, verified.erased) == ((), len(erased))


@given(logs, st.data())
def test_each_change_is_found_and_named(log: list[Leaf], data: st.DataObject) -> None:
    kept = at(log, len(log))
    number = data.draw(st.integers(0, len(log) - 1))
    other = Leaf.of(number, {"kind": "act", "items": -1})
    edited = replace(log[number], entry=other.entry)
    without = log[:number] + log[number + 1 :]
    renumbered = [replace(leaf, number=place) for place, leaf in enumerate(without)]
    assert faults([*log[:number], edited, *log[number + 1 :]], kept) == {Fault.EDITED}
    assert faults([*log[:number], other, *log[number + 1 :]], kept) == {Fault.REWRITTEN}
    assert faults(log[:number], kept) == {Fault.TRUNCATED}
    assert faults(renumbered, kept) == {Fault.TRUNCATED}
    if number < len(log) - 1:
        assert Fault.MISSING in faults(without, kept)
        swapped = [*log[:number], log[number + 1], log[number], *log[number + 2 :]]
        assert Fault.REORDERED in faults(swapped, kept)
    assert faults(log, kept, replace(kept, root=bytes(32))) == {Fault.CONTRADICTORY}


@given(logs, st.data())
def test_a_fork_after_a_restore_is_told_from_a_rewritten_log(
    log: list[Leaf], data: st.DataObject
) -> None:
    backed_up = data.draw(st.integers(0, len(log) - 1))
    restored = Leaf.of(backed_up, {"kind": entries.RESTORED})
    again = [Leaf.of(backed_up + 1 + more, {"kind": "act"}) for more in range(len(log))]
    assert faults([*log[:backed_up], restored, *again], at(log, len(log)), at(log, backed_up)) == {
        Fault.FORKED
    }
    assert faults([*log[:backed_up], restored], at(log, backed_up)) == set()


@given(logs, st.data())
def test_any_other_byte_of_the_file_is_found(log: list[Leaf], data: st.DataObject) -> None:
    content = "".join(leaf.line() for leaf in log).encode()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        leaves = [Leaf.parse(line) for line in changed.decode().splitlines()]
    except (ValueError, TypeError):
        return
    assert leaves == log or faults(leaves, at(log, len(log)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    kept = AuditFiles(tmp_path / "audit")
    kept.add([Leaf.of(number, {"kind": "act", "items": number}) for number in range(3)])
    kept.sign(KEY, NAME)
    kept.add([Leaf.of(3, {"kind": "withdrawal", "items": 1})])
    kept.sign(KEY, NAME)
    (tmp_path / "key").write_text(str(verifier_of(KEY, NAME)), encoding="utf-8")
    return tmp_path


def verified(directory: Path, *more: str) -> tuple[int, Any]:
    log = directory / "audit"
    answer = CliRunner().invoke(
        audit,
        [
            *("verify", str(log / LEAVES), "--key", str(directory / "key"), "--json", *more),
            *("--checkpoint", str(log / "checkpoints")),
        ],
    )
    return answer.exit_code, json.loads(answer.stdout or "{}")


def test_files_go_on_where_they_ended_and_a_torn_line_is_cut_off(directory: Path) -> None:
    path = directory / "audit" / LEAVES
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    again = AuditFiles(directory / "audit")
    assert (again.size, path.read_bytes()) == (4, whole)
    again.add([Leaf.of(4, {"kind": "act"})])
    again.sign(KEY, NAME)
    assert verified(directory) == (0, {**verified(directory)[1], "leaves": 5, "findings": []})
    names = [file.name for file in sorted((directory / "audit" / "checkpoints").iterdir())]
    assert [int(name) for name in names] == [3, 4, 5]


def test_the_command_says_what_is_wrong_and_ends_with_1(directory: Path) -> None:
    path = directory / "audit" / LEAVES
    path.write_bytes(path.read_bytes().replace(b"withdrawal", b"withdrawol"))
    code, said = verified(directory)
    assert (code, [each["fault"] for each in said["findings"]]) == (1, ["edited"])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    code, said = verified(directory)
    assert (code, {each["fault"] for each in said["findings"]}) == (1, {"truncated"})


def test_a_file_with_a_gap_is_not_added_to(directory: Path) -> None:
    path = directory / "audit" / LEAVES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(DataDirectoryError):
        AuditFiles(directory / "audit")
