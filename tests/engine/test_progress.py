"""Progress is plain data; times add up to the whole."""

from __future__ import annotations

import json

from ptrun.engine.progress import Progress, Times


def test_progress_is_plain_values():
    progress = Progress(epoch=2, step=7, best_loss=0.5)
    assert Progress(**json.loads(json.dumps(progress.to_dict()))) == progress


def test_time_is_added_to_its_kind_of_work_also_after_an_error():
    times = Times()
    try:
        with times.spent_on("validation"):
            raise ValueError
    except ValueError:
        pass
    assert times.validation > 0
    assert times.step == 0


def test_shares_are_percentages_of_the_whole():
    shares = Times(data=1.0, step=2.0, validation=1.0, checkpoint=0.0, whole=8.0).shares()
    assert shares == {"data": 12.5, "step": 25.0, "validation": 12.5, "checkpoint": 0.0, "other": 50.0}


def test_progress_of_an_older_version_is_taken_over():
    saved = {"epoch": 3, "step": 30, "batch": 0, "best_value": 0.9, "best_epoch": 3, "validations_without_best": 0}
    progress = Progress()
    progress.load(saved)
    assert (progress.improved_value, progress.improved_epoch, progress.best_step) == (0.9, 3, 30)


def test_the_validation_at_the_end_can_be_forgotten():
    progress = Progress(best_value=1.0, best_epoch=1, best_step=5, ranking=[[1.0, 1.0, 5]])
    progress.before_end = progress.standing()
    progress.best_value, progress.best_epoch, progress.best_step = 0.5, 2, 8
    progress.ranking = [[0.5, 1.0, 8]]
    assert sorted(progress.kept_steps) == [5, 5, 8]
    progress.forget_end()
    assert progress == Progress(best_value=1.0, best_epoch=1, best_step=5, ranking=[[1.0, 1.0, 5]])
