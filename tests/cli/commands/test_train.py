"""`ptrun train`: its help, Hydra's own flags, and `resume=`. What a run writes is tested in tests/runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from support import Ended, newest_run

from ptrun.config import schema
from ptrun.config.folders import shipped_conf

Call = Callable[..., Ended]


def test_help_has_every_setting_with_its_type(ptrun: Call):
    out = ptrun("train", "--help").out
    for key in schema.read(shipped_conf() / "train.yaml").keys.values():
        assert f"\n  {key.name} " in out
        assert key.type.text in out


def test_hydra_flags(ptrun: Call):
    job = ptrun("train", "model=convnet", "--cfg", "job").out
    assert "name: convnet" in job
    assert "hydra:" not in job
    assert ptrun("train", "--cfg", "job", "--package", "optimizer").out.startswith("# @package optimizer\nname: adamw")
    assert "model: convnet" in ptrun("train", "--info", "defaults-tree", "model=convnet").out
    hydra = ptrun("train", "--cfg", "hydra").out
    assert hydra.startswith("hydra:")
    assert "searchpath" in hydra
    assert ptrun("train", "--cfg", "job", "--package", "optimzer").code == 2


def test_references_are_kept_or_resolved(ptrun: Call):
    words = ("train", "label=seed${seed}", "seed=5", "--cfg", "job")
    assert "label: seed${seed}\n" in ptrun(*words).out
    assert "label: seed5\n" in ptrun(*words, "--resolve").out


def test_a_file_that_replaces_a_shipped_one_is_noted(folder: Path, ptrun: Call):
    own = folder / "conf" / "optimizer"
    own.mkdir(parents=True)
    (own / "sgd.yaml").write_text((shipped_conf() / "optimizer" / "sgd.yaml").read_text())
    ended = ptrun("train", "train.epochs=0")
    assert f"note: {own / 'sgd.yaml'} replaces the shipped file of the same name." in ended.out


def test_resume_names_a_run_or_finds_one(folder: Path, ptrun: Call):
    short = ("model=simplenet", "train.epochs=1", "seed=3")
    ended = ptrun("train", *short, "resume=auto")
    assert ended.code == 0
    assert "resume=auto: no unfinished run of this configuration in outputs; a new one starts." in ended.out
    run_dir = newest_run(folder)
    ended = ptrun("train", f"resume={run_dir}", "train.epochs=2", "-q")
    assert (ended.code, ended.err) == (0, "")
    assert newest_run(folder) == run_dir
    assert json.loads((run_dir / "summary.json").read_text())["epochs"] == 2
    ended = ptrun("train", f"resume={run_dir}", "seed=4")
    assert ended.code == 2
    assert "insist with --allow-change seed" in ended.err


def test_a_run_that_never_trained_leaves_latest_where_it_was(folder: Path, ptrun: Call):
    refused = ("train", "dataset=table", "dataset.path=nowhere.csv", "dataset.target=x", "-q")
    assert ptrun(*refused).code == 3
    (failed,) = (path.parent for path in folder.glob("outputs/*/*/status.json"))
    assert json.loads((failed / "status.json").read_text())["state"] == "failed"
    ended = ptrun("eval", f"checkpoint={failed}")
    assert ended.code == 4
    assert "holds no checkpoint" in ended.err
    assert "That run ended with: dataset.path: there is no file" in ended.err
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    trained = newest_run(folder)
    assert (trained / "summary.json").is_file()
    assert ptrun(*refused).code == 3
    assert ptrun(*refused, "-m").code == 1
    assert newest_run(folder) == trained
    assert ptrun("train", "model=simplenet", "train.epochs=1", "-q").code == 0
    assert newest_run(folder) != trained
    assert ptrun("resume", str(trained), "train.epochs=2", "-q").code == 0
    assert newest_run(folder) == trained


def test_a_sweep_with_a_wrong_job_starts_none(folder: Path, ptrun: Call):
    ended = ptrun("train", "-m", "model=simplenet,lstm", "train.epochs=1,0")
    assert ended.code == 2
    assert "model: 'lstm' reads sequences" in ended.err
    assert "train.epochs: expected int >= 1 or auto, got 0. It means: passes over the training split" in ended.err
    assert "(job: model=" in ended.err
    assert not (folder / "outputs").exists()
