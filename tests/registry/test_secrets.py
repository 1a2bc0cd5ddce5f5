"""A registry is not used with the secrets of another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError
from disrupt.registry import opening
from disrupt.registry.backup import back_up

BELONGS = r"secrets\.json belongs to another registry than the registry\.db"


@pytest.fixture
def other(tmp_path: Path) -> bytes:
    """Make the secrets of another server."""
    directory = DataDirectory(tmp_path / "other")
    directory.make()
    directory.secrets()
    return directory.secrets_file.read_bytes()


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """Make a data directory that a writer has opened beside its secrets."""
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    with opening.writing(directory):
        pass
    return directory


def test_a_node_has_the_key_of_match_ids_and_no_pepper(directory: DataDirectory) -> None:
    with pytest.raises(DataDirectoryError, match=r"has the pepper.*registry node-secrets"):
        directory.check_secrets_of_node()
    stored = json.loads(directory.secrets_file.read_text())
    directory.secrets_file.write_text(json.dumps({"match_tokens": stored["match_tokens"]}))
    directory.check_secrets_of_node()
    directory.secrets_file.unlink()
    with pytest.raises(DataDirectoryError, match=r"is missing.*registry node-secrets"):
        directory.check_secrets_of_node()


def test_other_secrets_are_refused_until_the_right_ones_are_back(
    directory: DataDirectory, other: bytes, tmp_path: Path
) -> None:
    right = directory.secrets_file.read_bytes()
    directory.secrets_file.write_bytes(other)
    with pytest.raises(DataDirectoryError, match=BELONGS), opening.writing(directory):
        pass
    with pytest.raises(DataDirectoryError, match=BELONGS):
        back_up(directory.path, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    directory.secrets_file.write_bytes(right)
    with opening.writing(directory):
        pass
    back_up(directory.path, tmp_path / "backup")
