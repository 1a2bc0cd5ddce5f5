"""Why a certificate and a key cannot be used is said by the file that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from disrupt.certificates import misfit
from tests.doctor.certificates import Pair, pair


@pytest.fixture
def given(tmp_path: Path) -> Pair:
    return pair(tmp_path / "given", "localhost")


def test_a_pair_fits(given: Pair) -> None:
    assert misfit(given.certificate, given.key) == ""


def test_files_that_are_exchanged_or_missing_are_named(given: Pair) -> None:
    assert misfit(given.key, given.key) == (
        f"{given.key} holds no certificate in PEM, but a private key"
    )
    assert misfit(given.certificate, given.certificate) == (
        f"{given.certificate} holds no private key in PEM, but a certificate"
    )
    given.key.unlink()
    assert misfit(given.certificate, given.key) == (
        f"{given.key} cannot be read: No such file or directory"
    )


def test_the_key_of_another_certificate_is_named(given: Pair, tmp_path: Path) -> None:
    other = pair(tmp_path / "other", "localhost")
    assert misfit(given.certificate, other.key) == f"{other.key} is the key of another certificate"


def test_a_key_with_a_password_is_named(given: Pair) -> None:
    encryption = BestAvailableEncryption(b"password")
    given.key.write_bytes(
        given.private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    )
    assert "is protected by a password" in misfit(given.certificate, given.key)


@pytest.mark.parametrize("what", ["certificate", "key"])
def test_a_damaged_file_is_named(given: Pair, what: str) -> None:
    damaged: Path = getattr(given, what)
    lines = damaged.read_text().splitlines()
    damaged.write_text("\n".join([lines[0], "AAAA", lines[-1]]))
    assert misfit(given.certificate, given.key).startswith(f"{damaged} holds a damaged ")
