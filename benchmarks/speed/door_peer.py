"""The peer of `bench door`: PDQIndex of python-threatexchange behind HMA's route of a lookup.

HMA itself asks its database for the contents of matches beside; this does not.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from flask import Flask, abort, request
from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

CODES = "DISRUPT_BENCH_CODES"
"""Environment variable with the path of the hashes, packed."""


def application() -> Flask:
    """Build the index, and return the application."""
    codes = np.frombuffer(Path(os.environ[CODES]).read_bytes(), np.uint8).reshape(-1, 32)
    index: PDQIndex[int] = PDQIndex(
        (code.tobytes().hex(), entry) for entry, code in enumerate(codes)
    )
    served = Flask(__name__)

    def by_bank(signal: str) -> dict[str, list[dict[str, object]]]:
        matches = [
            {"bank_content_id": match.metadata, "distance": match.similarity_info.pretty_str()}
            for match in index.query(signal)
        ]
        return {"ADULTS": matches} if matches else {}

    @served.get("/m/lookup")
    def lookup() -> dict[str, list[dict[str, object]]]:
        return by_bank(request.args["signal"])

    @served.post("/m/lookup")
    def lookup_file() -> dict[str, object]:
        signal, quality = pdq_from_bytes(request.files["photo"].stream.read())
        if quality < 50:
            abort(400)
        return {"pdq": by_bank(signal)}

    return served
