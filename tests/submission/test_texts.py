"""Every text for victims exists in both languages."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.cases import CaseStatus
from disrupt.core.media import ItemState
from disrupt.errors import DisruptError, OverloadedError, TooManyAttemptsError
from disrupt.hashing.decoding.video_formats import FORMATS
from disrupt.submission import reasons, texts
from disrupt.submission.results import NOT_SENT, Rejected
from disrupt.texts import Phrase


def phrases() -> Iterator[Phrase]:
    for value in {**vars(texts), **vars(reasons)}.values():
        if isinstance(value, Phrase):
            yield value
        elif isinstance(value, dict):
            yield from (phrase for phrase in value.values() if isinstance(phrase, Phrase))


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}


@pytest.mark.parametrize("phrase", list(phrases()), ids=lambda phrase: phrase.en[:30])
def test_both_languages_say_it_with_the_same_facts(phrase: Phrase) -> None:
    assert phrase.fr.strip()
    assert phrase.en.strip()
    assert fields(phrase.fr) == fields(phrase.en)
    assert (phrase.fr[-1] in ".?") == (phrase.en[-1] in ".?")


def test_no_french_line_can_begin_with_punctuation_nor_a_number_leave_its_unit() -> None:
    phrase = Phrase("Attendez 7 s : c'est « sûr » ?", "Wait 7 s: is it safe?").typeset()
    assert phrase.fr.replace("\N{NO-BREAK SPACE}", "_") == "Attendez 7_s_: c'est «_sûr_»_?"
    assert phrase.en == "Wait 7 s: is it safe?"


def test_what_is_said_of_fingerprints_is_the_same_everywhere() -> None:
    root = Path(__file__).parents[2]
    pages = [(root / name).read_text("utf-8") for name in ("README.md", "SECURITY.md")]
    for said in (texts.NEVER_LEFT.en, *pages):
        flat = " ".join(said.split())
        assert "a crude likeness could be drawn from" in flat
        assert "platforms get none" in flat
    assert "une ébauche grossière" in texts.NEVER_LEFT.fr
    assert "les plateformes n'en reçoivent aucune" in texts.NEVER_LEFT.fr


@pytest.mark.parametrize("reads_heic", [True, False])
def test_heic_is_among_the_formats_that_are_named_only_where_it_is_read(
    monkeypatch: pytest.MonkeyPatch, *, reads_heic: bool
) -> None:
    monkeypatch.setattr(reasons, "FORMATS", ("JPEG", "HEIC") if reads_heic else ("JPEG",))
    phrase = reasons.rejection(Rejected("a.txt", "INVALID_MEDIA", ""))
    assert ("BMP ou HEIC" in phrase.fr, "BMP or HEIC" in phrase.en) == (reads_heic, reads_heic)
    assert ("exportez-la" in phrase.fr) != reads_heic


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("CASE_CLOSED", "dans un nouveau dossier, sans --case"),
        ("ERASURE_PENDING", "gardez-le avec « disrupt keep »"),
        ("LIMIT_EXCEEDED", "dans un nouveau dossier, sans --case"),
        ("CASE_REFUSED", "dans un nouveau dossier, sans --case"),
        ("KEY_REFUSED", "Demandez une nouvelle clé"),
        ("RIGHT_MISSING", "Demandez une nouvelle clé"),
        ("STORAGE_FULL", "plus tard avec --case"),
        ("UNAVAILABLE", "plus tard avec --case"),
        ("INTERRUPTED", "avec --case"),
    ],
)
def test_what_stopped_sending_decides_what_is_advised(reason: str, advice: str) -> None:
    left = reasons.rejection(Rejected("a.png", reason, "", cause=NOT_SENT))
    assert advice in left.fr
    assert "n'est pas enregistré" in left.fr
    assert "is not registered" in left.en


def test_every_container_of_videos_is_named_where_a_video_is_refused() -> None:
    short = {"QuickTime": "MOV", "Matroska": "MKV"}
    for name in sorted(set(FORMATS) - {"GIF", "WebP", "PNG"}):  # these are named with the pictures
        for said in reasons.REJECTIONS["INVALID_VIDEO"]:
            assert re.search(rf"\b{short.get(name, name)}\b", said)


def test_a_picture_that_is_too_large_is_told_both_limits() -> None:
    for reason in ("TOO_LARGE", "INVALID_MEDIA"):
        for said in reasons.REJECTIONS[reason]:
            assert "50" in said
            assert "32 M" in said


def test_every_state_that_keeps_a_picture_from_being_found_has_words() -> None:
    assert set(texts.STATES) == set(ItemState) - {ItemState.LIVE}


def test_every_status_has_words() -> None:
    assert set(texts.STATUSES) == set(CaseStatus)


def test_an_error_of_any_reason_is_explained() -> None:
    busy = reasons.explain(OverloadedError("Busy.", retry_after_s=12.3))
    guessed = reasons.explain(TooManyAttemptsError("Too many attempts.", retry_after_s=7.0))
    assert "7 s" in guessed.fr
    assert "7 s" in guessed.en
    assert "12 s" in busy.fr
    assert "12 s" in busy.en
    unknown = DisruptError("?")
    unknown.reason = "OF_A_NEWER_SERVER"
    assert reasons.explain(unknown) == reasons.ANY_ERROR


@pytest.mark.parametrize("name", ["REALLY_WITHDRAW", "WITHDRAWN", "ITEMS_WITHDRAWN"])
def test_what_is_withdrawn_is_said_to_be_erased_when_it_is(name: str) -> None:
    """Keep to what docs/erasure.md promises."""
    phrase = getattr(texts, name)
    for said in ("plus rien", "sous 24 heures", "plus tard de ses sauvegardes"):
        assert said in phrase.fr
    for said in ("no longer block", "within 24 hours", "later from its backups"):
        assert said in phrase.en
