"""Every text for victims exists in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from disrupt.client import review, review_commands
from disrupt.errors import CaseRefusedError, DisruptError, OverloadedError, TooManyAttemptsError
from disrupt.submission import reasons, texts
from disrupt.submission.results import NOT_SENT, Rejected
from disrupt.texts import LANGUAGES, Phrase, read_catalogue, read_texts

COUNTED = {"a.one": "x", "a.other": "{count} x"}


@pytest.mark.parametrize("name", ["shared", "commands", "page", "review"])
def test_both_languages_say_it_with_the_same_facts(name: str) -> None:
    for key, phrase in read_catalogue(name).items():
        assert phrase.fr.strip(), key
        assert phrase.en.strip(), key
        assert (phrase.fr[-1] in ".?") == (phrase.en[-1] in ".?"), key


@pytest.mark.parametrize(
    ("french", "language", "texts", "problem"),
    [
        ({"a": "x", "b": "y"}, "en", {"a": "x"}, "b"),
        ({"a": "x"}, "en", {"a": "x", "b": "y"}, "b"),
        ({"a": "x"}, "en", {"a": " "}, "a"),
        ({"a": "{count} x"}, "en", {"a": "x"}, "a"),
        ({"a": "{count} x"}, "en", {"a": "{number} x"}, "a"),
        (COUNTED, "en", {"a.other": "{count} x"}, "a.one"),
        (COUNTED, "en", COUNTED | {"a.two": "{count} x"}, "a.two"),
        (COUNTED, "en", COUNTED | {"a.other": "x"}, "a.other"),
        (COUNTED, "en", COUNTED | {"a.one": "{day} x"}, "a.one"),
        (COUNTED, "ar", COUNTED, "a.few, a.many, a.two, a.zero"),
        ({"a": "x", "a.other": "y"}, "ar", {"a": "x"}, "a.other"),
    ],
)
def test_what_is_missing_or_other_than_in_french_is_refused(
    tmp_path: Path, french: dict[str, str], language: str, texts: dict[str, str], problem: str
) -> None:
    (tmp_path / "some.fr.json").write_text(json.dumps(french))
    (tmp_path / f"some.{language}.json").write_text(json.dumps(texts))
    with pytest.raises(ValueError, match=rf"^some\.{language}\.json: .*: {problem}$"):
        read_texts("some", language, tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_of_the_page_is_whole_and_names_the_same_numbers_to_call(
    language: str,
) -> None:
    def numbers(text: str) -> set[str]:
        return set(re.findall(r"(?<!\d)(3018|119|114|112|17)(?!\d)", text))

    for name in ("shared", "page"):
        french = read_texts(name, "fr")
        for key, text in read_texts(name, language).items():
            base = key.rpartition(".")[0]
            like = key if key in french else f"{base}.other"
            assert numbers(text) == numbers(french[like]), key


def test_the_commands_say_each_text_of_their_catalogue() -> None:
    shared, commands, page = map(read_catalogue, ("shared", "commands", "page"))
    assert not shared.keys() & (commands.keys() | page.keys())
    said = set[str]()
    for value in {**vars(texts), **vars(reasons)}.values():
        if isinstance(value, Phrase):
            said.add(value.fr)
        elif isinstance(value, dict) and value is not texts._TEXTS:
            said |= {phrase.fr for phrase in value.values() if isinstance(phrase, Phrase)}
    unsaid = [
        key
        for key, phrase in commands.items()
        if not any(words.startswith(phrase.fr) for words in said)
    ]
    assert unsaid == []


def test_review_says_each_text_of_its_catalogue() -> None:
    """By its key, or by the family of it: where the rest is a name that the service gives."""
    source = "".join(
        Path(module.__file__ or "").read_text("utf-8") for module in (review, review_commands)
    )
    families = ("error.", "of.", "decide.", "shows.")
    unsaid = [
        key
        for key in read_catalogue("review")
        if not re.search(f"[\"']{key}[\"']", source) and not key.startswith(families)
    ]
    assert unsaid == []


def test_no_french_line_can_begin_with_punctuation_nor_a_number_leave_its_unit() -> None:
    phrase = Phrase("Attendez 7 s : c'est « sûr » ?", "Wait 7 s: is it safe?").typeset()
    assert phrase.fr.replace("\N{NO-BREAK SPACE}", "_") == "Attendez 7_s_: c'est «_sûr_»_?"
    assert phrase.en == "Wait 7 s: is it safe?"


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("CASE_CLOSED", "dans un nouveau dossier, sans --case"),
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


def test_who_lost_a_pin_reads_what_can_be_done_today() -> None:
    said = reasons.explain(CaseRefusedError())
    assert "Code PIN perdu ? Personne ne peut le retrouver" in said.fr
    assert "Si ce dossier existe et n'a pas été retiré" in said.fr
    assert "If this case exists and was not withdrawn" in said.en
    assert "ce qui est bloqué le reste" in said.fr
    on_the_page = read_catalogue("page")["open.lost"]
    assert (
        "Si ce dossier existe et n'a pas été retiré, ce qui est bloqué le reste" in on_the_page.fr
    )
    assert (
        "If this case exists and was not withdrawn, what is blocked stays blocked" in on_the_page.en
    )
    assert "Enregistrez ses images à nouveau, sans --case" in said.fr
    assert "effacé, donnez son numéro" in said.fr


def test_a_minor_reads_of_119_beside_3018() -> None:
    for said in texts.HELP_MINOR:
        assert "3018" in said
        assert "119" in said


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


@pytest.mark.parametrize(
    "name", ["REALLY_WITHDRAW", "REALLY_WITHDRAW_LAST", "WITHDRAWN", "ITEMS_WITHDRAWN"]
)
def test_what_is_withdrawn_is_said_to_be_erased_when_it_is(name: str) -> None:
    """Keep to what docs/erasure.md promises."""
    phrase = getattr(texts, name)
    for said in ("plus rien", "sous 24 heures", "plus tard de ses sauvegardes"):
        assert said in phrase.fr
    for said in ("no longer block", "within 24 hours", "later from its backups"):
        assert said in phrase.en
