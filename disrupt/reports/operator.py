"""Read what only the operator knows: texts of the report, and notices that the hotline sent itself.

The file is TOML: a table of TEXTS for each language, and an array ``notices``. What is missing is a
gap of the report, which is then a draft.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from disrupt.errors import ConfigurationError
from disrupt.reports.figures import Family, family
from disrupt.texts import Phrase

TEXTS = ("operator", "introduction", "independence")
"""Texts of the operator's in each language: its name, what goes first, and the procedures by which
it keeps its independence, as Article 22(3) of Regulation (EU) 2022/2065 asks."""

NOTICES = "notices"
"""Name of the family of notices."""


class ProviderAction(StrEnum):
    """What a provider did after a notice."""

    REMOVED = "removed"
    DISABLED = "disabled"
    RESTRICTED = "restricted"
    """Another restriction of the content, such as fewer people who see it."""
    ACCOUNT = "account"
    """The account was suspended or closed."""
    NONE = "none"
    PENDING = "pending"
    """Nothing was answered yet."""


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """Texts by language and name, of which any may be missing, and notices; None: not given."""

    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notices: Family | None = None

    def missing(self, language: str) -> list[str]:
        """Return the names of the texts that a language lacks."""
        return [name for name in TEXTS if not self.texts.get(language, {}).get(name)]


def read(content: str) -> OperatorFile:
    """Read the file. Raises ConfigurationError for what is not in its form."""
    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"--texts: {error}") from None
    texts = {name: values.pop(name, {}) for name in Phrase._fields}
    notices = values.pop("notices", None)
    if unknown := [
        *values,
        *(f"{language}.{name}" for language in texts for name in _unfit(texts[language])),
    ]:
        raise ConfigurationError(f"--texts: not known, or no text: {', '.join(sorted(unknown))}")
    return OperatorFile(
        {
            language: {name: text.strip() for name, text in texts[language].items()}
            for language in texts
        },
        None if notices is None else _family(notices),
    )


def _unfit(texts: object) -> list[str]:
    if not isinstance(texts, dict):
        return ["no table"]
    return [name for name, text in texts.items() if name not in TEXTS or not isinstance(text, str)]


def _family(notices: object) -> Family:
    """Sum notices up by each of the three things that the article names."""
    rows: list[Any] = notices if isinstance(notices, list) else [notices]
    for number, row in enumerate(rows, 1):
        if not _is_notice(row):
            raise ConfigurationError(
                f"--texts: notices, number {number}: give provider, category, count (1 or more), "
                f"action ({', '.join(ProviderAction)}), and keyword if there is any"
            )
    return family(
        NOTICES,
        (
            (("provider",), [((row["provider"],), row["count"]) for row in rows]),
            (
                ("content",),
                [((row.get("keyword", row["category"]),), row["count"]) for row in rows],
            ),
            (("measure",), [((row["action"],), row["count"]) for row in rows]),
        ),
    )


def _is_notice(row: Any) -> bool:  # noqa: ANN401 whatever TOML can hold
    if not isinstance(row, dict) or row.keys() - {"keyword"} != {
        *("provider", "category", "action", "count")
    }:
        return False
    codes = {
        name: row.get(name, "KEYWORD_") for name in ("provider", "category", "keyword", "action")
    }
    return (
        all(isinstance(code, str) for code in codes.values())
        and bool(row["provider"].strip())
        and row["category"].startswith("STATEMENT_CATEGORY_")
        and codes["keyword"].startswith("KEYWORD_")
        and row["action"] in {*ProviderAction}
        and type(row["count"]) is int
        and row["count"] > 0
    )
