"""Looking pictures and hashes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from disrupt.hashing import ImageQuery, hash_image
from rig.callers.shell import Done, Shell
from rig.media.generated import no_picture, picture, plain


def test_the_picture_matches_alike_when_it_is_sent_and_when_its_hash_is_given(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 101)
    item = disrupt.registered(file).registered[0].item_id
    (local,) = disrupt.match(file, until=1)
    (sent,) = disrupt("match", "--json", "--send-pictures", file).lines
    assert _without_ids(sent) == _without_ids(local)
    mirrored = tmp_path / "mirrored.png"
    ImageOps.mirror(Image.open(file)).save(mirrored)
    (copy,) = disrupt("match", "--json", mirrored).lines
    (match,) = copy["matches"]
    assert (match["item"], match["query_transform"]) == (item, "mirror")
    assert "mirror / identity" in " ".join(disrupt("match", mirrored).out.split())
    for options in ([], ["--send-pictures"]):
        (as_it_is,) = disrupt("match", "--json", "--effort", "fast", *options, mirrored).lines
        assert not as_it_is["matches"]
    query = hash_image(file.read_bytes())
    assert isinstance(query, ImageQuery)
    text = query.hashes[0][0].hex()
    (by_hash,) = disrupt("match", "--json", "--hash", text).lines
    as_sent = _without_ids(local) | {"input": text, "quality": None}
    assert _without_ids(by_hash) == as_sent
    (whole,) = disrupt("match", "--json", "--whole-only", file).lines
    assert _without_ids(whole) == _without_ids(local)
    assert by_hash["matches"][0]["item"] == item


def _without_ids(line: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without its match ids, of which no two are alike."""
    matches = [{**match, "match_id": None} for match in line["matches"]]
    return {**line, "matches": matches}


def test_every_input_of_a_lookup_gets_its_line(disrupt: Shell, tmp_path: Path) -> None:
    files = [
        no_picture(tmp_path / "note.txt"),
        picture(tmp_path / "good.png", 140),
        plain(tmp_path / "plain.png"),
        tmp_path / "missing.png",
    ]
    reasons = ["INVALID_MEDIA", None, "LOW_QUALITY", "UNREADABLE_MEDIA"]
    for options in ([], ["--send-pictures"]):
        done = disrupt("match", "--json", *options, *files)
        assert _reasons(done) == (3, [*zip(map(str, files), reasons, strict=True)])
        assert done.lines[2]["quality"] < 50
        for line in done.lines:
            assert set(line) == {"input", "quality", "matches", "error"}
            assert line["matches"] == []
            assert line["error"] is None or set(line["error"]) == {"reason", "message"}
    texts = ["00" * 31 + "ff", "zz" * 32, "f" * 63, "ab" * 32]
    reasons = [None, "INVALID_REQUEST", "INVALID_REQUEST", None]
    by_hash = disrupt("match", "--json", "--hash", *texts)
    assert _reasons(by_hash) == (3, [*zip(texts, reasons, strict=True)])


def _reasons(done: Done) -> tuple[int, list[tuple[str, str | None]]]:
    """Return the exit code, and each input with the reason why it was not looked up."""
    lines = [(line["input"], line["error"] and line["error"]["reason"]) for line in done.lines]
    return done.code, lines
