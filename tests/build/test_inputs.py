"""New inputs are opened by the kind of data that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import run_config, train

from ptrun.build.inputs import InputSettings, Preparation, open_inputs
from ptrun.data.inputs.arrays import ArrayRows
from ptrun.data.inputs.images import ImageFiles, ImagesInMemory
from ptrun.data.inputs.rows import TableRows
from ptrun.errors import ConfigError, DataError
from ptrun.runs.trained_model import TrainedModel, load_trained_model
from ptrun.spec import DataSpec, Layout, Task


def preparation(trained: TrainedModel, **settings: object) -> Preparation:
    return Preparation(
        trained.config,
        trained.spec,
        trained.fitted,
        trained.pipeline,
        trained.runtime.device,
        InputSettings(**settings),  # type: ignore[arg-type]
    )


def test_a_model_of_numbers_reads_tables_and_arrays(folder: Path):
    run = train("dataset=iris", "model=simplenet", "train.max_steps=1", quiet=True).run_dir
    prepared = preparation(load_trained_model(str(run)))
    names = prepared.spec.feature_names
    (folder / "new.csv").write_text(",".join(names) + "\n5.1,3.5,1.4,0.2\n")
    np.save(folder / "new.npy", np.array([[5.1, 3.5, 1.4, 0.2]]))
    rows, array = open_inputs(["new.csv"], prepared), open_inputs(["new.npy"], prepared)
    assert isinstance(rows, TableRows)
    assert isinstance(array, ArrayRows)
    assert torch.equal(next(rows.chunks(0)).inputs, next(array.chunks(0)).inputs)
    assert rows.identity != array.identity
    with pytest.raises(ConfigError, match="expected one file"):
        open_inputs(["new.csv", "new.csv"], prepared)
    with pytest.raises(DataError, match="no such file"):
        open_inputs(["absent.csv"], prepared)


def test_a_model_of_images_reads_files_and_arrays(folder: Path):
    run = train("model=simplenet", "train.max_steps=1", quiet=True).run_dir
    prepared = preparation(load_trained_model(str(run)))
    (folder / "a.png").write_bytes(b"x")
    np.save(folder / "new.npy", np.zeros((3, 8, 8), np.uint8))
    assert isinstance(open_inputs(["a.png"], prepared), ImageFiles)
    memory = open_inputs(["new.npy"], prepared)
    assert isinstance(memory, ImagesInMemory)
    assert memory.count == 3
    assert prepared.batch_size(files=True) == prepared.config.train.batch_size
    assert prepared.batch_size(files=False) >= 256


def test_data_of_a_plugin_are_not_guessed(folder: Path):
    spec = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(2,), num_outputs=1)
    prepared = Preparation(run_config("dataset=diabetes"), spec, {}, None, torch.device("cpu"))
    (folder / "new.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="how rows of a file become inputs is not known"):
        open_inputs(["new.csv"], prepared)
