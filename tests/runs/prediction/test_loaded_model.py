"""`ptrun.load` predicts in any process and thread, with the numbers of an evaluation, and changes nothing around it."""

from __future__ import annotations

import multiprocessing
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import train

import ptrun
from ptrun.errors import CheckpointError, ConfigError, DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train("model=simplenet", "train.epochs=2", f"output_dir={tmp_path_factory.mktemp('runs')}", quiet=True)


IMAGES = np.random.default_rng(0).integers(0, 255, (6, 8, 8)).astype(np.uint8)


def probabilities(run_dir: str) -> list[list[float]]:
    """Runs in another process or thread."""
    predictions: Any = ptrun.load(run_dir).predict(IMAGES)
    rows: list[list[float]] = predictions.probabilities.tolist()
    return rows


def test_the_plain_network_gives_the_same_numbers(run: Any):
    loaded = run.load()
    assert type(loaded.model) is type(run.model)
    assert not loaded.model.training
    with torch.no_grad():
        shares = loaded.model(loaded.transform(IMAGES)).double().softmax(1)
    assert loaded.predict(IMAGES).probabilities.tolist() == shares.tolist()
    assert loaded.classes == tuple("0123456789")
    assert loaded.embed(IMAGES).shape[0] == 6
    assert loaded.embed(IMAGES[0]).ndim == 1
    for result in (loaded, run, loaded.predict(IMAGES), loaded.predict(IMAGES[0])):
        assert len(repr(result)) < 2000
        assert " object at 0x" not in repr(result)
    assert "<table>" in loaded.predict(IMAGES)._repr_html_()
    assert "<table>" in run._repr_html_()
    assert loaded.predict(IMAGES).records()[0].keys() == {"input", "label", "probability"}
    assert loaded.predict(IMAGES).labels == [p.label for p in loaded.predict(IMAGES)]


@pytest.mark.slow
def test_a_thread_and_a_spawned_process(run: Any):
    want = probabilities(str(run.run_dir))
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(probabilities(str(run.run_dir))))
    thread.start()
    thread.join()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        got += pool.map(probabilities, [str(run.run_dir)])
    assert got[0] == want
    assert np.allclose(got[1], want, rtol=1e-5)  # with another number of threads the last bits differ


def test_the_caller_keeps_random_numbers_threads_and_dtype(run: Any):
    torch.manual_seed(7)
    random.seed(7)
    before = torch.get_rng_state(), random.getstate(), torch.get_num_threads(), torch.get_default_dtype()
    ptrun.load(str(run.run_dir)).predict(IMAGES)
    after = torch.get_rng_state(), random.getstate(), torch.get_num_threads(), torch.get_default_dtype()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_images_of_another_size_are_scaled_when_that_is_said(run: Any):
    loaded = ptrun.load(run.run_dir)
    wide = Image.new("L", (20, 30), 90)
    same = Image.new("L", (8, 8), 90)
    with pytest.raises(DataError, match="is 30x20 pixels"):
        loaded.predict(wide)
    assert loaded.predict(wide, resize=True).probability == loaded.predict(same).probability  # type: ignore[union-attr]
    assert torch.equal(loaded.transform(wide, resize=True), loaded.transform(same))
    assert np.array_equal(loaded.embed(wide, resize=True), loaded.embed(same))


def test_a_problem_among_many_inputs_is_the_one_of_its_input(run: Any):
    images = [Image.fromarray(IMAGES[i % 6]) for i in range(600)]
    images[550] = Image.new("L", (20, 30))
    predictions: Any = ptrun.load(run.run_dir).predict(images, raise_on_problem=False)
    assert [i for i, prediction in enumerate(predictions) if prediction.problem] == [550]
    assert np.flatnonzero(np.isnan(predictions.probabilities).any(axis=1)).tolist() == [550]
    assert predictions.labels[:6] == predictions.labels[594:]
    assert predictions.labels[551:555] == [predictions.labels[i % 6] for i in range(551, 555)]


def test_the_numbers_of_several_models_and_how_far_they_differ(folder: Path):
    settings = ("dataset=diabetes", "model=simplenet", "train.max_steps=3")
    runs = [train(*settings, f"seed={seed}", quiet=True) for seed in (1, 2)]
    rows = np.random.default_rng(0).normal(size=(3, 10))
    single = [one.load().predict(rows).values for one in runs]
    both: Any = ptrun.load([one.run_dir for one in runs]).predict(rows)
    assert both.values.tolist() == np.mean(single, axis=0).tolist()
    for i, record in enumerate(both.records()):
        assert record["progression"] == both.values[i, 0]
        assert record["disagreement"] == np.std(single, axis=0)[i].tolist()
    assert "progression=" in repr(both[0])


def test_problems_raise_or_are_reported(run: Any, folder: Path):
    (folder / "bad.png").write_bytes(b"x")
    loaded = ptrun.load(run.run_dir)
    with pytest.raises(DataError, match=r"bad\.png is not an image"):
        loaded.predict("bad.png")
    prediction: Any = loaded.predict("bad.png", raise_on_problem=False)
    assert prediction.label is None
    assert "is not an image" in prediction.problem
    assert "problem" in repr(prediction)
    Image.fromarray(IMAGES[0]).save("good.png")
    several: Any = loaded.predict(["absent.png", "good.png"], raise_on_problem=False)
    assert several[0].problem == "absent.png does not exist."
    assert several[1].label is not None


def test_evaluation_and_prediction_from_python(run: Any, folder: Path):
    result = ptrun.eval(run.run_dir, plots=False, quiet=True)
    assert result.metrics == pytest.approx(run.summary["test"])
    assert "accuracy" in repr(result)
    assert "<table>" in result._repr_html_()
    np.save(folder / "x.npy", IMAGES)
    predicted = ptrun.predict(run.run_dir, "x.npy", output="p.csv", quiet=True)
    assert predicted.tally.done == 6
    assert (folder / "p.csv").exists()
    averaged: Any = ptrun.load([run.run_dir, run.run_dir]).predict(IMAGES[0])
    assert averaged.disagreement == 0
    with pytest.raises(ConfigError, match=r"got ndarray\. Images, arrays.*by ptrun\.load\(checkpoint\)\.predict"):
        ptrun.predict(run.run_dir, IMAGES)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError):
        ptrun.load("absent")


@pytest.mark.slow
def test_results_are_tables_in_a_notebook(run: Any, folder: Path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    np.save(folder / "x.npy", IMAGES)
    cells = [
        f"import ptrun\nmodel = ptrun.load({str(run.run_dir)!r})\nmodel.predict('x.npy')",
        "model.predict('x.npy')[0]",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    table, one = (cell.outputs[-1]["data"] for cell in notebook.cells)
    assert "<table>" in table["text/html"]
    assert one["text/plain"].startswith("Prediction('row 0'")
