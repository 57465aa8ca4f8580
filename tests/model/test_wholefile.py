"""Whole files: of several writers one wins, and a writer that fails leaves what was there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.wholefile import beside, write_whole


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "one")
    write_whole(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_of_threads_that_write_one_file_at_once_one_wins(tmp_path: Path) -> None:
    texts = [str(n) * 5_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(lambda text: write_whole(tmp_path / "a", text), texts))
    assert (tmp_path / "a").read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_writer_that_fails_changes_nothing(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")

    def fail() -> None:
        with beside(tmp_path / "a") as work:
            work.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "a").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
