"""The path of a file of weights: what is wrong with it is found without torch, before anything is read."""

from __future__ import annotations

from pathlib import Path

from ptrun.errors import CheckpointError

FILE_SUFFIXES = (".pth", ".pt", ".th", ".bin", ".ckpt", ".pkl", ".tar", ".safetensors")
_WHAT_FITS = "a file of torch.save or of safetensors (.pth, .pt, .ckpt, .safetensors), or a checkpoint of ptrun"


def is_path(text: str) -> bool:
    """Whether a setting names a file of weights, rather than published weights."""
    return text.endswith(FILE_SUFFIXES) or "/" in text or "\\" in text or Path(text).is_file()


def require_weights_file(path: Path, setting: str) -> None:
    """Raise CheckpointError when there is no such file, or one that a failed download left.

    setting: the key that names the file, such as model.weights.
    """
    if not path.is_file():
        kind = "this is a folder" if path.is_dir() else "there is no such file"
        raise CheckpointError(f"{path}: {kind}. {setting} takes {_WHAT_FITS}.")
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror}). Check its permissions.") from error
    if start.startswith(b"<"):
        raise CheckpointError(f"{path}: is a web page, not weights; the download went wrong. Download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: is a Git LFS pointer, not weights. Fetch the file with `git lfs pull`.")
    if not start:
        raise CheckpointError(f"{path}: is empty. Copy or download it again.")
