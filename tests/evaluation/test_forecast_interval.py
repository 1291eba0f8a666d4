"""The interval of a forecast is the rank of the errors that split conformal prediction names."""

from __future__ import annotations

import torch

from ptrun.evaluation import forecast_interval
from ptrun.evaluation.forecast_interval import ForecastErrors, width_of


def errors_of(*batches: torch.Tensor) -> ForecastErrors:
    errors = ForecastErrors()
    for batch in batches:
        errors.add(batch, torch.zeros_like(batch))
    return errors


def test_the_width_is_that_of_the_right_rank():
    column = torch.arange(1.0, 20.0).flip(0)  # errors 1 to 19, some negative
    interval = errors_of(
        torch.stack([column[:7], -2 * column[:7]], 1), torch.stack([column[7:], column[7:] * 2], 1)
    ).interval
    assert interval is not None
    assert interval["windows"] == 19
    assert interval["levels"] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95], "20 * 0.99 needs a twentieth error"
    width = width_of(interval, 0.9)
    assert width is not None
    assert width.tolist() == [18.0, 36.0]
    assert width_of(interval, 0.99) is None


def test_too_few_windows_for_any_level():
    assert errors_of().interval is None
    assert errors_of(torch.ones(0, 3)).interval is None
    one = errors_of(torch.ones(1, 3)).interval
    assert one is not None
    assert one["levels"] == [0.5]


def test_no_more_than_so_many_errors_are_kept(monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(forecast_interval, "MAX_NUMBERS", 10)
    interval = errors_of(torch.ones(4, 2), torch.ones(4, 2), torch.ones(4, 2)).interval
    assert interval is not None
    assert interval["windows"] == 8


def test_it_covers_what_it_says_on_new_errors_of_the_same_kind():
    generator = torch.Generator().manual_seed(0)
    width = width_of(errors_of(torch.randn(2000, 2, generator=generator)).interval or {}, 0.9)
    new = torch.randn(20_000, 2, generator=generator).abs()
    assert ((new <= width).float().mean(0) - 0.9).abs().max() < 0.02
