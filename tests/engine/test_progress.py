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
