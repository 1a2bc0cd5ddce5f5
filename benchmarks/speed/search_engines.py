"""Build and measure Disrupt's index and its peers, each in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.tables import Tables
from disrupt.index.nearest import ItemColumns, same_limits
from rig.model.brute_force import Answer, Codes
from rig.processes.running import pss_mb

_FIRST_QUERIES = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one engine; ``answers`` are of the first queries, ``took_us`` of all asked.

    ``took_us`` and ``build_cpu_s`` are processor time, of the searching thread and of the process.
    Other work on the machine lengthens them less than time on a clock, ``build_s``.
    """

    build_s: float
    build_cpu_s: float
    pss_mb: float
    took_us: NDArray[np.float64]
    answers: list[Answer]
    engine_chosen: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One engine over one set: queries are asked in order, until ``seconds`` are over."""

    engine: str
    codes: Path
    queries: Path
    max_distance_bits: int
    seconds: float
    least_queries: int
    build_threads: int


@dataclass(frozen=True, slots=True)
class Engine:
    """``ask`` takes the result of ``prepare`` for a query; ``read`` reads its answer."""

    ask: Callable[[Any], Any]
    prepare: Callable[[Codes], Any]
    read: Callable[[Any], Answer]
    chosen: str = ""


SETTINGS = {
    "disrupt": "16 x 16 bits, from 30 million hashes on 12 x 21; radii sum to t - 15 or t - 11;"
    " tags of the following chunk",
    "faiss_flat": "IndexBinaryFlat, range_search",
    "faiss_multihash_hma": "IndexBinaryMultiHash, 16 x 16 bits, 1 flip",
    "faiss_multihash_best": "IndexBinaryMultiHash, 11 x 23 bits, 2 flips",
    "threatexchange_pdqindex": "PDQIndex.query, as it comes",
}


def measure(task: Task) -> Measured:
    """Build the engine, ask the queries in order on one thread, and measure memory."""
    codes = np.load(task.codes, mmap_mode="r")
    codes.max()  # reads the mapped file into memory
    queries = np.load(task.queries)
    faiss.omp_set_num_threads(task.build_threads)
    began, began_cpu = time.perf_counter(), time.process_time()
    engine = _BUILD[task.engine](codes, task)
    build_s, build_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    del codes
    gc.collect()
    faiss.omp_set_num_threads(1)
    prepared = [engine.prepare(query) for query in queries]
    for query in prepared[:_FIRST_QUERIES]:
        engine.ask(query)
    took_us: list[float] = []
    answers: list[Answer] = []
    ends = time.perf_counter() + task.seconds
    for query in prepared:
        began_ns = time.thread_time_ns()
        answer = engine.ask(query)
        took_us.append((time.thread_time_ns() - began_ns) / 1000)
        answers.append(engine.read(answer))
        if time.perf_counter() > ends and len(took_us) >= task.least_queries:
            break
    return Measured(build_s, build_cpu_s, pss_mb(), np.array(took_us), answers, engine.chosen)


def _disrupt(codes: Codes, task: Task) -> Engine:
    index = faiss.IndexBinaryFlat(256)
    index.add(codes)
    flat = FlatIndex(index)
    tables = Tables.of(flat.view(), task.build_threads)
    search = MultiIndex(flat, tables)
    chosen = search.plan(task.max_distance_bits).engine
    items = ItemColumns.one_code_each(len(codes))
    wanted = (task.max_distance_bits, items, same_limits(task.max_distance_bits), len(codes))
    return Engine(
        lambda query: search.search(query, *wanted),
        lambda query: query[None],
        lambda result: list(zip(result.entry.tolist(), result.distance.tolist(), strict=True)),
        chosen,
    )


def _faiss(index: faiss.IndexBinary, task: Task) -> Engine:
    # range_search excludes its radius.
    return Engine(
        lambda query: index.range_search(query, task.max_distance_bits + 1),
        lambda query: query[None],
        lambda result: list(zip(result[2].tolist(), result[1].astype(int).tolist(), strict=True)),
    )


def _faiss_flat(codes: Codes, task: Task) -> Engine:
    index = faiss.IndexBinaryFlat(256)
    index.add(codes)
    return _faiss(index, task)


def _faiss_multihash(chunks: int, bits: int, flips: int) -> Callable[[Codes, Task], Engine]:
    def build(codes: Codes, task: Task) -> Engine:
        index = faiss.IndexBinaryMultiHash(256, chunks, bits)
        index.nflip = flips
        index.add(codes)
        return _faiss(index, task)

    return build


def _threatexchange(codes: Codes, _task: Task) -> Engine:
    # Add all codes in one call: each call rebuilds the table of all entries.
    index: PDQIndex[int] = PDQIndex(
        (code.tobytes().hex(), entry) for entry, code in enumerate(codes)
    )
    return Engine(
        index.query,
        lambda query: query.tobytes().hex(),
        lambda result: [(match.metadata, match.similarity_info.distance) for match in result],
    )


_BUILD: dict[str, Callable[[Codes, Task], Engine]] = {
    "disrupt": _disrupt,
    "faiss_flat": _faiss_flat,
    "faiss_multihash_hma": _faiss_multihash(16, 16, 1),
    "faiss_multihash_best": _faiss_multihash(11, 23, 2),
    "threatexchange_pdqindex": _threatexchange,
}
