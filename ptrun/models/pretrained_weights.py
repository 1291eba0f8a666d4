"""Weights files: fetch into torch's cache, read as data only, and match against a network.

Invariant: a network receives either every tensor that it has to, or a CheckpointError that lists what
does not fit and no change at all; nothing in a file is run.
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

CONNECT_SECONDS = 15
WRAPPERS = ("module.", "_orig_mod.")  # what DistributedDataParallel and torch.compile put before names


def cached_weights(url: str, option: str) -> Path:
    """Return the file of a URL in torch's cache, downloaded and checked against the hash in its name.

    Raises DataError saying where to put the file, or which `option` takes one, when it can't be had.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        urllib.request.urlopen(url, timeout=CONNECT_SECONDS).close()  # torch.hub itself would wait for ever
        digest = path.stem.rsplit("-", 1)[-1]  # resnet50-11ad3fa6.pth: first digits of the SHA-256
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"The weights at {url} can't be downloaded ({error}). Put the file {path.name} into {folder}, "
            f"or name a file that you have with {option}=FILE."
        ) from error
    return path


def load_weights_file(path: str | Path) -> dict[str, Tensor]:
    """Return name → tensor from a file of torch.save: a state dict, or a dictionary with one under `model` or `state_dict`.

    The checksum of every record is verified, which torch.load does not do. Raises CheckpointError when
    the file is absent, damaged, or holds anything but tensors and plain containers.
    """
    path = Path(path).expanduser()
    _verify(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: can't be read as a file of weights ({why_refused(error)}). It may be damaged, or hold code, which is never run. "
            f"Save the weights anew with torch.save(model.state_dict(), FILE)."
        ) from error
    return {_unwrap(name): tensor for name, tensor in _state_dict(content, path).items()}


def match_weights(
    network: nn.Module, state: Mapping[str, Tensor], *, source: str, head: str, ignored: Iterable[str] = ()
) -> str:
    """Copy the tensors of `state` into `network` by name and return a sentence: how many of the file's were used.

    head: name of the module that may be new; the file's is dropped when its shapes differ.
    ignored: beginnings of names that the file may hold beside, such as auxiliary classifiers.
    Raises CheckpointError listing every missing, unexpected and wrong-shaped tensor.
    """
    expected = network.state_dict()
    counters = [name for name in expected if name.endswith("num_batches_tracked") and name not in state]
    beside = [name for name in state if name not in expected and name.startswith(tuple(ignored))]
    usable = {name: tensor for name, tensor in state.items() if name not in beside}
    new_head = _new_head(expected, usable, f"{head}.")
    usable = {name: tensor for name, tensor in usable.items() if not name.startswith(f"{head}.") or not new_head}
    missing = [name for name in expected if name not in usable and name not in counters and name not in new_head]
    _refuse_misfits(expected, usable, missing, source)
    network.load_state_dict(usable, strict=False)
    return _count(len(state), len(usable), source, new_head, counters, beside)


def _verify(path: Path) -> None:
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
                    f"{path}: is damaged (the checksum of the record '{damaged}' does not match). Copy or download it again."
                )
    except ZIP_DAMAGES as error:
        raise CheckpointError(f"{path}: can't be read ({error}). Copy or download it again.") from error


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path}: holds no state dict (name → tensor) but {type(content).__name__}.")
    wrong = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(
            f"{path}: a state dict holds tensors only, but these entries are something else: {join_words(wrong, 8)}."
        )
    return dict(content)


def _unwrap(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _new_head(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], prefix: str) -> list[str]:
    """Names of the head's tensors when any of them differs from the file's, else none."""
    ours = {name: tensor.shape for name, tensor in expected.items() if name.startswith(prefix)}
    theirs = {name: tensor.shape for name, tensor in state.items() if name.startswith(prefix)}
    return [] if ours == theirs else sorted({*ours, *theirs})


def _refuse_misfits(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], missing: list[str], source: str
) -> None:
    unexpected = [name for name in state if name not in expected]
    wrong = [
        f"{name} (file {list(tensor.shape)}, model {list(expected[name].shape)})"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    named = {"missing in the file": missing, "unexpected": unexpected, "of another shape": wrong}
    problems = [f"{len(names)} {what}: {join_words(names, 8)}" for what, names in named.items() if names]
    if problems:
        raise CheckpointError(
            f"{source} does not fit the model, nothing was loaded: {'; '.join(problems)}. Choose the architecture that the file was made for."
        )


def _count(total: int, loaded: int, source: str, new_head: list[str], counters: list[str], beside: list[str]) -> str:
    parts = [f"{loaded} of {total} tensors loaded from {source}"]
    if new_head:
        parts.append(f"the head ({len(new_head)} tensors: {', '.join(new_head)}) is new")
    if counters:
        parts.append(f"{len(counters)} counters of batches (num_batches_tracked) are absent in the file and start at 0")
    if beside:
        parts.append(f"{len(beside)} tensors of auxiliary classifiers in the file are not used")
    return "; ".join(parts)
