from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.errors import ConfigError
from ptrun.optim import adaptive
from ptrun.optim.optimizers import build_optimizer

CLASSES = {
    adaptive.adadelta: torch.optim.Adadelta,
    adaptive.adafactor: torch.optim.Adafactor,
    adaptive.adagrad: torch.optim.Adagrad,
    adaptive.adam: torch.optim.Adam,
    adaptive.adamax: torch.optim.Adamax,
    adaptive.adamw: torch.optim.AdamW,
    adaptive.nadam: torch.optim.NAdam,
    adaptive.radam: torch.optim.RAdam,
    adaptive.rmsprop: torch.optim.RMSprop,
}
# For each setting a value that differs from all defaults.
OTHER = {
    "lr": 0.02,
    "rho": 0.8,
    "eps": 1e-5,
    "weight_decay": 0.3,
    "beta2_decay": -0.7,
    "d": 2.0,
    "lr_decay": 0.1,
    "initial_accumulator_value": 0.2,
    "betas": (0.8, 0.95),
    "amsgrad": True,
    "decoupled_weight_decay": True,
    "momentum_decay": 0.01,
    "alpha": 0.9,
    "momentum": 0.5,
    "centered": True,
}


@pytest.mark.parametrize("function", CLASSES, ids=lambda function: function.__name__)
def test_every_setting_reaches_torch_and_training_is_equal_bit_for_bit(function, net, train):
    settings = {key: OTHER[key] for key in function.__kwdefaults__ if key != "no_decay_norm_bias"}
    if function is adaptive.adafactor:
        settings["eps"] = (1e-6, 0.01)
    model, reference = net(), net()
    ours, theirs = function(model, **settings), CLASSES[function](reference.parameters(), **settings)
    assert type(ours) is CLASSES[function]
    assert ours.defaults == theirs.defaults
    assert all(map(torch.equal, train(model, ours), train(reference, theirs)))


def test_sparse_adam_takes_sparse_embeddings_and_adam_the_rest(net):
    model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Linear(4, 2))
    optimizer = build_optimizer("sparse_adam", {"lr": 0.1}, model)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    changed = (model[0].weight != before[0]).any(1)
    assert changed.nonzero().flatten().tolist() == [1, 2]
    assert not torch.equal(model[1].weight, before[1])
    with pytest.raises(ConfigError, match="Use optimizer=adam instead"):
        build_optimizer("sparse_adam", {}, net())


def test_sparse_adam_alone_where_all_weights_are_sparse():
    optimizer = build_optimizer("sparse_adam", {}, nn.Embedding(10, 4, sparse=True))
    assert type(optimizer) is torch.optim.SparseAdam
