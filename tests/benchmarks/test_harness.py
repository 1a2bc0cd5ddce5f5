"""What benchmarks share: photographs, sets of hashes, brute force, tables."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness import hash_sets, report
from rig.media import photographs
from rig.model.brute_force import brute_force


def test_a_table_has_numbers_as_pages_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    report.show([{"what": "a", "n": 1234567, "ms": 0.123456, "per_s": 1234.5, "bound": None}])
    head, _, row = capsys.readouterr().out.splitlines()[:3]
    assert head == "| what | n | ms | per_s | bound |"
    assert row == "| a | 1 234 567 | 0.123 | 1 234 |  |"


def test_brute_force_finds_what_comparing_bits_finds() -> None:
    codes = np.load(hash_sets.stored("uniform", 5000))
    asked = hash_sets.queries("uniform", codes, 40)
    asked[7] = ~codes[4999]
    distances = (np.unpackbits(asked[:, None] ^ codes[None], axis=2)).sum(axis=2)
    for most in (0, 31, 110, 256):
        assert brute_force(codes, asked, most) == [
            [(entry, int(row[entry])) for entry in np.flatnonzero(row <= most).tolist()]
            for row in distances
        ]


def test_real_hashes_are_photographs_and_blends_of_them_with_half_their_bits_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hash_sets, "MAX_REGIONS", 200)
    codes = np.concatenate(list(hash_sets.real(500, seed=1)))
    assert codes.shape == (500, 32)
    assert np.all(np.bitwise_count(codes).sum(axis=1) == 128)
    assert len(np.unique(codes, axis=0)) == 500


def test_every_tenth_query_is_planted_at_the_distance_of_its_turn() -> None:
    codes = np.load(hash_sets.stored("uniform", 2000))
    asked = hash_sets.queries("uniform", codes, 400)
    nearest = np.bitwise_count(asked[:, None] ^ codes[None]).sum(axis=-1).min(axis=1)
    assert nearest[::10].tolist() == [hash_sets.planted_bits(turn) for turn in range(40)]
    assert sorted(map(hash_sets.planted_bits, range(32))) == list(range(32))
    assert nearest.reshape(40, 10)[:, 1:].min() > 31


def test_photographs_that_every_machine_has_come_last_and_names_are_unique() -> None:
    names = [name for name, _ in photographs.photographs()]
    assert names[-6:] == ["astronaut", "chelsea", "coffee", "rocket", "china", "flower"]
    assert len(set(names)) == len(names)
