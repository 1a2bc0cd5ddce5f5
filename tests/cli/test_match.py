"""Looking pictures and hashes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from disrupt.hashing import ImageQuery, hash_image
from tests.cli.shell import Shell
from tests.cli.terminal import at_terminal
from tests.submission.examples import no_picture, picture, plain


def without_match_ids(line: dict[str, Any]) -> dict[str, Any]:
    """Remove from a line the match ids, which are other ones in every answer."""
    ids = [match.pop("match_id") for match in line["matches"]]
    assert all(bytes.fromhex(text) for text in ids)
    return line


def test_the_picture_matches_alike_when_it_is_sent_and_when_its_hash_is_given(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 101)
    item = disrupt.registered(file).registered[0].item_id
    (local,) = disrupt.match(file, until=1)
    (sent,) = disrupt("match", "--json", "--send-pictures", file).lines
    assert without_match_ids(sent) == without_match_ids(local)
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
    assert without_match_ids(by_hash) == local | {"input": text, "quality": None}
    assert by_hash["matches"][0]["item"] == item


def test_every_input_of_a_lookup_gets_its_line(disrupt: Shell, tmp_path: Path) -> None:
    files = [
        no_picture(tmp_path / "note.txt"),
        picture(tmp_path / "good.png", 140),
        plain(tmp_path / "plain.png"),
        tmp_path / "missing.png",
    ]
    for options in ([], ["--send-pictures"]):
        done = disrupt("match", "--json", *options, *files)
        assert done.code == 3
        assert [line["input"] for line in done.lines] == [str(file) for file in files]
        reasons = [line["error"] and line["error"]["reason"] for line in done.lines]
        assert reasons == ["INVALID_MEDIA", None, "LOW_QUALITY", "UNREADABLE_MEDIA"]
        assert all(line["matches"] == [] for line in done.lines)
        assert done.lines[2]["quality"] < 50
        for line in done.lines:
            assert set(line) == {"input", "quality", "matches", "error"}
            assert line["error"] is None or set(line["error"]) == {"reason", "message"}


def test_hashes_that_are_none_are_named_and_the_others_looked_up(disrupt: Shell) -> None:
    texts = ["00" * 31 + "ff", "zz" * 32, "f" * 63, "ab" * 32]
    done = disrupt("match", "--json", "--hash", *texts)
    assert done.code == 3
    assert [line["input"] for line in done.lines] == texts
    assert [line["error"] and line["error"]["reason"] for line in done.lines] == [
        None,
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        None,
    ]


def test_item_ids_are_whole_on_a_narrow_terminal(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 151)
    item = disrupt.registered(file).registered[0].item_id
    disrupt.match(file, until=1)
    env = {"DISRUPT_SERVER": disrupt.address, "DISRUPT_KEY": disrupt.match_key}
    with at_terminal("match", file, columns=40, env=env) as terminal:
        assert terminal.end() == 0
    assert f"\n  {item}  adults, 0 bits" in terminal.shown


def test_nothing_found_is_no_failure(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 150)
    done = disrupt("match", file)
    assert done.code == 0
    assert "no match" in done.out


def test_an_unknown_bank_or_too_large_a_distance_is_refused(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 183)
    for options in (["--bank", "nowhere"], ["--max-distance", "32"]):
        done = disrupt("match", *options, file)
        assert done.code == 1
        assert "options" in done.err


def test_a_large_picture_is_refused_with_its_limit(disrupt: Shell, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("1", (8000, 7000)).save(large)
    (line,) = disrupt("match", "--json", large).lines
    assert line["error"]["reason"] == "INVALID_MEDIA"
    assert "50 megapixels and 32 MiB" in line["error"]["message"]


def test_the_self_test_passes_against_a_server(disrupt: Shell) -> None:
    done = disrupt("match", "--self-test", "--json")
    assert (done.code, done.json["passed"]) == (0, True), done.out
    assert all(set(check) == {"name", "tried", "passed", "came"} for check in done.json["checks"])
    assert done.json["latency_ms"] > 0
    done = disrupt("match", "--self-test")
    assert (done.code, done.out.splitlines()[-1]) == (0, "All of it works.")


def test_the_self_test_says_that_a_key_may_not_match(disrupt: Shell) -> None:
    done = disrupt("match", "--self-test", key=disrupt.register_key)
    assert done.code == 1
    assert "does not have the right match" in done.out
    assert done.out.splitlines()[-1] == "The self-test did not pass."


def test_the_self_test_takes_no_files_and_a_lookup_some(disrupt: Shell, tmp_path: Path) -> None:
    for words in ([], ["--json"], ["--self-test", picture(tmp_path / "a.png", 1)]):
        done = disrupt("match", *words)
        assert done.code == 2
        assert "Traceback" not in done.err
