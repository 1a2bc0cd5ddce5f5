"""What ``disrupt match`` prints."""

from __future__ import annotations

from click.testing import CliRunner

from disrupt.cli import main
from disrupt.v1 import match_pb2, types_pb2
from tests.client.scripted import scripted


def test_matches_are_printed_below_their_input() -> None:
    texts = ["00" * 32, "ff" * 32]
    columns = match_pb2.MatchColumns(
        queries=[1],
        item_ids=bytes(16),
        distances_bits=[5],
        bank_names=["adults"],
        banks=[0],
        assurances=[types_pb2.ASSURANCE_REVIEWED],
        kinds=[types_pb2.MEDIA_KIND_IMAGE],
        variants=[types_pb2.Variant()],
        match_ids=[b""],
    )
    with scripted(match_pb2.MatchHashesResponse(matches=columns)) as server:
        env = {"DISRUPT_SERVER": server.address, "DISRUPT_KEY": "key"}
        done = CliRunner().invoke(main, ["match", "--hash", *texts], env=env)
    assert done.output.splitlines() == [
        f"{texts[0]}: no match",
        f"{texts[1]}: 1 match",
        f"  {'00' * 16}  adults, 5 bits, identity / plan 0:0",
    ]
