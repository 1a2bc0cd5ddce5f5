"""Small files of the data directory are whole, whoever writes them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from disrupt.data_directory import write_private


def test_writers_of_one_file_at_once_each_succeed_and_leave_it_whole(tmp_path: Path) -> None:
    file = tmp_path / "registry.head"
    texts = [f"{digit}" * 10_000 * (digit + 1) for digit in range(4)]

    def write(text: str) -> None:
        for _ in range(50):
            write_private(file, text)
            assert file.read_text(encoding="ascii") in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(write, texts))
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "registry.head"
    (tmp_path / "registry.head.new").write_text("longer than what follows", encoding="ascii")
    write_private(file, "new")
    assert file.read_text(encoding="ascii") == "new"
    assert list(tmp_path.iterdir()) == [file]
