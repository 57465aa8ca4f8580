"""Run folders: refusal, resume, torn lines, one writer, atomic rewrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.errors import RunFolderError
from evals.rundir import CONFIG, SAMPLES, VERDICTS, RunFolder, RunWriter
from evals.sample import Sample

CONF = {"benchmark": "b", "version": "1", "settings": {"seed": 0, "model": "m"}, "model": {"name": "m"}}


def fill(path: Path, count: int) -> None:
    with RunWriter(path, CONF, resume=False) as writer:
        for i in range(count):
            writer.append(SAMPLES, Sample(f"t/{i}", 0, "code").to_row())


def test_a_folder_with_a_run_is_refused_without_resume(tmp_path: Path) -> None:
    fill(tmp_path / "run", 2)
    before = (tmp_path / "run" / SAMPLES).read_bytes()
    with pytest.raises(RunFolderError, match="--resume"):
        RunWriter(tmp_path / "run", CONF, resume=False)
    assert (tmp_path / "run" / SAMPLES).read_bytes() == before


@pytest.mark.parametrize("resume", [True, False])
def test_an_empty_folder_starts(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run", CONF, resume=resume):
        assert RunFolder.existing(tmp_path / "run").config == CONF


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="not empty"):
        RunWriter(tmp_path, CONF, resume=True)
    assert not (tmp_path / CONFIG).exists()


def test_resume_with_other_settings_names_the_difference(tmp_path: Path) -> None:
    fill(tmp_path / "run", 1)
    other = {**CONF, "settings": {"seed": 1, "model": "m"}}
    with pytest.raises(RunFolderError, match="seed: 0 there, 1 now"):
        RunWriter(tmp_path / "run", other, resume=True)
    with pytest.raises(RunFolderError, match="version: '1' there, '2' now"):
        RunWriter(tmp_path / "run", {**CONF, "version": "2"}, resume=True)


def test_every_cut_of_the_file_resumes_to_whole_rows(tmp_path: Path) -> None:
    fill(tmp_path / "run", 2)
    path = tmp_path / "run" / SAMPLES
    data = path.read_bytes()
    for cut in range(0, len(data) + 1, 7):
        path.write_bytes(data[:cut])
        whole = data[:cut].count(b"\n")
        assert len(RunFolder(tmp_path / "run").samples()) == whole
        with RunWriter(tmp_path / "run", CONF, resume=True) as writer:
            writer.append(SAMPLES, Sample("t/9", 0, "").to_row())
        assert [s.task_id for s in RunFolder(tmp_path / "run").samples()] == [
            f"t/{i}" for i in range(whole)
        ] + ["t/9"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", CONF, resume=True), pytest.raises(RunFolderError, match="another run"):
        RunWriter(tmp_path / "run", CONF, resume=True)
    with RunWriter(tmp_path / "run", CONF, resume=True):
        pass


def test_finish_orders_and_keeps_the_last_row_of_a_key(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", CONF, resume=False) as writer:
        for task, code in (("t/2", "b"), ("t/1", "old"), ("t/1", "new")):
            writer.append(SAMPLES, Sample(task, 0, code).to_row())
            writer.append(VERDICTS, {"task_id": task, "sample": 0})
        writer.finish([("t/1", 0), ("t/2", 0)])
    rows = [json.loads(line) for line in (tmp_path / "run" / SAMPLES).read_text().splitlines()]
    assert [(r["task_id"], r["solution"]) for r in rows] == [("t/1", "new"), ("t/2", "b")]


def test_damage_by_others_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "run", 2)
    path = tmp_path / "run" / SAMPLES
    path.write_bytes(b"garbage\n" + path.read_bytes())
    with pytest.raises(RunFolderError, match=r"samples\.jsonl:1: broken JSON"):
        RunFolder(tmp_path / "run").samples()
    with pytest.raises(RunFolderError, match="no run here"):
        RunFolder.existing(tmp_path)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run", CONF, resume=False)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", CONF, resume=False) as writer:
        writer.append(SAMPLES, Sample("t/0", 0, "").to_row())
        with Path("/dev/full").open("wb", buffering=0) as full:
            kept, writer._files[SAMPLES] = writer._files[SAMPLES], full
            with pytest.raises(RunFolderError, match="No space left"):
                writer.append(SAMPLES, Sample("t/1", 0, "").to_row())
            writer._files[SAMPLES] = kept
    assert [s.task_id for s in RunFolder(tmp_path / "run").samples()] == ["t/0"]
