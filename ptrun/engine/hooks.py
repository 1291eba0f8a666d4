"""What the training loop calls while it runs: to report, to ask whether to stop or save, and to have that done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ptrun.engine.progress import EpochReport, Standing
from ptrun.engine.running_loss import RunningLoss


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions of the caller. The loop calls them between steps; none of them may wait for the device.

    on_batch: batches done in the epoch, batches in it, and their losses.
    on_epoch_end: a finished epoch.
    should_stop: whether to stop after this step.
    why_prune: why to end training after this validation, because other runs are better; "" to go on.
    is_save_due: whether to save after this number of optimizer steps, within an epoch.
    save: save the current state.
    roll_back: put back the weights and the optimizer's state of the last rollback point.
    on_split: from now on, batches are computed in this number of parts.
    """

    on_batch: Callable[[int, int, RunningLoss], None] = lambda done, total, losses: None
    on_epoch_end: Callable[[EpochReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    why_prune: Callable[[Standing], str] = lambda standing: ""
    is_save_due: Callable[[int], bool] = lambda step: False
    save: Callable[[], object] = lambda: None
    roll_back: Callable[[], None] = lambda: None
    on_split: Callable[[int], None] = lambda num_parts: None
