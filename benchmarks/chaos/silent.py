"""Look a registered hash up in one flow, of which nothing is ever read."""

from __future__ import annotations

import itertools
import sys
import time

from disrupt.client.connection import connect
from disrupt.v1 import match_pb2, types_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

_COPIES = 10_000
"""Hashes in a question, so that each answer has hundreds of KiB."""

_LASTS_S = 600.0


def main(address: str, key: str, stored: str) -> None:
    """Ask until this process is killed; print a line first."""
    batch = match_pb2.MatchHashesRequest(
        hashes=bytes.fromhex(stored) * _COPIES, profile=types_pb2.PROFILE_PDQ_512
    )
    question = match_pb2.StreamMatchHashesRequest(batch=batch)
    connection = connect(address, key)
    with connection.open() as channel:
        ask = MatchServiceStub(channel).StreamMatchHashes
        answers = ask(itertools.repeat(question), metadata=connection.metadata)
        print("asking", flush=True)
        time.sleep(_LASTS_S)
        answers.cancel()


if __name__ == "__main__":
    main(*sys.argv[1:])
