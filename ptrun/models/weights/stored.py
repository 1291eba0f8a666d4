"""Files of weights, read as data only: of torch.save, of safetensors, and checkpoints of ptrun.

Code in a file is never run.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptrun.errors import CheckpointError, join_words
from ptrun.files.torch_archive import ZIP_DAMAGES, damaged_record, why_refused
from ptrun.files.weights_path import require_weights_file
from ptrun.spec import DataSpec

# Where training programs keep a state dict in a file. Averaged weights come first, because they are evaluated.
STATE_DICT_KEYS = ("model_ema", "state_dict_ema", "model_state_dict", "state_dict", "model", "net", "network")
_OF_A_CHECKPOINT = ("format", "model", "config", "spec")  # keys that together only a checkpoint of ptrun has
_SAFETENSORS_START = b'{"'  # of the header, after its length in 8 bytes


@dataclass(frozen=True)
class StoredWeights:
    """Tensors by name from a file.

    source: how a message names them.
    spec: of the data that they were trained on; only a checkpoint of ptrun says it.
    """

    source: str
    tensors: Mapping[str, Tensor]
    spec: DataSpec | None = None


def load_weights_file(path: str | Path, setting: str = "model.weights") -> StoredWeights:
    """Read a file of weights: a state dict, a dictionary that holds one, or a checkpoint of ptrun.

    The checksum of every record is verified, which torch.load does not do. Raises CheckpointError when the file is
    absent, damaged, or holds anything but tensors and plain containers. setting: the key that names the file.
    """
    path = Path(path).expanduser()
    require_weights_file(path, setting)
    content: Any = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    if isinstance(content, Mapping) and all(key in content for key in _OF_A_CHECKPOINT):
        return _of_checkpoint(content, path)
    key, state = _state_dict(content, path)
    state.pop("n_averaged", None)  # AveragedModel's counter
    return StoredWeights(f"{path} ('{key}')" if key.endswith("ema") else str(path), state)


def averaged_or_own(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in the state of a ptrun checkpoint that are evaluated: the averaged ones, or else the model's own."""
    if state.get("ema") is None:
        return dict(state["model"])
    return {key.removeprefix("module."): value for key, value in state["ema"].items() if key.startswith("module.")}


def _of_checkpoint(content: Mapping[str, Any], path: Path) -> StoredWeights:
    try:
        return StoredWeights(str(path), averaged_or_own(content), DataSpec.from_dict(content["spec"]))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: is a damaged checkpoint of ptrun. `ptrun verify {path}` says more.") from error


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(10)[8:] == _SAFETENSORS_START


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: is damaged or no file of safetensors ({error}). Copy or download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    """The content of a file of torch.save, in its new or its old format."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = damaged_record(archive)
            if damaged is not None:
                raise CheckpointError(
                    f"{path}: is damaged (the checksum of the record '{damaged}' does not match). "
                    "Copy or download it again."
                )
    except ZIP_DAMAGES as error:
        raise CheckpointError(f"{path}: can't be read ({error}). Copy or download it again.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of is refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: can't be read as a file of weights ({why_refused(error)}). "
            "It may be damaged, or hold code, which is never run. "
            "Save the weights again with torch.save(model.state_dict(), FILE)."
        ) from error


def _state_dict(content: Any, path: Path) -> tuple[str, dict[str, Tensor]]:
    """The state dict in the content of a file, and the key that led to it. Raises CheckpointError without one."""
    used = ""
    while isinstance(content, Mapping) and (key := _key_of_state_dict(content)):
        used, content = key, content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path}: holds no state dict (name → tensor) but {type(content).__name__}.")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(
            f"{path}: a state dict holds tensors only, but these entries are something else: {join_words(others, 8)}."
        )
    return used, dict(content)


def _key_of_state_dict(content: Mapping[str, Any]) -> str:
    """The usual key under which a dictionary holds a state dict, or the only one that holds tensors; "" for none."""
    known = [key for key in STATE_DICT_KEYS if isinstance(content.get(key), Mapping) and content[key]]
    holding = [str(key) for key, value in content.items() if isinstance(value, Mapping) and _holds_tensors(value)]
    return known[0] if known else holding[0] if len(holding) == 1 else ""


def _holds_tensors(values: Mapping[str, Any]) -> bool:
    return bool(values) and all(isinstance(value, Tensor) for value in values.values())
