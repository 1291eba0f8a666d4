"""Takes what users of other tools type, where its meaning is clear: `--epochs 5`, `lr=0.1`, `data=photos`.

Each word that is read as a setting of another form is reported with that form. Words whose meaning is not clear are
left as they are; the check of the configuration answers them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ptrun.config import schema
from ptrun.config.habits import OTHER_NAMES, dataset_for, is_data, root_key
from ptrun.config.run_config import GROUPS

_OF_OPTIMIZER = ("lr", "weight_decay", "momentum")
_TOP_LEVEL = {"name": "label", "project": "output_dir"}
_IMAGE_SIZES = ("imgsz", "img_size")
_DOTTED = {  # of Lightning's command line and of templates with Hydra
    "ckpt_path": "resume",
    "data.batch_size": "train.batch_size",
    "data.num_workers": "train.num_workers",
    "model.optimizer.lr": "optimizer.lr",
    "optimizer.init_args.lr": "optimizer.lr",
    "seed_everything": "seed",
    "trainer.accelerator": "device",
    "trainer.accumulate_grad_batches": "train.grad_accumulation",
    "trainer.gradient_clip_val": "train.clip_norm",
    "trainer.max_epochs": "train.epochs",
    "trainer.max_steps": "train.max_steps",
    "trainer": "device",
    "validation_split": "split.val_fraction",
}
_ARCHITECTURES = re.compile(
    r"(wide_)?(resnet|resnext|efficientnet|mobilenet|vit_|convnext|densenet|vgg|squeezenet|swin|regnet|shufflenet"
    r"|mnasnet|maxvit)\w*|alexnet|googlenet|inception_v3"
)


class Translated(NamedTuple):
    """The words of a command line as ptrun reads them, and a sentence for each that was typed in another form."""

    words: list[str]
    notes: list[str]


def translate(words: Sequence[str], own_flags: Sequence[str], folders: tuple[Path, ...] = ()) -> Translated:
    """Read words of other tools as settings. own_flags: flags of the command, which keep their meaning."""
    result = Translated([], [])
    rest = list(words)
    while rest:
        typed, count = _next_words(rest, own_flags)
        setting = _setting(typed, folders)
        if setting is None:
            result.words.append(rest.pop(0))
            continue
        result.words.extend(setting)
        shown = " ".join(rest[:count])
        if [shown] != setting:
            result.notes.append(f"`{shown}` is read as {' '.join(setting)}.")
        del rest[:count]
    return result


def _next_words(rest: Sequence[str], own_flags: Sequence[str]) -> tuple[str, int]:
    """The next KEY=VALUE and how many words it takes: `--key value`, `--key=value`, `key = value`, `key=value`."""
    first = rest[0]
    if len(rest) > 2 and rest[1] == "=" and re.fullmatch(r"[\w.]+", first):
        return f"{first}={rest[2]}", 3
    if not re.match(r"--\w", first) or first.partition("=")[0] in own_flags:
        return first, 1
    flag, equals, value = first.partition("=")
    name = flag.removeprefix("--").replace("-", "_")
    if equals:
        return f"{name}={value}", 1
    if len(rest) > 1 and not rest[1].startswith("-") and "=" not in rest[1]:
        return f"{name}={rest[1]}", 2
    return first, 1


def _setting(typed: str, folders: tuple[Path, ...]) -> list[str] | None:
    """The overrides that a KEY=VALUE of any tool means; None when that is not clear."""
    key, equals, value = typed.partition("=")
    if not equals or not value:
        return None
    key = _DOTTED.get(key, key)
    if is_data(key) and value not in schema.names("dataset", folders):
        words = dataset_for(value) if Path(value).expanduser().exists() else ""
        return shlex.split(words) if words and "COLUMN" not in words else None
    if key == "device" and value.lower() == "gpu":
        return ["device=cuda"]
    if key == "device" and value.isdecimal():
        return ["device=cuda", f"device.index={value}"]
    if key == "resume" and value.lower() == "true":
        return ["resume=auto"]
    if key in ("model", "arch") and _ARCHITECTURES.fullmatch(value) and value not in schema.names("model", folders):
        return ["model=torchvision", f"model.arch={value}"]
    if key in _IMAGE_SIZES and value.isdecimal():
        return _transform_of_size(int(value))
    right = _key(key)
    names = schema.names(right, folders) if right in GROUPS else []
    if value not in names and value.lower() in names:
        value = value.lower()
    return [f"{right}={value}"] if right else None


def _transform_of_size(size: int) -> list[str]:
    """The transforms of photos of this side in pixels: those of transform=imagenet."""
    normalize = "{normalize:{mean:imagenet,std:imagenet}}"
    return [
        f"transform.train=[{{random_resized_crop:{{size:{size}}}}},horizontal_flip,{normalize}]",
        f"transform.eval=[{{resize:{{size:{size * 8 // 7}}}}},{{center_crop:{{size:{size}}}}},{normalize}]",
    ]


def _key(name: str) -> str:
    """The key that a name of any tool means without doubt; "" when there is none."""
    name = _TOP_LEVEL.get(name, OTHER_NAMES.get(name, name))
    if "." in name or name == "resume":
        return name
    return f"optimizer.{name}" if name in _OF_OPTIMIZER else root_key(name)
