"""Model, averaged weights, loss and views of a run."""

from __future__ import annotations

import pytest
import torch
from support import forecast_spec, run_config
from torch import nn

from ptrun.build.data import prepare
from ptrun.build.model import average_notes, build_ema, build_loss, build_model, build_views
from ptrun.build.run import build_runtime
from ptrun.errors import ConfigError


def test_the_seed_decides_the_initial_weights():
    spec = prepare(run_config("dataset=iris", "model=simplenet"), fitted=None).spec
    first, again, other = (
        nn.utils.parameters_to_vector(
            build_model(run_config("dataset=iris", "model=simplenet", f"seed={seed}"), spec).parameters()
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_averaged_weights_follow_the_decay():
    model = nn.Linear(1, 1, bias=False)
    assert build_ema(model, None, warmup=True) is None
    ema = build_ema(model, 0.75, warmup=False)
    assert ema is not None
    nn.init.constant_(model.weight, 1.0)
    ema.update_parameters(model)  # the first update copies
    nn.init.constant_(model.weight, 5.0)
    ema.update_parameters(model)
    assert next(ema.parameters()).item() == pytest.approx(0.75 * 1 + 0.25 * 5)


def test_an_average_with_a_warm_up_begins_with_a_short_one():
    """min(decay, (1 + n) / (10 + n)) in update n; the first one, n = 0, copies."""
    model = nn.Linear(1, 1, bias=False)
    ema = build_ema(model, 0.3, warmup=True)
    assert ema is not None
    expected = 0.0
    for step, value in enumerate([4.0, 1.0, -2.0, 5.0, 3.0, 0.5]):
        nn.init.constant_(model.weight, value)
        ema.update_parameters(model)
        decay = 0.0 if step == 0 else min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert next(ema.parameters()).item() == pytest.approx(expected, rel=1e-5)
    restored = build_ema(nn.Linear(1, 1, bias=False), 0.3, warmup=True)
    assert restored is not None
    restored.load_state_dict(ema.state_dict())
    for average in (ema, restored):  # the count goes on too
        average.update_parameters(model)
    assert torch.equal(next(ema.parameters()), next(restored.parameters()))


@pytest.mark.parametrize(
    ("decay", "total_steps", "warmup", "share"),
    [
        (0.9995, 39, False, "98%"),
        (0.99, 100, False, "37%"),
        (0.9, 100, False, None),
        (None, 100, False, None),
        (0.9995, 39, True, None),
        (0.9995, 2, True, "18%"),
    ],
)
def test_an_average_longer_than_the_training_is_noted(
    decay: float | None, total_steps: int, warmup: bool, share: str | None
):
    """The share is that of weights of the first step after the last one."""
    notes = average_notes(decay, total_steps, warmup=warmup)
    if share is None:
        assert notes == ()
        return
    assert f"more steps than the {total_steps} of this training: {share} of the averaged weights" in notes[0]
    model = nn.Linear(1, 1, bias=False)
    ema = build_ema(model, decay, warmup=warmup)
    assert ema is not None
    for step in range(total_steps):
        nn.init.constant_(model.weight, float(step == 0))
        ema.update_parameters(model)
    assert f"{next(ema.parameters()).item():.0%}" == share


@pytest.mark.parametrize(("total_steps", "decay"), [(4, "0.5"), (39, "0.7"), (20_000, "0.9995")])
def test_the_decay_that_a_note_advises_is_valid_and_needs_no_note(total_steps: int, decay: str):
    (note,) = average_notes(0.999999, total_steps, warmup=False)
    assert note.endswith(f"such as {decay}.")
    assert total_steps < 10 or average_notes(float(decay), total_steps, warmup=False) == ()


def test_class_weights_come_from_the_training_split():
    overrides = ("dataset=breast_cancer", "model=simplenet", "loss=cross_entropy")
    outputs, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    losses = []
    for weights in ("null", "balanced"):
        config = run_config(*overrides, f"loss.class_weights={weights}")
        loss = build_loss(config, prepare(config, fitted=None), build_runtime(config))
        losses.append(loss(outputs, targets).item())
    assert losses[1] < losses[0]  # class 0, predicted well, is the rare one and counts more


def test_views_are_for_images():
    config = run_config("dataset=series", "model=lstm")
    model = nn.Identity()
    assert build_views(config, forecast_spec())(model) is model
    with pytest.raises(ConfigError, match="eval_views"):
        build_views(run_config("model=simplenet", "train.eval_views=flip"), forecast_spec())
