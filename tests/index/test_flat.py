from __future__ import annotations

import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from disrupt.errors import SnapshotRefusedError
from disrupt.index.flat import FlatIndex
from disrupt.index.nearest import ItemColumns, same_limits
from disrupt.index.writing import CodesWriter
from rig.media.codes import Codes, random_codes
from tests.index.conformance import SearchConformance


class TestFlatMapped(SearchConformance):
    def build(self, codes: Codes, folder: Path) -> FlatIndex:
        with closing(CodesWriter(folder / "codes.faiss")) as writer:
            for batch in np.array_split(codes, 3):
                writer.append(batch)
        return FlatIndex.map(folder / "codes.faiss")


def test_the_nearest_code_of_each_query_is_so_far() -> None:
    codes, queries = random_codes(50), random_codes(7, 1)
    bits = np.bitwise_count(queries[:, None] ^ codes).sum(axis=2)
    assert FlatIndex.of(codes).nearest_bits(queries).tolist() == bits.min(axis=1).tolist()


def test_a_batch_near_a_crowd_takes_the_memory_of_a_part_of_it() -> None:
    codes = np.zeros((100_000, 32), np.uint8)
    row = np.arange(len(codes), dtype=np.uint32) // 1000
    items = replace(ItemColumns.one_code_each(len(codes)), row=row)
    index = FlatIndex.of(codes)
    tracemalloc.start()
    try:
        near = index.search(codes[:64], 31, items, same_limits(31), 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert near.entry.tolist() == [*range(0, 100_000, 1000)] * 64
    assert peak < 64 << 20


@pytest.mark.parametrize("content", [b"", b"not an index", b"IBxF" + bytes(60)])
def test_a_file_that_faiss_cannot_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "codes.faiss").write_bytes(content)
    with pytest.raises(SnapshotRefusedError, match=r"codes\.faiss"):
        FlatIndex.map(tmp_path / "codes.faiss")


def test_faiss_files_of_another_kind_or_length_are_refused(tmp_path: Path) -> None:
    for faiss_index in (faiss.IndexBinaryFlat(128), faiss.IndexBinaryHash(256, 16)):
        faiss.write_index_binary(faiss_index, str(tmp_path / "codes.faiss"))
        with pytest.raises(SnapshotRefusedError, match="256 bits"):
            FlatIndex.map(tmp_path / "codes.faiss")
