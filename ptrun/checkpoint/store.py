"""Save, verify, find and load checkpoints: one file each, plain containers and tensors only.

Invariant: a file under its final name is complete and on disk (written beside it, fsynced, renamed,
folder fsynced), `best.pt` and `last.pt` always name a complete file, and nothing that was not
verified is returned.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptrun.errors import CheckpointError, ResourceError
from ptrun.files.atomic import replace_by_link, replacing, sync_folder
from ptrun.files.torch_archive import ZIP_DAMAGES, damaged_record, why_refused

FORMAT = 1
_STEP_FILE = re.compile(r"^step-(\d{8,})\.pt$")
_PARTS = ("model", "config", "spec", "fitted", "progress", "data")
_MARGIN_BYTES = 2**20  # beside the tensors
POINTERS = ("best.pt", "last.pt")


def publish(
    folder: Path, state: Mapping[str, Any], *, step: int, best: bool, keep: int, keep_steps: Collection[int] = ()
) -> Path:
    """Write `step-<step>.pt`, point `last.pt` (and `best.pt`) at it, and remove the others but the newest `keep` and `keep_steps`.

    Raises ResourceError when the disk is full or the folder can't be written.
    """
    path = step_file(folder, step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_space(path, state)
        _write(path, {"format": FORMAT, **state})
        if best:  # first: when a kill falls between, no checkpoint names a best one that is not there
            replace_by_link(folder / "best.pt", path)
        replace_by_link(folder / "last.pt", path)
        sync_folder(folder)
    except OSError as error:
        raise _disk_error(error, path) from error
    _prune(folder, step, keep, keep_steps)
    return path


def step_file(folder: Path, step: int) -> Path:
    """Where the checkpoint after so many steps stands."""
    return folder / f"step-{step:08d}.pt"


def mark(path: Path, *, best: bool) -> None:
    """Point `last.pt` (and `best.pt`) at a published checkpoint: a kill can fall between publishing and pointing."""
    for name in ("best.pt", "last.pt") if best else ("last.pt",):
        if path.name != name:
            replace_by_link(path.with_name(name), path)
    sync_folder(path.parent)


def load(path: Path) -> dict[str, Any]:
    """Verify a checkpoint file and return its state, tensors on the CPU.

    Every record's CRC32 is compared with the one in the file's own directory, because torch.load does
    not; loading is `weights_only`, so that a file can't run code. Raises CheckpointError.
    """
    verify(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: can't be loaded as data only, so it is refused ({why_refused(error)})."
        ) from error
    if not isinstance(state, dict) or "format" not in state or "model" not in state:
        raise CheckpointError(
            f"{path}: this is a torch file, but not a checkpoint of ptrun. For weights of a backbone use model.weights=FILE."
        )
    if not isinstance(state["format"], int) or state["format"] > FORMAT:
        raise CheckpointError(
            f"{path}: written by a newer ptrun (format {state['format']}, this one reads up to {FORMAT}). Update ptrun."
        )
    _refuse_overlapping(state, path)
    missing = [key for key in _PARTS if not isinstance(state.get(key), Mapping)]
    if missing:
        raise CheckpointError(f"{path}: lacks its {', '.join(missing)}; this is not a whole checkpoint of ptrun.")
    return state


def load_newest(folder: Path) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """The newest whole checkpoint of a folder, its state, and why newer ones were passed over.

    Raises FileNotFoundError when there is none at all, CheckpointError when all are damaged.
    """
    passed_over: list[str] = []
    for path in [*reversed(steps(folder)), *(each for each in (folder / "best.pt",) if each.is_file())]:
        try:
            return path, load(path), tuple(passed_over)
        except CheckpointError as error:
            passed_over.append(f"Passed over: {error}")
    if passed_over:
        raise CheckpointError(
            "\n".join(
                [f"{folder.parent}: every checkpoint of this run is damaged; it can't be continued.", *passed_over]
            )
        )
    raise FileNotFoundError(folder)


def verify(path: Path) -> None:
    """Raise CheckpointError when the file is absent, cut off, damaged, or compressed."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file.{_beside(path)}")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                raise CheckpointError(
                    f"{path}: holds compressed records, which torch.save never writes; it is refused."
                )
            damaged = damaged_record(archive)
    except ZIP_DAMAGES as error:
        raise CheckpointError(
            f"{path}: is cut off, damaged, or no checkpoint ({error}). Older ones may stand in the same folder."
        ) from error
    if damaged is not None:
        raise CheckpointError(
            f"{path}: the record '{damaged}' is damaged (its checksum does not match). Older ones may stand in the same folder."
        )


def absent(path: Path) -> CheckpointError:
    """The error for a path that leads nowhere."""
    hint = " Nothing was trained here yet: `ptrun train` makes it." if path.name == "latest" else _beside(path)
    return CheckpointError(f"{path}: there is no such file or folder.{hint}")


def steps(folder: Path) -> list[Path]:
    """The step files of a folder, oldest first."""
    found = [path for path in folder.glob("step-*.pt") if _STEP_FILE.match(path.name)]
    return sorted(found, key=lambda path: int(path.stem[5:]))


def _write(path: Path, state: Mapping[str, Any]) -> None:
    try:
        with replacing(path, durable=True) as file:
            torch.save(dict(state), file)
    except RuntimeError as error:  # torch reports a full disk as a RuntimeError about file positions
        raise OSError(errno.ENOSPC, str(error)) from error


def _prune(folder: Path, step: int, keep: int, keep_steps: Collection[int]) -> None:
    """Later steps go too: the run went back behind them, because they were damaged."""
    numbered = {int(path.stem[5:]): path for path in steps(folder)}
    newest = sorted(number for number in numbered if number <= step)[-keep:]
    for number in numbered.keys() - {*newest, *keep_steps}:
        numbered[number].unlink(missing_ok=True)


def _require_space(path: Path, state: Mapping[str, Any]) -> None:
    """Raise ResourceError when the disk is too full, before anything is written."""
    sizes = {each.data_ptr(): each.numel() * each.element_size() for each in _tensors(state)}
    needed, free = sum(sizes.values()) + _MARGIN_BYTES, shutil.disk_usage(path.parent).free
    if needed > free:
        raise ResourceError(
            f"{path}: the disk is too full for a checkpoint: it needs {_size(needed)}, {_size(free)} are free. Earlier checkpoints are intact. "
            "Free some space, keep fewer (checkpoint.keep, checkpoint.keep_best), or choose another output_dir."
        )


def _size(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:,.1f} GiB"


def _disk_error(error: OSError, path: Path) -> ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with contextlib.suppress(OSError):
            free = _size(shutil.disk_usage(path.parent).free)
            return ResourceError(
                f"{path}: the disk is full while saving a checkpoint ({free} are free). Earlier checkpoints are intact. Free some space or choose another output_dir."
            )
    return ResourceError(
        f"{path}: the checkpoint can't be written ({error.strerror or error}). Earlier checkpoints are intact. Check the folder's permissions or choose another output_dir."
    )


def _beside(path: Path) -> str:
    """Name a checkpoint in the same folder, for the message about a missing one."""
    found = sorted(p.name for p in path.parent.glob("*.pt")) if path.parent.is_dir() else []
    return f" In that folder: {', '.join(found[-5:])}." if found else ""


def _refuse_overlapping(state: Any, path: Path) -> None:
    """Refuse tensors that claim more numbers than are stored, which a few bytes can do with a stride of 0."""
    for tensor in _tensors(state):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path}: holds a tensor of shape {list(tensor.shape)} with less data than that; it is refused."
            )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
