"""Checkpoint files are named and ordered by their optimizer step."""

from __future__ import annotations

from pathlib import Path

from ptrun.checkpoint.names import not_found_error, other_checkpoints, step_file, step_files, step_of


def test_step_files_are_ordered_by_number_not_by_name(tmp_path: Path):
    for step in (100_000_001, 99_999_999, 7, 100_000_000):
        step_file(tmp_path, step).touch()
    for name in ("best.pt", "last.pt", "step-x.pt", "step-00000007.pt.old", ".tmp-1-step-00000008.pt"):
        (tmp_path / name).touch()
    assert [step_of(path) for path in step_files(tmp_path)] == [7, 99_999_999, 100_000_000, 100_000_001]
    assert step_files(tmp_path)[0].name == "step-00000007.pt"
    assert step_files(tmp_path / "none") == []


def test_a_missing_checkpoint_is_answered_with_those_beside_it(tmp_path: Path):
    assert other_checkpoints(tmp_path / "a.pt") == other_checkpoints(tmp_path / "none" / "a.pt") == ""
    (tmp_path / "best.pt").touch()
    assert str(not_found_error(tmp_path / "bset.pt")).endswith("no such file or folder. In that folder: best.pt.")
    assert "`ptrun train` makes it" in str(not_found_error(tmp_path / "latest"))
