"""Only hashes leave the device: the traffic is recorded and searched."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.core.cases import AgeBand
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.submission.client import SubmissionClient
from tests.submission.examples import picture
from tests.submission.recording import recording

pytestmark = pytest.mark.slow


WINDOW_BYTES = 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    running = Deployment.start(
        tmp_path_factory.mktemp("leaks") / "data", workers=1, settings=FEW_DECODERS
    )
    try:
        yield running
    finally:
        running.stop()


def windows(data: bytes) -> set[bytes]:
    """Return every run of 16 bytes that is not the same byte throughout."""
    pieces = {data[at : at + WINDOW_BYTES] for at in range(len(data) - WINDOW_BYTES + 1)}
    return {piece for piece in pieces if len(set(piece)) > 1}


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_no_part_of_the_picture_its_pixels_or_its_name_is_sent(
    server: Deployment, tmp_path: Path, suffix: str
) -> None:
    file = picture(tmp_path / f"un-nom-qui-ne-doit-pas-partir.{suffix}", seed=len(suffix))
    key = server.make_key(f"helpline {suffix}", "register")
    with recording(server.address) as proxy, SubmissionClient(proxy.address, key=key) as client:
        done = client.submit([file], age=AgeBand.ADULT)
        client.case(done.case_number, done.pin)
        client.withdraw(done.case_number, done.pin)
    sent = bytes(proxy.sent)

    data = file.read_bytes()
    outcome = fingerprint_image(data)
    assert isinstance(outcome, ImageFingerprints)
    for fingerprint in outcome.fingerprints:
        assert fingerprint.hash.value in sent, "the recording is of something else"

    with Image.open(file) as opened:
        rgb, grey = opened.convert("RGB").tobytes(), opened.convert("L").tobytes()
    over_the_wire = windows(sent)
    for secret in (data, rgb, grey):
        for form in (secret, base64.b64encode(secret), secret.hex().encode()):
            assert windows(form).isdisjoint(over_the_wire)
    assert b"un-nom-qui-ne-doit-pas-partir" not in sent
