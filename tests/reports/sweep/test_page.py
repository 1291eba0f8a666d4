"""The page of a sweep is whole, asks for nothing, and shows texts as they are; a real browser sorts and filters it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import browser
import pytest

from ptrun.reports.sweep import by_setting, heat_map, learning_curves
from ptrun.reports.sweep.data import SweepData
from ptrun.reports.sweep.page import Cell, Failure, Page, Table, render

EVIL = '<script>alert("1")</script>&'


class Parsed(HTMLParser):
    """The elements of a page, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def make_page(figures: list[Path], number: int = 30, word: str = EVIL) -> Page:
    """A page with a table of configurations and one of jobs, and one failure."""
    columns = ["job", "state", "optimizer.lr", "model", "val/accuracy"]
    rows = [
        [
            Cell(str(i), i, f"a b#{i}"), Cell("done" if i % 3 else "failed", state="done" if i % 3 else "failed"),
            Cell(f"1e-{i % 5}", 10.0 ** -(i % 5)), Cell(word), Cell(f"{i} %", i / 100) if i % 3 else Cell("-"),
        ]
        for i in range(number)
    ]  # fmt: skip
    jobs = Table("Jobs", columns, rows, [1])
    places = Table("Configurations", ["configuration", "runs"], [[Cell(word), Cell("3 of 3", 3)]], [0])
    return Page(
        f"Sweep {word}", word, [("done", 20), ("failed", 10)], [("command", word)], [("evaluate", word)], [word],
        [places, jobs], [Failure(["0", "3"], word, [word])], figures, word,
    )  # fmt: skip


@pytest.fixture
def figures(grid: SweepData, search: SweepData, tmp_path: Path) -> list[Path]:
    drawn = [
        by_setting.draw(grid, tmp_path / "by_setting.svg"),
        heat_map.draw(grid, tmp_path / "heat_map.svg"),
        learning_curves.draw(search, tmp_path / "learning_curves.svg"),
    ]
    return [path for path in drawn if path]


def test_texts_are_escaped_and_nothing_is_loaded(figures: list[Path]):
    page = Parsed(render(make_page(figures)))
    names = [tag for tag, _ in page.tags]
    assert names.count("script") == 1  # ours
    assert page.text.count(EVIL) == 30 + 10  # each as it is
    addresses = [value or "" for _, values in page.tags for name, value in values.items() if name in ("src", "href")]
    assert not [address for address in addresses if "//" in address]
    assert "a%20b%237/" in addresses
    assert names.count("svg") == 3


def test_every_color_of_a_figure_has_another_one_for_a_dark_screen(figures: list[Path]):
    text = render(make_page(figures))
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert set(re.findall(r"(?<![,(])#[0-9a-fA-F]{3,8}\b(?=[;\"])", svg)) == set()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_page_without_figures_failures_and_jobs():
    text = render(Page("Sweep", "", [], [], [], [], [], [], [], ""))
    assert "<h2>" not in text


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[browser.Browser]:
    if browser.executable() is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    with browser.browser(tmp_path / "profile") as opened:
        yield opened


@pytest.mark.slow
def test_in_a_browser(chromium: browser.Browser, figures: list[Path], tmp_path: Path):
    path = tmp_path / "sweep.html"
    path.write_text(render(make_page(figures, word="optimizer.lr=0.0001 model=simplenet")), encoding="utf-8")
    first = "[...document.querySelectorAll('section:last-of-type, section')].at(-2).querySelector('tbody')"
    column = f"[...{first}.rows].map(row => row.cells[4].textContent)"
    for width in (1280, 390):
        for dark in (False, True):
            chromium.open(path, width, dark=dark)
            assert chromium.evaluate("document.documentElement.scrollWidth") == width, (
                "the page is wider than the screen"
            )
            background, ink = (
                [sum(map(int, re.findall(r"\d+", chromium.evaluate(f"getComputedStyle({element}).{value}"))[:3]))]
                for element, value in (
                    ("document.querySelector('section')", "backgroundColor"),
                    ("document.querySelector('figure svg text')", "fill"),
                )
            )
            assert (background < ink) == dark
    click = f"{first}.closest('table').querySelectorAll('th button')[4].click()"
    chromium.evaluate(click)
    values = chromium.evaluate(column)
    assert values == [*(f"{i} %" for i in range(30) if i % 3), *["-"] * 10]  # by value, empty ones last
    chromium.evaluate(click)
    assert chromium.evaluate(column) == [*(f"{i} %" for i in reversed(range(30)) if i % 3), *["-"] * 10]
    rates = f"[...{first}.rows].map(row => row.cells[2].textContent)"
    chromium.evaluate(click.replace("[4]", "[2]"))
    assert chromium.evaluate(rates) == [f"1e-{i}" for i in (4, 3, 2, 1, 0) for _ in range(6)]  # numbers, not words
    chromium.evaluate(
        f"(box => {{ box.value = 'FAILED 1e-3'; box.dispatchEvent(new Event('input')); }})"
        f"({first}.closest('section').querySelector('input'))"
    )
    assert chromium.evaluate(f"[...{first}.rows].filter(row => !row.hidden).map(row => row.cells[0].textContent)") == [
        "3", "18",
    ]  # fmt: skip
    assert chromium.problems == []
