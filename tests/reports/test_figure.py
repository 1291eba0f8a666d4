"""Pictures are saved whole, and drawing them leaves the process as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

from support import assert_picture

from ptrun.reports.figure import add_caption, legend, new_figure, save, shorten, tidy


def test_a_picture_is_saved_in_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "a.png"
    for title in ("first", "$second_{"):  # not taken for a formula
        axes = (figure := new_figure(6.0, 4.0, title)).add_subplot()
        axes.plot([1, 2], label="{a}_$")
        tidy(axes)
        legend(axes)
        assert save(figure, path) == path
        assert_picture(path)
    assert [other.name for other in path.parent.iterdir()] == ["a.png"]


def test_letters_that_the_font_lacks_give_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(new_figure(6.0, 4.0, "日本語"), tmp_path / "a.png")


def test_title_and_caption_are_as_wide_as_the_figure_at_most() -> None:
    from matplotlib.text import Text

    sentence = "Each point is the mean of up to 5 runs, bars ± 1 standard deviation; the ring is the best. "
    for width in (4.0, 7.6, 13.5):
        figure = new_figure(width, 4.0, 4 * sentence)
        figure.add_subplot()
        add_caption(figure, 4 * sentence)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.findobj(Text) if sentence[:20] in text.get_text()]
        assert len(boxes) == 2
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


def test_a_long_name_loses_its_middle() -> None:
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghijk", 10) == "abcde…hijk"
    assert len(shorten("x" * 99, 7)) == 7


def test_drawing_needs_neither_torch_nor_pyplot_and_importing_needs_no_matplotlib(tmp_path: Path) -> None:
    record = {"epoch": 1, "step": 10, "train/loss": 0.5, "lr": 0.1}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    program = (
        "import sys; from pathlib import Path\n"
        "from ptrun.reports.curves import draw_training; from ptrun.reports.evaluation import draw_evaluation\n"
        "early = 'matplotlib' in sys.modules; folder = Path(sys.argv[1])\n"
        "draw_training(folder / 'metrics.jsonl', folder / 'plots')\n"
        "print(early, 'torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
