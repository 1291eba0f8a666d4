"""Opens new inputs for a trained model, prepared as the configuration of its training says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptrun.build.batches import evaluation_batch_size
from ptrun.config.run_config import RunConfig, TrainSettings
from ptrun.data.features.kinds import ColumnSettings
from ptrun.data.features.wide_sequences import read_sequences
from ptrun.data.formats import array_images
from ptrun.data.formats.csv_chunks import InMemory, ReadChunks, read_chunks, read_file_chunks
from ptrun.data.formats.csv_dialect import Header, header_setting
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.formats.image_file import MAX_PIXELS, ImageReader
from ptrun.data.inputs import arrays, images, rows, series
from ptrun.data.inputs.images import ImageFiles, ImagePreparation, ImagesInMemory
from ptrun.data.inputs.sequences import NewSequences, sequences_of
from ptrun.data.inputs.series_parts import SeriesSettings
from ptrun.data.inputs.source import Source
from ptrun.data.loading.choose import worker_count
from ptrun.errors import ConfigError, DataError
from ptrun.spec import DataSpec, Layout
from ptrun.transforms.pipeline import Pipeline

STDIN = "-"
_ARRAY_SUFFIXES = (".npy", ".npz")


@dataclass(frozen=True)
class InputSettings:
    """What a user says about new inputs; conf/predict.yaml has meanings."""

    keep: Sequence[str] | str = ()
    rolling: bool = False
    resize: bool = False
    path_column: str = "auto"

    @property
    def kept_columns(self) -> Sequence[str] | None:
        """Names of columns to keep; None for all."""
        if self.keep == "all":
            return None
        return [self.keep] if isinstance(self.keep, str) else list(self.keep)


@dataclass(frozen=True)
class Preparation:
    """What decides how new inputs are read and prepared for a trained model.

    fitted: what its data set learned from the training samples. pipeline: of images, else None.
    batching: the settings that decide the size of a batch; those of `config` by default.
    """

    config: RunConfig
    spec: DataSpec
    fitted: Mapping[str, Any]
    pipeline: Pipeline | None
    device: torch.device
    settings: InputSettings = field(default_factory=InputSettings)
    batching: TrainSettings | None = None

    @property
    def dataset(self) -> Mapping[str, Any]:
        """The settings of the data set in training."""
        return self.config.dataset.settings

    @property
    def header(self) -> Header:
        """Whether the first line of a file names the columns: as the user said, else as in training."""
        return header_setting(self.dataset.get("header", "auto"), self.fitted)

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides how inputs are prepared: equal keys give equal inputs."""
        settings = {name: value for name, value in self.dataset.items() if "split" not in name}
        fitted = None if self.pipeline is None else self.pipeline.fitted
        transforms = self.config.transform.settings.get("eval")
        return self.config.dataset.name, settings, self.fitted, transforms, fitted, self.spec.input_shape

    def batch_size(self, *, files: bool) -> int:
        """That of an evaluation: batches of one size have equal bits."""
        return evaluation_batch_size(self.batching or self.config.train, files=files)

    def of_images(self) -> ImagePreparation:
        assert self.pipeline is not None
        return ImagePreparation(self.pipeline, self.spec.input_shape, self.settings.resize)

    def image_reader(self) -> ImageReader:
        """Raises ConfigError for images that no file holds."""
        channels = self.dataset.get("channels", self.spec.input_shape[0])
        if channels not in (1, 3):
            raise ConfigError(
                f"input: the model was trained on images of {channels} channels, which image files do not have. Give "
                "them as an array: a .npy file, uint8 [N, channels, height, width]."
            )
        scales_to = self.pipeline.scales_to if self.pipeline is not None else ()
        scaled_to = scales_to if self.dataset.get("decode") == "scaled" else ()
        return ImageReader(channels, self.dataset.get("max_pixels", MAX_PIXELS), scaled_to)


