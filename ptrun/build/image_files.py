"""Checks the image files of a data set before they are used: bad ones end the run or are left out, by the setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ptrun.data.dataset import Data
from ptrun.data.loading.choose import worker_count
from ptrun.data.loading.file_check import FileCheck, bad_files_text, check_files, image_splits, without
from ptrun.data.loading.image_cache import ProgressCallback, cache_folder
from ptrun.data.splits import FileSplit
from ptrun.errors import DataError


def check_image_files(
    data: Data, parts: Sequence[str], num_workers: int | str, on_progress: ProgressCallback
) -> tuple[Data, dict[str, str]]:
    """The data without the validation and test files that can't be read, and these by name with the reason.

    parts: those to check. A training leaves out its bad samples by itself, so that the order of the others stays.
    Raises DataError naming all bad files, unless dataset.on_bad_sample is "skip".
    """
    splits = image_splits({part: getattr(data, part) for part in parts})
    if not splits:
        return data, {}
    first, total = next(iter(splits.values())), sum(map(len, splits.values()))
    check = check_files(splits, cache_folder(first) / "checked", worker_count(num_workers), on_progress)
    notes = (*data.notes, check.note)
    if not check.bad:
        return replace(data, notes=notes), {}
    text = bad_files_text(check, total)
    if first.on_bad_sample == "stop":
        raise DataError(
            f"{text}\nMend or remove them. dataset.on_bad_sample=skip leaves out such files, counts and lists them."
        )
    data = replace(data, notes=(*notes, f"Left out: {text}"))
    return _without_bad(data, splits, check)


def _without_bad(data: Data, splits: Mapping[str, FileSplit], check: FileCheck) -> tuple[Data, dict[str, str]]:
    left_out: dict[str, str] = {}
    splits_without_bad: dict[str, Any] = {}
    for part, reasons in check.bad.items():
        if part == "train" and len(splits) > 1:  # of a training
            continue
        if len(reasons) == len(splits[part]):
            raise DataError(
                f"dataset: no file of the {part} part can be read. The first: {next(iter(reasons.values()))}"
            )
        splits_without_bad[part] = without(splits[part], reasons)
        left_out |= {splits[part].name(index): reason for index, reason in reasons.items()}
    return replace(data, **splits_without_bad), left_out
