"""A run folder is unique, and the names of its files stand in one module."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

from ptrun.checkpoint import names
from ptrun.errors import CheckpointError, ConfigError, ResourceError
from ptrun.loggers import records
from ptrun.reports import evaluation
from ptrun.runs import folder as run_folder
from ptrun.runs.folder import RunDir, create_run_dir, create_run_dir_at, point_latest, redact, redact_command

PACKAGE = ROOT / "ptrun"
# Where the names stand: the module of run folders, and those of lower floors that it takes names from.
OWNERS = {Path(module.__file__ or "") for module in (run_folder, names, records, evaluation)}
FILES = {
    value
    for module in (run_folder, names, records, evaluation)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
FOREIGN = {("models/weights/download.py", "checkpoints")}  # the folder of torch.hub


def path_parts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that name a file: operands of `/`, and whole texts with the ending of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            sides = [side.value for side in (node.left, node.right) if isinstance(side, ast.Constant)]
            yield from (side for side in sides if isinstance(side, str))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield node.value


def test_the_names_of_files_stand_in_one_module():
    assert {"config.yaml", "status.json", "metrics.jsonl", "best.pt", "metrics.json", "plots", "test"} <= FILES
    literals = [
        (path.relative_to(PACKAGE).as_posix(), part)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in OWNERS
        for text in path_parts(ast.parse(path.read_text(encoding="utf-8")))
        for part in text.split("/")
        if part in FILES
    ]
    assert sorted(set(literals) - FOREIGN) == []


def test_a_run_folder_is_new_and_has_a_name_that_every_system_takes(folder: Path):
    runs = [create_run_dir("outputs", ("first try", "a/b=c")) for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    for run in runs:
        assert run.path.is_dir()
        assert "-first_try-a_b_c-" in run.path.name
        assert run.path.parent.parent == Path("outputs")


def test_a_word_of_any_length_gives_a_folder_whose_name_is_cut(folder: Path):
    run = create_run_dir("outputs", ("lr=0.1," * 60, "m" * 300, "d" * 300))
    assert run.path.is_dir()
    assert "-lr_0.1_lr_0.1" in run.path.name
    assert "-mmm" in run.path.name
    assert "-ddd" in run.path.name


def test_runs_that_start_together_have_folders_of_their_own(folder: Path):
    script = (
        "from ptrun.runs import folder; run = folder.create_run_dir('outputs', ('a', 'b'))\n"
        "folder.point_latest('outputs', run); print(run.path)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env) for _ in range(4)
    ]
    paths = {process.communicate()[0].strip() for process in started}
    assert len(paths) == 4
    assert all(Path(path).is_dir() for path in paths)
    assert (folder / "outputs" / "latest").resolve() in {(folder / path).resolve() for path in paths}


def test_finding_runs_needs_no_torch():
    """Commands that only name a run answer a mistake before torch is imported."""
    script = "import sys, ptrun.runs.find, ptrun.sweeps.session; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "False\n"


def test_a_given_folder_has_to_be_empty(folder: Path):
    assert create_run_dir_at(folder / "a" / "b").path.is_dir()
    (folder / "a" / "b" / "x").touch()
    with pytest.raises(ConfigError, match="already holds a run"):
        create_run_dir_at(folder / "a" / "b")


def test_a_folder_that_can_not_be_made_is_a_resource_error(folder: Path):
    (folder / "outputs").write_text("a file")
    with pytest.raises(ResourceError, match="Choose another output_dir"):
        create_run_dir("outputs", ("a",))


def test_latest_points_to_the_newest_and_never_takes_the_place_of_a_folder(folder: Path):
    for name in ("a", "b"):
        run = create_run_dir("outputs", (name,))
        point_latest("outputs", run)
        assert Path("outputs/latest").resolve() == run.path.resolve()
    Path("own/latest").mkdir(parents=True)
    point_latest("own", create_run_dir("own", ("c",)))
    assert not Path("own/latest").is_symlink()
    assert [path.name for path in Path("own").iterdir() if path.name.startswith(".")] == []


def test_secrets_are_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    run = RunDir(folder)
    as_written = {"dataset": {"root": "${oc.env:ROOT}", "api_key": "k-1"}, "lr": 1}
    run.write_config(as_written, {"dataset": {"root": "/secret/place", "api_key": "k-1"}, "lr": 1})
    resolved = (folder / "resolved.yaml").read_text()
    assert "/secret/place" not in resolved
    assert "k-1" not in resolved
    assert "${oc.env:ROOT}" in resolved
    assert redact({"tokens": [{"password": "x"}], "num_tokens": 3}) == {
        "tokens": [{"password": "<hidden>"}],
        "num_tokens": 3,
    }


def test_damaged_files_are_reported(folder: Path):
    run = RunDir(folder)
    assert run.read_json("status.json") == {}
    for text in ("{", "[1]"):
        (folder / "status.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"status\.json: is damaged"):
            run.read_json("status.json")
    (folder / "resolved.yaml").write_text("model: {name: convnet}\n")
    with pytest.raises(CheckpointError, match="holds no configuration"):
        run.read_config()


def test_a_status_says_how_a_run_ended(folder: Path):
    run = RunDir(folder)
    assert not run.is_run()
    run.write_status("failed", reason="no data", exit_code=3)
    status = run.read_json("status.json")
    assert (status["state"], status["reason"], status["exit_code"], status["pid"]) == (
        "failed",
        "no data",
        3,
        os.getpid(),
    )
    assert run.is_run()
    assert not run.is_done()
    run.write_status("done")
    assert run.is_done()


def test_a_command_without_its_secrets():
    command = "ptrun train model=convnet dataset.api_key=hunter2 'label=two words'"
    assert redact_command(command) == "ptrun train model=convnet 'dataset.api_key=<hidden>' 'label=two words'"


def test_a_job_can_start_over(folder: Path):
    for name in ("job.json", "job.log", ".lock", "status.json", "train.log"):
        (folder / name).touch()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.pt").touch()
    with pytest.raises(ConfigError, match="already holds a run"):
        create_run_dir_at(folder)
    RunDir(folder).start_over()
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "job.json", "job.log"]
    assert create_run_dir_at(folder).path == folder
