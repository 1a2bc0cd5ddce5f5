"""Catalogues of texts: both languages say the same things, and each text is in one catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import pytest

from disrupt.submission import reasons, texts
from disrupt.texts import DIRECTORY, Phrase, read_catalogue

NAMES = sorted({path.name.split(".")[0] for path in DIRECTORY.glob("*.json")})

Write = Callable[[Mapping[str, str], Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_both(french: Mapping[str, str], english: Mapping[str, str]) -> Path:
        for language, texts_by_key in (("fr", french), ("en", english)):
            (tmp_path / f"some.{language}.json").write_text(json.dumps(texts_by_key))
        return tmp_path

    return write_both


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_keys_fields_and_no_empty_text(name: str) -> None:
    for key, phrase in read_catalogue(name).items():
        assert phrase.fr.strip(), key
        assert phrase.en.strip(), key
        assert (phrase.fr[-1] in ".?") == (phrase.en[-1] in ".?"), key


def test_a_phrase_is_what_the_files_say(write: Write) -> None:
    directory = write({"wait": "Attendez {wait_s} s."}, {"wait": "Wait {wait_s} s."})
    catalogue = read_catalogue("some", directory)
    assert catalogue == {"wait": Phrase("Attendez {wait_s} s.", "Wait {wait_s} s.")}
    assert catalogue["wait"].fields == {"wait_s"}


@pytest.mark.parametrize(
    ("french", "english", "problem"),
    [
        ({"a": "x", "b": "y"}, {"a": "x"}, "not in both languages: b"),
        ({"a": "x"}, {"a": "x", "b": "y"}, "not in both languages: b"),
        ({"a": "{count} x"}, {"a": "x"}, "count"),
        ({"a": "{count} x"}, {"a": "{number} x"}, "count"),
    ],
)
def test_what_only_one_language_has_is_refused(
    write: Write, french: Mapping[str, str], english: Mapping[str, str], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        read_catalogue("some", write(french, english))


@pytest.mark.parametrize("pair", list(combinations(NAMES, 2)), ids="-".join)
def test_a_key_of_what_is_shared_is_in_no_other_catalogue(pair: tuple[str, str]) -> None:
    if "shared" in pair:
        first, second = map(read_catalogue, pair)
        assert not first.keys() & second.keys()


def test_the_commands_say_every_text_of_their_catalogue() -> None:
    said = set[Phrase]()
    for value in {**vars(texts), **vars(reasons)}.values():
        if isinstance(value, Phrase):
            said.add(value)
        elif isinstance(value, dict) and value is not texts._PHRASES:
            said |= {phrase for phrase in value.values() if isinstance(phrase, Phrase)}
    assert set(read_catalogue("commands").values()) <= said
