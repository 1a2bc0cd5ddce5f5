"""The tree, its notes and its proofs are those of RFC 6962 and C2SP, as others read them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as TheirCheckpoint
from tlog_scales.tlog import InclusionProof

from disrupt.audit import notes, tree
from disrupt.audit.notes import Checkpoint, Verifier
from disrupt.errors import NoteError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VERIFIER = Verifier("log.example/audit", KEY.public_key().public_bytes_raw())
leaf_lists = st.lists(st.binary(min_size=32, max_size=32), max_size=40)


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root as section 2.1 of RFC 6962 defines it."""
    if len(leaves) <= 1:
        return tree.leaf_hash(leaves[0]) if leaves else tree.EMPTY_ROOT
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return tree.node_hash(naive_root(leaves[:half]), naive_root(leaves[half:]))


@given(leaf_lists)
def test_a_root_is_that_of_the_definition_at_each_size(leaves: list[bytes]) -> None:
    frontier = tree.Frontier()
    for size, leaf in enumerate(leaves):
        assert frontier.root() == naive_root(leaves[:size])
        frontier.add(leaf)
        frontier = tree.Frontier(frontier.size, frontier.roots)
    assert frontier.root() == tree.root_of(leaves) == naive_root(leaves)


@given(leaf_lists.filter(bool), st.data())
def test_a_proof_holds_for_its_leaf_alone(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    size, root = len(leaves), tree.root_of(leaves)
    subtrees = tree.subtrees(lambda first, last: leaves[first:last], ())
    proof = tree.inclusion_proof(index, size, subtrees)
    assert tree.is_included(leaves[index], index, size, proof, root)
    InclusionProof(index, size, proof).check(tree.leaf_hash(leaves[index]), root)
    other = bytes([leaves[index][0] ^ 1]) + leaves[index][1:]
    assert not tree.is_included(other, index, size, proof, root)
    assert not tree.is_included(leaves[index], index, size, [*proof, root], root)
    if proof:
        assert not tree.is_included(leaves[index], index, size, proof[:-1], root)


@given(st.integers(0, 2**40), st.binary(min_size=32, max_size=32))
def test_others_read_a_signed_checkpoint(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(VERIFIER.name, size, root)
    note = checkpoint.signed(KEY)
    theirs = TheirCheckpoint.from_text(note)
    theirs.verify(Vkey.from_string(str(VERIFIER)))
    assert (theirs.size, theirs.root_hash) == (size, root)
    assert notes.opened(note, Verifier.parse(str(VERIFIER))) == checkpoint


def test_signatures_of_witnesses_and_further_lines_are_left_alone() -> None:
    text = Checkpoint(VERIFIER.name, 7, bytes(32)).text + "further\n"
    own = notes.Checkpoint(VERIFIER.name, 7, bytes(32)).signed(KEY).split("\n\n")[1]
    witness = "\u2014 witness.example/w " + own.split(" ")[2]
    with pytest.raises(NoteError):  # the further line is signed, too
        notes.opened(f"{text}\n{witness}{own}", VERIFIER)
    signed = Checkpoint(VERIFIER.name, 7, bytes(32)).signed(KEY)
    assert notes.opened(signed + witness, VERIFIER).size == 7


@given(st.data())
def test_a_note_with_another_byte_is_refused(data: st.DataObject) -> None:
    note = Checkpoint(VERIFIER.name, 1234, bytes(range(32))).signed(KEY)
    at = data.draw(st.integers(0, len(note) - 2))
    character = data.draw(st.characters(codec="utf-8", exclude_characters=note[at]))
    changed = note[:at] + character + note[at + 1 :]
    try:
        assert notes.opened(changed, VERIFIER) == notes.opened(note, VERIFIER)
    except NoteError:
        return
    # unused bits of base64 may differ, and what it says is the same
    assert changed.split("\n\n")[0] == note.split("\n\n")[0]


@pytest.mark.parametrize("text", ["", "x", "a+b+c", "log+00000000+AA==", str(VERIFIER)[:-4]])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(text)
