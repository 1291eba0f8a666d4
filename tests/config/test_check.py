"""A user's mistake is answered by sentences, all at once, before torch is imported, with the right exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended

Call = Callable[..., Ended]


def test_all_mistakes_in_one_message(ptrun: Call):
    ended = ptrun(
        "train",
        "train.epoch=3",
        "optimizer.lr=abc",
        "+model.nme=2",
        "model=lstm",
        "seed=-1",
        "train.monitor=val/acc",
        "modl=convnet",
        "optimizer=adma",
        "loss=mse",
    )
    assert ended.code == 2
    assert ended.out == ""
    for sentence in (
        "train.epoch: there is no such key. Did you mean 'train.epochs'?",
        "optimizer.lr: expected float >= 0, got 'abc'.",
        "model.nme: there is no such key.",
        "seed: expected int in [0, 18446744073709551616), got -1.",
        "Did you mean 'val/accuracy'?",
        "modl: there is no such key. Did you mean 'model'?",
        "optimizer: there is no optimizer 'adma'. Did you mean 'adam",
        "model: 'lstm' reads sequences",
        "loss: 'mse' is for regression, but dataset 'digits' is classification.",
        "What fits: auto, binary_cross_entropy, cross_entropy.",
    ):
        assert sentence in ended.err
    assert "Traceback" not in ended.err
    assert not (Path.cwd() / "outputs").exists()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lr=nan", "optimizer.lr: expected float >= 0, got nan"),
        ("seed=18446744073709551616", "seed: expected int in [0, 18446744073709551616), got 18446744073709551616"),
        ("train.epochs=0", "train.epochs: expected int >= 1 or auto, got 0"),
        ("train.epochs=1.5", "train.epochs: expected int >= 1 or auto, got 1.5"),
        ("train.deterministic=3", "train.deterministic: expected true or false or strict, got 3"),
        ("train.batch_size=null", "train.batch_size: expected int >= 1, got null"),
        ("device.precision=fp8", "device.precision: expected fp32 or bf16 or fp16 or auto, got 'fp8'"),
        ("device=tpu", "device: there is no device 'tpu'"),
        ("model=covnet", "model: there is no model 'covnet'. Did you mean 'convnet'?"),
        (
            "dataset=image_folder +train.on_bad_sample=skip",
            "train.on_bad_sample: there is no such key. Did you mean 'dataset.on_bad_sample'?",
        ),
        ("model.dropout=0.1", "model.dropout: there is no such key"),
        ("metrics=[acuracy]", "metrics: there is no metric 'acuracy'. Did you mean 'accuracy'?"),
        ("metrics=[rmse]", "metrics: 'rmse' is for regression"),
        ("transform=nope", "transform: there is no transform 'nope'"),
        ("dataset=table", "dataset.path: a value is needed"),
        ("train=5", "train: expected settings"),
        ("x.y.z=1", "x: there is no such key"),
        ("epochs 5", "expected KEY=VALUE"),
        ("optimizer.lr=0.1,0.2", "several values make a sweep, which -m starts: `ptrun train -m optimizer.lr=0.1,0.2`"),
        ("model=convnet,simplenet", "several values make a sweep"),
        ("--frobnicate=3", "Settings have no dashes: KEY=VALUE, as in train.epochs=5."),
        ("seed = 5", "no spaces around '='. Write seed=5."),
        ("label={a", "the value can't be read"),
        ("~seed", "a setting can't be removed"),
        ("experiment=nope", "experiment: there is no experiment 'nope'"),
        ("label=${nowhere}", "nowhere"),
        ("label=${oc.env:PTRUN_NO_SUCH_VARIABLE}", "PTRUN_NO_SUCH_VARIABLE"),
        ("plugins=[gone.py]", "plugins: there is no file"),
        ("scheduler=cosine scheduler.min_factor=2", "scheduler.min_factor: expected"),
        (
            "transform=basic transform.train=[{random_crp:{}}]",
            "there is no image transform 'random_crp'. Did you mean 'random_crop'?",
        ),
        ("transform=basic transform.train=[{random_crop:{sise:3}}]", "sise: there is no such key. Did you mean"),
        ("transform=basic dataset=iris", "transform: 'basic' changes images, but dataset 'iris' gives a vector"),
        (
            "transform.train=[mixup] dataset=iris",
            "transform: 'transform.train' changes images, but dataset 'iris' gives a vector",
        ),
        (
            "transform.eval=[cutmix]",
            "transform.eval: mixup and cutmix mix images for training. Move them to transform.train.",
        ),
    ],
)
def test_one_sentence_each(ptrun: Call, override: str, sentence: str):
    words = override.split(" ") if " = " not in override and "epochs 5" not in override else [override]
    ended = ptrun("train", *words)
    assert ended.code == 2, ended
    assert sentence in ended.err
    assert "Traceback" not in ended.err


def test_numbers_written_as_text_or_in_other_forms_are_taken(ptrun: Call):
    ended = ptrun("show", "optimizer.lr='0.1'", "train.epochs=1e1", "train.clip_norm=1")
    assert ended.code == 0
    assert "lr: 0.1" in ended.out
    assert "epochs: 10" in ended.out
    assert "clip_norm: 1.0" in ended.out


def test_a_config_error_needs_no_torch(process: Call):
    ended = process("train", "model=covnet", "train.epoch=3", PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 2
    modules = {line.rsplit("|", 1)[-1].strip() for line in ended.err.splitlines() if line.startswith("import time:")}
    assert "ptrun.config.check" in modules
    assert not {"torch", "torchvision", "sklearn", "matplotlib", "numpy"} & modules


def test_data_errors_end_with_3(ptrun: Call):
    ended = ptrun("train", "dataset=table", "dataset.path=gone.csv", "dataset.target=y")
    assert ended.code == 3
    assert "gone.csv" in ended.err
    Path("t.csv").write_text("\n".join(["a,b,y", *(f"{'1x'[i % 2]},{i * i},{i % 2}" for i in range(18))]))
    ended = ptrun("train", "dataset=table", "dataset.path=t.csv", "dataset.target=y", "dataset.numeric=[a]")
    assert ended.code == 3
    assert "row" in ended.err
    assert "'a'" in ended.err
    assert "Traceback" not in ended.err


def test_checkpoint_errors_end_with_4(ptrun: Call):
    Path("broken.pt").write_bytes(b"not a checkpoint")
    for path, words in (
        ("gone.pt", "there is no such file"),
        ("broken.pt", "cut off, damaged, or not a checkpoint"),
        (".", "holds no checkpoint"),
    ):
        ended = ptrun("eval", f"checkpoint={path}")
        assert ended.code == 4
        assert words in ended.err


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("eval checkpoint=outputs/latest", "latest: there is no such file or folder."),
        ("verify outputs/latest", "latest: there is no such file or folder."),
        ("reproduce outputs/latest", "latest: there is no such file or folder."),
        ("resume outputs/latest", "latest: there is no such file or folder."),
        ("resume", "no run there is unfinished."),
    ],
)
def test_before_anything_was_trained_the_message_says_how_to_train(ptrun: Call, command: str, sentence: str):
    ended = ptrun(*command.split())
    assert ended.code == 4
    assert f"{sentence} Nothing was trained here yet: `ptrun train`" in ended.err


def test_a_mistake_in_ones_own_yaml_names_file_and_line(ptrun: Call):
    own = Path("conf/experiment")
    own.mkdir(parents=True)
    (own / "twice.yaml").write_text("# @package _global_\ntrain:\n  epochs: 1\n  epochs: 2\n")
    ended = ptrun("train", "experiment=twice")
    assert ended.code == 2
    assert "twice.yaml, line 4: this is not valid YAML: key 'epochs' stands twice" in ended.err
    (own / "twice.yaml").write_text("")
    assert "an empty file" in ptrun("train", "experiment=twice").err
    (own / "twice.yaml").write_text("seed: no\n")
    (own / "twice.yaml").write_text("# @package _global_\nseed: no\n")
    assert "got false (a bare yes, no, on or off" in ptrun("train", "experiment=twice").err


def test_a_folder_with_the_former_name_of_image_transforms_is_refused(ptrun: Call, folder: Path):
    (folder / "conf" / "step").mkdir(parents=True)
    ended = ptrun("train")
    assert ended.code == 2
    assert "conf/step: the folder of image transforms is called image_transform now. Rename it." in ended.err


def test_no_python_word_leaks(ptrun: Call):
    for override in (
        "optimizer.lr=[1,2]",
        "train.epochs={a:1}",
        "model={name:simplenet}",
        "model.name=covnet",
        "metrics={a:1}",
    ):
        ended = ptrun("show", override)
        assert "Traceback" not in ended.err
        assert "omegaconf" not in ended.err
