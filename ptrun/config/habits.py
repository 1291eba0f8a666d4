"""The words to type in ptrun for what users of other tools type first: `--epochs 5`, `--lr=0.1`, `data=photos`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ptrun.config import schema
from ptrun.config.folders import shipped_conf
from ptrun.config.run_config import GROUPS

OTHER_NAMES = {
    "arch": "model",
    "batch": "batch_size",
    "clip_grad": "clip_norm",
    "learning_rate": "lr",
    "max_epochs": "epochs",
    "opt": "optimizer",
    "patience": "patience_epochs",
    "project": "output_dir",
    "sched": "scheduler",
    "workers": "num_workers",
}
_DATA = ("data", "data_dir", "data_path", "dataset")
_DATASETS = {  # suffix of a file → the settings that read it
    ".npz": "dataset=arrays dataset.path={path}",
    ".ts": "dataset=sequences dataset.path={path}",
    ".csv": "dataset=table dataset.path={path} dataset.target=COLUMN",
    ".tsv": "dataset=table dataset.path={path} dataset.target=COLUMN",
}


def setting_for_flag(flag: str, value: str) -> str:
    """`train.epochs=5` for the flag `--epochs` of another tool; "" when ptrun has no such setting."""
    name = flag.lstrip("-").replace("-", "_").lower()
    if name in _DATA and (words := dataset_for(value)):
        return words
    key = _key(OTHER_NAMES.get(name, name))
    return f"{key}={shlex.quote(value)}" if key else ""


def settings_for_flags(unknown: Sequence[str], argv: Sequence[str]) -> str:
    """The settings to type for all unknown flags of a command line; "" when one of them is no setting.

    argparse counts the word after an unknown flag as unknown too.
    """
    settings = []
    for word in (word for word in unknown if word.startswith("-")):
        flag, equals, value = word.partition("=")
        if not equals:
            following = [*argv[argv.index(word) + 1 :], "-"][0] if word in argv else "-"
            value = "VALUE" if following.startswith("-") else following
        settings.append(setting_for_flag(flag, value) if flag.startswith("--") else "")
    return " ".join(settings) if all(settings) else ""


def dataset_for(path: str) -> str:
    """The settings that read a file or folder, as `dataset=image_folder dataset.root=photos`; "" for anything else."""
    place = Path(path).expanduser()
    if place.is_dir():
        return f"dataset=image_folder dataset.root={shlex.quote(path)}"
    return _DATASETS.get(place.suffix.lower(), "").format(path=shlex.quote(path))


def is_data(name: str) -> bool:
    """Whether other tools call their data by this name."""
    return name in _DATA


def root_key(name: str) -> str:
    """The key in conf/train.yaml that a name means, as train.epochs for epochs; "" when there is none."""
    declared = schema.read(shipped_conf() / "train.yaml").keys
    if name in GROUPS or name in declared:
        return name
    return f"train.{name}" if f"train.{name}" in declared else ""


def _key(name: str) -> str:
    """The dotted key of a setting whose group was left out; "" when there is none."""
    if key := root_key(name):
        return key
    for group in ("optimizer", "scheduler", "model", "dataset", "device"):
        if any(name in schema.require(group, choice).keys for choice in schema.names(group)):
            return f"{group}.{name}"
    return ""
