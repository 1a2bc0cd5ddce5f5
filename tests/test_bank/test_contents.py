"""The test bank has the hashes of its pictures, and is small."""

from __future__ import annotations

import importlib.util
import io
import secrets
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from disrupt import test_bank
from disrupt.core.hashes import MAX_DISTANCE_BITS, stack
from disrupt.core.media import MediaKind, columns, pack
from disrupt.core.policy import TEST
from disrupt.hashing import ImageFingerprints, ImageQuery, fingerprint_image, hash_image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Load the script that draws the pictures."""
    spec = importlib.util.spec_from_file_location("draw", ROOT / "scripts" / "test_bank.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hashes_are_those_that_a_device_would_register_of_the_pictures() -> None:
    for name, item in zip(test_bank.PICTURES, test_bank.items(), strict=True):
        fingerprinted = fingerprint_image(test_bank.picture(name))
        assert isinstance(fingerprinted, ImageFingerprints)
        assert pack(columns(fingerprinted.fingerprints)) == pack(item.fingerprints)
        assert (item.bank, item.kind) == (TEST.number, MediaKind.IMAGE)


def test_the_pictures_are_those_that_the_script_draws(script: ModuleType) -> None:
    for seed, name in enumerate((*test_bank.PICTURES, test_bank.UNREGISTERED), start=1):
        with Image.open(io.BytesIO(test_bank.picture(name))) as stored:
            drawn = script.draw(seed)
            assert stored.convert("RGB").tobytes() == drawn.convert("RGB").tobytes()


def test_no_picture_is_near_to_one_that_is_another() -> None:
    names = (*test_bank.PICTURES, test_bank.UNREGISTERED)
    for at, name in enumerate(names, start=1):
        query = hash_image(test_bank.picture(name))
        assert isinstance(query, ImageQuery)
        hashes = stack(value for value, _ in query.hashes)
        for item in test_bank.items():
            stored = item.fingerprints["hash"]
            bits = np.bitwise_count(hashes[:, None] ^ stored[None]).sum(axis=-1).min()
            assert bits == 0 if item.number == at else bits > MAX_DISTANCE_BITS


def test_all_of_it_takes_some_tens_of_kilobytes() -> None:
    folder = Path(test_bank.__file__).parent
    assert sum(file.stat().st_size for file in folder.glob("*.[pn][np][gz]")) < 80_000


def test_its_items_are_told_from_those_of_a_registry() -> None:
    items = test_bank.items()
    assert all(test_bank.has(item.item_id) and len(item.item_id) == 16 for item in items)
    assert len({item.item_id for item in items}) == len(test_bank.PICTURES)
    assert not test_bank.has(secrets.token_bytes(16))
