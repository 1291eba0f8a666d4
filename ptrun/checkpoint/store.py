"""Saves, verifies and loads checkpoints: one file each, plain containers and tensors only.

A file under its final name is complete and on disk; `best.pt` and `last.pt` always name a complete file; a file is
verified before its content is used.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.utils.serialization.config  # torch.save imports it; here a sweep has it before it forks jobs
from torch import Tensor

from ptrun.checkpoint.names import BEST, LAST, other_checkpoints, step_file, step_files, step_of
from ptrun.errors import CheckpointError, ResourceError
from ptrun.files.atomic import replace_by_link, replacing, sync_folder
from ptrun.files.torch_archive import ZIP_DAMAGES, damaged_record, why_refused
from ptrun.terminal.format import format_bytes

FORMAT = 1  # a change of the layout that older versions can't read raises it
_PARTS = ("model", "config", "spec", "fitted", "progress", "data")
_MARGIN_BYTES = 2**20  # what a file holds beside its tensors
_LIMIT_REACHED = (errno.EDQUOT, errno.EFBIG)  # a limit set for the user, not a full disk


def publish(
    folder: Path,
    state: Mapping[str, Any],
    *,
    step: int,
    best: bool,
    keep: int,
    keep_steps: Collection[int] = (),
    keep_best_of: int = 0,
) -> Path:
    """Write `step-<step>.pt`, and make `last.pt` (and with `best` also `best.pt`) another name of it.

    Removes the other step files, except the newest `keep` and those of `keep_steps`. The pointers are hard links: a
    second name costs no second write, and `best.pt` keeps its content when its step file is removed.
    keep_best_of: the step whose checkpoint `best.pt` names until now, if that one is to stay under its own name.
    Raises ResourceError when the disk is full or the folder can't be written.
    """
    path = step_file(folder, step)
    write(path, state)
    try:
        if keep_best_of and not step_file(folder, keep_best_of).exists() and (folder / BEST).exists():
            replace_by_link(step_file(folder, keep_best_of), folder / BEST)
        update_pointers(path, best=best)
    except OSError as error:
        raise _disk_error(error, path) from error
    _prune(folder, step, keep, keep_steps)
    return path


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint under any name, replacing a file there at once. Raises ResourceError like `publish`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_space(path, state)
        _write(path, {"format": FORMAT, **state})
    except OSError as error:
        raise _disk_error(error, path) from error


def update_pointers(path: Path, *, best: bool) -> None:
    """Make `last.pt` (and `best.pt`) other names of a published checkpoint.

    A resumed run calls this for the checkpoint it starts from, because a kill can fall between writing a step file and
    updating the pointers.
    """
    # The best one first: after a kill in between, the last checkpoint must not name a best epoch that has no file.
    for name in (BEST, LAST) if best else (LAST,):
        if path.name != name:
            replace_by_link(path.with_name(name), path)
    sync_folder(path.parent)


def point_best(folder: Path, step: int) -> None:
    """Make `best.pt` another name of the checkpoint of a step; remove it for step 0, which means that there is none."""
    if step == 0:
        (folder / BEST).unlink(missing_ok=True)
    elif step_file(folder, step).exists():
        replace_by_link(folder / BEST, step_file(folder, step))
    sync_folder(folder)


def load(path: Path) -> dict[str, Any]:
    """Verify a checkpoint file and return its state, with tensors on the CPU. Raises CheckpointError.

    The checksums are compared here because torch.load does not compare them. Loading is `weights_only`, so a file can't
    run code.
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
            f"{path}: this is a torch file, but not a checkpoint of ptrun. "
            "For weights from elsewhere: ptrun train model=NAME weights=FILE, or ptrun eval model=NAME weights=FILE."
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
    """The newest undamaged checkpoint of a folder, its state, and why newer ones were passed over.

    Raises FileNotFoundError when there is none at all, CheckpointError when all are damaged.
    """
    best = folder / BEST
    passed_over: list[str] = []
    for path in [*reversed(step_files(folder)), *([best] if best.is_file() else [])]:
        try:
            return path, load(path), tuple(passed_over)
        except CheckpointError as error:
            passed_over.append(f"Passed over: {error}")
    if not passed_over:
        raise FileNotFoundError(folder)
    first = f"{folder.parent}: every checkpoint of this run is damaged; it can't be continued."
    raise CheckpointError("\n".join([first, *passed_over]))


