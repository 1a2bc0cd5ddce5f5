"""What commands print can be read wherever it is printed."""

from __future__ import annotations

import pytest

from disrupt import cli


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Numéro de dossier · «œuvre» →", b'Numero de dossier - "oeuvre" ->'),
        ("l\N{RIGHT SINGLE QUOTATION MARK}été", b"l'ete"),
        ("東京.png", b"??.png"),
    ],
)
def test_what_an_encoding_lacks_is_printed_in_plain_letters(text: str, printed: bytes) -> None:
    cli._make_readable()
    assert text.encode("ascii", "disrupt.plain") == printed


def test_what_cannot_be_decoded_is_an_error() -> None:
    cli._make_readable()
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "disrupt.plain")
