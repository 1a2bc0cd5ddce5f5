"""A proof pays for as many pictures as its challenge, once, of one key and network."""

from __future__ import annotations

import base64
import json
import time

import pytest

from disrupt.services.proofs_of_work import VALID_S, ProofsOfWork
from tests.services.solving import solved

KEY, HOME = "key", b"home"
NOW_S = time.time()


@pytest.fixture
def proofs() -> ProofsOfWork:
    return ProofsOfWork(attempts=4)


def proof_of(proofs: ProofsOfWork, pictures: int, at_s: float = NOW_S) -> str:
    return solved(proofs.challenge(KEY, HOME, pictures, at_s=at_s))


def test_a_proof_pays_for_its_pictures_in_any_number_of_registrations(
    proofs: ProofsOfWork,
) -> None:
    proof, other = proof_of(proofs, 3), proof_of(proofs, 1)
    for left in (3, 2, 1, 0):
        purse = proofs.purse(proof, KEY, HOME, at_s=NOW_S)
        assert purse.left == left
        purse.left -= 1
    assert proofs.purse(other, KEY, HOME, at_s=NOW_S).left == 1


def test_the_same_proof_written_in_another_way_is_spent_too(proofs: ProofsOfWork) -> None:
    proof = proof_of(proofs, 1)
    proofs.purse(proof, KEY, HOME, at_s=NOW_S).left -= 1
    content = json.loads(base64.b64decode(proof))
    content["challenge"]["parameters"] = dict(reversed(content["challenge"]["parameters"].items()))
    content["solution"]["time"] = 7
    again = base64.b64encode(json.dumps(content, indent=1).encode()).decode()
    assert proofs.purse(again, KEY, HOME, at_s=NOW_S).left == 0


def test_another_key_or_network_and_a_server_that_was_restarted_take_no_proof(
    proofs: ProofsOfWork,
) -> None:
    proof = proof_of(proofs, 2)
    assert proofs.purse(proof, "another", HOME, at_s=NOW_S).left == 0
    assert proofs.purse(proof, KEY, b"elsewhere", at_s=NOW_S).left == 0
    assert ProofsOfWork(attempts=4).purse(proof, KEY, HOME, at_s=NOW_S).left == 0
    assert proofs.purse(proof, KEY, HOME, at_s=NOW_S).left == 2


def test_a_proof_that_is_too_old_pays_for_nothing(proofs: ProofsOfWork) -> None:
    proof = proof_of(proofs, 1, at_s=NOW_S - VALID_S - 2)
    assert proofs.purse(proof, KEY, HOME, at_s=NOW_S).left == 0


def test_what_was_spent_is_forgotten_once_it_is_too_old(proofs: ProofsOfWork) -> None:
    proofs.purse(proof_of(proofs, 1), KEY, HOME, at_s=NOW_S).left = 0
    assert len(proofs._purses) == 1
    proofs.purse("", KEY, HOME, at_s=NOW_S + VALID_S + 2)
    assert not proofs._purses


def altered(proof: str, part: str, name: str, value: object) -> str:
    content = json.loads(base64.b64decode(proof))
    content[part][name] = value
    return base64.b64encode(json.dumps(content).encode()).decode()


def test_what_is_no_proof_pays_for_nothing_and_fails_nothing(proofs: ProofsOfWork) -> None:
    proof = proof_of(proofs, 2)
    content = json.loads(base64.b64decode(proof))
    parameters = content["challenge"]["parameters"]
    wrong = {
        "empty": "",
        "no base64": "é" * 7,
        "no JSON": base64.b64encode(b"{").decode(),
        "no object": base64.b64encode(b"[1]").decode(),
        "no signature": altered(proof, "challenge", "signature", None),
        "more pictures": altered(
            proof, "challenge", "parameters", parameters | {"data": {"pictures": 64}}
        ),
        "a longer time": altered(
            proof, "challenge", "parameters", parameters | {"expiresAt": 2**40}
        ),
        "another key": altered(proof, "solution", "derivedKey", "00" * 32),
        "no key": altered(proof, "solution", "derivedKey", None),
        "parameters of no kind": altered(proof, "challenge", "parameters", 7),
        "a number for the challenge": base64.b64encode(
            json.dumps(content | {"challenge": 7}).encode()
        ).decode(),
    }
    lefts = {what: proofs.purse(each, KEY, HOME, at_s=NOW_S).left for what, each in wrong.items()}
    assert lefts == dict.fromkeys(wrong, 0)
    assert proofs.purse(proof, KEY, HOME, at_s=NOW_S).left == 2


def test_work_grows_with_the_pictures() -> None:
    proofs = ProofsOfWork(attempts=3)

    def mean(pictures: int) -> float:
        found: list[int] = [
            json.loads(base64.b64decode(proof_of(proofs, pictures)))["solution"]["counter"]
            for _ in range(100)
        ]
        return sum(found) / len(found)

    assert 4 * mean(1) < mean(8)


def test_without_attempts_nothing_is_asked_for() -> None:
    assert ProofsOfWork().challenge(KEY, HOME, 1, at_s=NOW_S) == ""
