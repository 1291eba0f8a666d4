from __future__ import annotations

import pytest
import torch
from torch import nn

from ptrun.errors import ConfigError
from ptrun.optim.construct import construct


def test_settings_reach_torch():
    parameters = list(nn.Linear(2, 2).parameters())
    optimizer = construct(torch.optim.SGD, parameters, lr=0.5, momentum=0.9)
    assert type(optimizer) is torch.optim.SGD
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]) == (0.5, 0.9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nesterov": True}, r"torch\.optim\.SGD refuses its settings: Nesterov momentum requires"),
        ({"lr": -1.0}, r"torch\.optim\.SGD refuses its settings: Invalid learning rate: -1\.0"),
    ],
)
def test_what_torch_refuses_is_a_config_error_with_its_message(settings: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        construct(torch.optim.SGD, list(nn.Linear(2, 2).parameters()), **settings)