def verify(path: Path) -> None:
    """Raise CheckpointError when the file does not exist, is cut off, damaged, or compressed.

    torch's zip archive holds a CRC-32 for each record; all of them are compared.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file.{other_checkpoints(path)}")
    try:
        with zipfile.ZipFile(path) as archive:
            # A few compressed bytes can grow to fill the memory.
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                raise CheckpointError(
                    f"{path}: holds compressed records, which torch.save never writes; it is refused."
                )
            damaged = damaged_record(archive)
    except ZIP_DAMAGES as error:
        raise CheckpointError(
            f"{path}: is cut off, damaged, or not a checkpoint ({error}). There may be older ones in the same folder."
        ) from error
    if damaged is not None:
        raise CheckpointError(
            f"{path}: the record '{damaged}' is damaged (its checksum does not match). "
            "There may be older ones in the same folder."
        )


def _write(path: Path, state: Mapping[str, Any]) -> None:
    try:
        with replacing(path, durable=True) as file:
            torch.save(dict(state), file)
    except RuntimeError as error:
        # torch closes its archive after a failed write, and the close fails with a RuntimeError about file positions.
        # The error of the write, with the system's reason, is then its context.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise OSError(errno.ENOSPC, str(error)) from error


def _prune(folder: Path, step: int, keep: int, keep_steps: Collection[int]) -> None:
    """Remove step files that are not kept. Later ones go too: they were damaged, and the run went back behind them."""
    paths = {step_of(path): path for path in step_files(folder)}
    newest = sorted(number for number in paths if number <= step)[-keep:]
    for number in paths.keys() - {*newest, *keep_steps}:
        paths[number].unlink(missing_ok=True)


def _require_space(path: Path, state: Mapping[str, Any]) -> None:
    """Raise ResourceError when the disk is too full, before anything is written."""
    sizes = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in _tensors(state)}
    needed, free = sum(sizes.values()) + _MARGIN_BYTES, shutil.disk_usage(path.parent).free
    if needed > free:
        raise ResourceError(
            f"{path}: the disk is too full for a checkpoint: it needs {format_bytes(needed)}, "
            f"{format_bytes(free)} are free. Earlier checkpoints are intact. "
            "Free some space, keep fewer (checkpoint.keep, checkpoint.keep_best), or choose another output_dir."
        )


def _disk_error(error: OSError, path: Path) -> ResourceError:
    if error.errno in _LIMIT_REACHED:
        return ResourceError(
            f"{path}: a limit of the system stops the saving of a checkpoint ({error.strerror}). Earlier checkpoints "
            "are intact. Raise the quota or the limit of file sizes (`ulimit -f`), keep fewer checkpoints "
            "(checkpoint.keep, checkpoint.keep_best), or choose another output_dir."
        )
    if error.errno == errno.ENOSPC:
        with contextlib.suppress(OSError):
            free = format_bytes(shutil.disk_usage(path.parent).free)
            return ResourceError(
                f"{path}: the disk is full while saving a checkpoint ({free} are free). "
                "Earlier checkpoints are intact. Free some space or choose another output_dir."
            )
    return ResourceError(
        f"{path}: the checkpoint can't be written ({error.strerror or error}). "
        "Earlier checkpoints are intact. Check the folder's permissions or choose another output_dir."
    )


def _refuse_overlapping(state: Any, path: Path) -> None:
    """Refuse tensors of more numbers than are stored: with a stride of 0 a few bytes can claim any size."""
    for tensor in _tensors(state):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path}: holds a tensor of shape {list(tensor.shape)} with less data than that; it is refused."
            )


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested containers."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
