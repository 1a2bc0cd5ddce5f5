"""Nothing is restored from what is no backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from disrupt.errors import DataDirectoryError
from disrupt.server.upkeep.restore import restore


def test_a_folder_without_a_backup_is_refused_for_what_it_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    with pytest.raises(DataDirectoryError, match=r"backup\.json refused: missing"):
        restore(folder, tmp_path / "data", accept_unknown_removals=True)