def open_inputs(locations: Sequence[str], preparation: Preparation) -> Source:
    """The inputs at files, folders, patterns or "-" (standard input). Raises DataError or ConfigError."""
    suffix = Path(locations[0]).suffix.lower()
    _refuse_settings_of_other_data(preparation, is_array=suffix in _ARRAY_SUFFIXES)
    if preparation.spec.layout is Layout.IMAGE and suffix not in _ARRAY_SUFFIXES:
        return _image_files(locations, preparation)
    if len(locations) > 1:
        raise ConfigError(f"input: expected one file for a model of this kind of data, got {len(locations)}.")
    location = locations[0]
    if location != STDIN and not Path(location).expanduser().is_file():
        raise DataError(f"input: {location}: there is no such file.")
    path = Path(location).expanduser()
    if suffix in _ARRAY_SUFFIXES:
        return replace(open_array(arrays.read_inputs(path), str(path), preparation), identity=file_identity(path))
    if preparation.config.dataset.name == "series":
        return replace(_series_file(location, preparation), identity=file_identity(path))
    if preparation.config.dataset.name == "sequences":
        sequences = read_sequences(
            path,
            preparation.dataset["label_column"],
            preparation.header,
            preparation.dataset["delimiter"],
            preparation.dataset["decimal"],
            preparation.dataset["id_column"],
            trained=preparation.fitted,
        )
        batch_size = preparation.batch_size(files=False)
        return NewSequences(
            sequences, preparation.fitted, batch_size, identity=file_identity(path), notes=sequences.notes
        )
    return _table_file(location, preparation)


def open_rows(file: CsvFile, preparation: Preparation) -> Source:
    """Rows that are in memory, of a table or of a series."""
    if preparation.config.dataset.name == "series":
        return _series(InMemory(file), preparation)
    batch_size = preparation.batch_size(files=False)
    keep = preparation.settings.kept_columns
    return rows.TableRows(InMemory(file), _encodings(preparation), batch_size, keep, count=len(file))


def _series(read: ReadChunks, preparation: Preparation) -> series.LastWindow | series.RollingWindows:
    """The end of a series, or with `rolling` all its windows."""
    dataset = preparation.dataset
    settings = SeriesSettings(
        dataset["time_column"],
        dataset["missing"],
        dataset["calendar"],
        dataset["window"],
        dataset["horizon"],
        ColumnSettings(date_order=dataset["date_order"], missing_values=dataset["missing_values"] or ()),
        dataset["gaps"],
    )
    if preparation.settings.rolling:
        batch_size = preparation.batch_size(files=False)
        return series.RollingWindows(read, preparation.fitted, settings, batch_size)
    return series.last_window(read, preparation.fitted, settings)


def open_array(values: Any, name: str, preparation: Preparation) -> arrays.ArrayRows | ImagesInMemory | NewSequences:
    """Samples in an array, whose first dimension counts them. Raises DataError for samples of another kind."""
    if preparation.config.dataset.name == "sequences":
        return open_sequences(values, name, preparation)
    if preparation.spec.layout is Layout.IMAGE:
        scale = array_images.scale_of(values, preparation.fitted.get("range"))
        axis = preparation.dataset.get("channel_axis", "auto")

        def convert(some: Any, first_row: int) -> list[torch.Tensor]:
            return arrays.images_of(some, axis, scale, name, first_row)

        convert(values[:1], 0)  # images of another kind are refused before the first is predicted
        return ImagesInMemory(values, preparation.of_images(), preparation.batch_size(files=False), convert=convert)
    if not {"mean", "std"} <= set(preparation.fitted):
        raise DataError(f"{name}: a model of dataset={preparation.config.dataset.name} takes no arrays. {_USE_PYTHON}")
    values = arrays.shaped_like(values, preparation.fitted)
    arrays.require_shape(values, preparation.spec.input_shape, name)
    mean, std = np.array(preparation.fitted["mean"]), np.array(preparation.fitted["std"])
    return arrays.ArrayRows(values, mean, std, preparation.batch_size(files=False))


def open_sequences(values: Sequence[Any], name: str, preparation: Preparation) -> NewSequences:
    """Sequences [time, channels] of any lengths. Raises DataError for samples of another kind."""
    batch_size = preparation.batch_size(files=False)
    return NewSequences(sequences_of(values, name), preparation.fitted, batch_size)


def open_images(samples: Sequence[torch.Tensor], names: Sequence[str], preparation: Preparation) -> ImagesInMemory:
    """Images uint8 [C, H, W] that are in memory."""
    return ImagesInMemory(samples, preparation.of_images(), preparation.batch_size(files=False), names)


