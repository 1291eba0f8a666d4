"""Files of pretrained weights: downloaded into torch's cache, read as data only, and loaded into a network by name.

A file either fits, or the network is left as it was and a CheckpointError lists what does not fit. Code in a file is
never run.
"""

from __future__ import annotations

import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptrun.errors import CheckpointError, DataError, join_words
from ptrun.files.torch_archive import ZIP_DAMAGES, damaged_record, why_refused

CONNECT_TIMEOUT_SECONDS = 15
# Parts of names that are added by DistributedDataParallel and AveragedModel, by torch.compile, and by training programs
# that keep the network in an attribute.
WRAPPERS = ("module", "_orig_mod", "model", "net")
STATE_DICT_KEYS = ("model", "state_dict", "model_state_dict", "model_ema")


def cached_weights(url: str, option: str) -> Path:
    """Return the file of a URL in torch's cache, downloaded and checked against the hash in its name.

    Raises DataError when it can't be downloaded; the message says where to put the file, or which `option` names one.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS).close()  # torch.hub would wait forever
        digest = path.stem.rsplit("-", 1)[-1]  # resnet50-11ad3fa6.pth: the first digits of its SHA-256
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"The weights at {url} can't be downloaded ({error}). Put the file {path.name} into {folder}, "
            f"or name a file that you have with {option}=FILE."
        ) from error
    return path


def load_weights_file(path: str | Path) -> dict[str, Tensor]:
    """Read name → tensor from a file of torch.save: a state dict, or a dictionary with one under a usual key.

    The checksum of every record is verified, which torch.load does not do. Raises CheckpointError when the file is
    absent, damaged, or holds anything but tensors and plain containers.
    """
    path = Path(path).expanduser()
    _verify(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of is refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: can't be read as a file of weights ({why_refused(error)}). "
            "It may be damaged, or hold code, which is never run. "
            "Save the weights again with torch.save(model.state_dict(), FILE)."
        ) from error
    state = _state_dict(content, path)
    state.pop("n_averaged", None)  # AveragedModel's counter
    return state


def match_weights(
    network: nn.Module, state: Mapping[str, Tensor], *, source: str, head: str, ignored: Iterable[str] = ()
) -> str:
    """Copy the tensors of `state` into `network` by name, and return a sentence that says how many were used.

    Names may have parts that a wrapper added, at the beginning or within.
    head: name of the module that may differ; when its shapes do, the tensors in the file are not used.
    ignored: beginnings of names that are not used, such as those of auxiliary classifiers.
    Raises CheckpointError listing every missing, unexpected and wrong-shaped tensor.
    """
    expected = network.state_dict()
    state = _unwrapped(state, expected)
    counters = [name for name in expected if name.endswith("num_batches_tracked") and name not in state]
    unused = [name for name in state if name not in expected and name.startswith(tuple(ignored))]
    usable = {name: tensor for name, tensor in state.items() if name not in unused}
    new_head = _new_head(expected, usable, f"{head}.")
    usable = {name: tensor for name, tensor in usable.items() if not name.startswith(f"{head}.") or not new_head}
    missing = [name for name in expected if name not in usable and name not in counters and name not in new_head]
    _require_fit(expected, usable, missing, source)
    network.load_state_dict(usable, strict=False)
    return _summary(len(state), len(usable), source, new_head, counters, unused)


def _verify(path: Path) -> None:
    """Raise CheckpointError for no file, a web page, a Git LFS pointer, or a wrong checksum."""
    if not path.is_file():
        kind = "this is a folder" if path.is_dir() else "there is no such file"
        raise CheckpointError(f"{path}: {kind}. model.weights takes a .pth or .pt file.")
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
        if start.startswith(b"<"):
            raise CheckpointError(f"{path}: is a web page, not weights; the download went wrong. Download it again.")
        if start.startswith(b"version https://git-lfs"):
            raise CheckpointError(f"{path}: is a Git LFS pointer, not weights. Fetch the file with `git lfs pull`.")
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


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in the content of a file. Raises CheckpointError when there is none."""
    for key in STATE_DICT_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path}: holds no state dict (name → tensor) but {type(content).__name__}.")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(
            f"{path}: a state dict holds tensors only, but these entries are something else: {join_words(others, 8)}."
        )
    return dict(content)


def _unwrapped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the network's own names, where they differ only by the names of wrappers.

    The state itself when two of its names would become one.
    """
    own_names = {_without_wrappers(name): name for name in expected}
    renamed = {}
    for name, tensor in state.items():
        plain = _without_wrappers(name)
        renamed[name if name in expected else own_names.get(plain, plain)] = tensor
    return renamed if len(renamed) == len(state) else state


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _new_head(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], prefix: str) -> list[str]:
    """Names of the head's tensors if any of them differs between network and file, else none."""
    in_network = {name: tensor.shape for name, tensor in expected.items() if name.startswith(prefix)}
    in_file = {name: tensor.shape for name, tensor in state.items() if name.startswith(prefix)}
    return [] if in_network == in_file else sorted({*in_network, *in_file})


def _require_fit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], missing: list[str], source: str) -> None:
    """Raise CheckpointError listing missing, unexpected and wrong-shaped tensors, if there are any."""
    unexpected = [name for name in state if name not in expected]
    wrong = [
        f"{name} (file {list(tensor.shape)}, model {list(expected[name].shape)})"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    by_problem = {"missing in the file": missing, "unexpected": unexpected, "of another shape": wrong}
    problems = [f"{len(names)} {problem}: {join_words(names, 8)}" for problem, names in by_problem.items() if names]
    if problems:
        raise CheckpointError(
            f"{source} does not fit the model, nothing was loaded: {'; '.join(problems)}. "
            "Choose the architecture that the file was made for."
        )


def _summary(total: int, loaded: int, source: str, new_head: list[str], counters: list[str], unused: list[str]) -> str:
    parts = [f"{loaded} of {total} tensors loaded from {source}"]
    if new_head:
        parts.append(f"the head ({len(new_head)} tensors: {', '.join(new_head)}) is new")
    if counters:
        parts.append(f"{len(counters)} counters of batches (num_batches_tracked) are not in the file and start at 0")
    if unused:
        parts.append(f"{len(unused)} tensors of auxiliary classifiers in the file are not used")
    return "; ".join(parts)