def _refuse_settings_of_other_data(preparation: Preparation, *, is_array: bool) -> None:
    """Raise ConfigError for settings that would change nothing, because they are for another kind of data."""
    settings, dataset, layout = preparation.settings, preparation.config.dataset.name, preparation.spec.layout
    is_table = layout is Layout.VECTOR and not is_array
    problems = []
    if settings.kept_columns != [] and not is_table:
        problems.append(f"keep: only rows of a table have columns to keep; this model was trained on {dataset}.")
    if settings.rolling and dataset != "series":
        problems.append(f"rolling: only a series has forecasts to roll over; this model was trained on {dataset}.")
    if settings.resize and layout is not Layout.IMAGE:
        problems.append(f"resize: only images are scaled; this model was trained on {dataset}.")
    if problems:
        raise ConfigError(problems)


_USE_PYTHON = "In Python, ptrun.load(CHECKPOINT).model is the network, which takes prepared tensors."


def _image_files(locations: Sequence[str], preparation: Preparation) -> ImageFiles:
    setting = preparation.settings.path_column
    column = preparation.dataset.get("path_column", "auto") if setting == "auto" else setting
    if list(locations) == [STDIN]:
        paths = images.paths_from_stdin()
        notes: tuple[str, ...] = ()
    else:
        paths, notes = images.find_images(locations, column)
    config = preparation.config
    return ImageFiles(
        paths,
        preparation.image_reader(),
        preparation.of_images(),
        preparation.batch_size(files=True),
        worker_count(config.train.num_workers),
        preparation.device,
        config.seed,
        notes,
    )


def _table_file(location: str, preparation: Preparation) -> Source:
    path = Path(location).expanduser()
    is_stdin = location == STDIN
    encodings, keep = _encodings(preparation), preparation.settings.kept_columns
    names, notes = _names_of_columns(None if is_stdin else path, preparation)
    reading: dict[str, Any] = {
        "names": names,
        "may_lack": preparation.dataset.get("target", ""),
        "header": preparation.header,
        "delimiter": preparation.dataset.get("delimiter", "auto"),
        "wanted": rows.wanted_columns(encodings, keep),
    }
    return rows.TableRows(
        read=partial(read_chunks, sys.stdin, "standard input", **reading)
        if is_stdin
        else partial(read_file_chunks, path, **reading),
        encodings=encodings,
        batch_size=preparation.batch_size(files=False),
        keep=keep,
        identity=f"{os.getpid()} {time.time_ns()}" if is_stdin else file_identity(path),
        notes=notes,
        reads_ahead=not is_stdin,
    )


def _names_of_columns(path: Path | None, preparation: Preparation) -> tuple[Sequence[str] | None, tuple[str, ...]]:
    """The columns of a file without a header line, with notes; None for others, and where they are not known."""
    dataset, names = preparation.dataset, preparation.dataset.get("columns")
    if names is not None or preparation.header is not False:
        return names, ()
    return rows.numbered_columns(preparation.fitted, dataset.get("target", ""), path, dataset.get("delimiter", "auto"))


def _encodings(preparation: Preparation) -> Sequence[Mapping[str, Any]]:
    """How the columns of a table become numbers. Raises ConfigError where ptrun does not know."""
    fitted, names = preparation.fitted, preparation.spec.feature_names
    if preparation.spec.layout is Layout.VECTOR and "columns" in fitted:
        encodings: Sequence[Mapping[str, Any]] = fitted["columns"]
        return encodings
    if preparation.spec.layout is Layout.VECTOR and {"mean", "std"} <= set(fitted) and names:
        return rows.numeric_encodings(names, fitted["mean"], fitted["std"])
    raise ConfigError(
        f"input: how rows of a file become inputs is not known for dataset={preparation.config.dataset.name}. Give an "
        f"array (.npy or .npz) of samples {list(preparation.spec.input_shape)}. {_USE_PYTHON}"
    )


def _series_file(location: str, preparation: Preparation) -> series.LastWindow | series.RollingWindows:
    if location == STDIN:
        raise ConfigError("input: a series is read from a file, not from standard input. Name the file.")
    path, delimiter = Path(location).expanduser(), preparation.dataset["delimiter"]
    return _series(partial(read_file_chunks, path, header=preparation.header, delimiter=delimiter), preparation)


def file_identity(path: Path) -> str:
    """A text that changes when a file is replaced or written to."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
