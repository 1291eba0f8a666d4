"""Results in a notebook are tables whose texts can't break the page."""

from __future__ import annotations

from ptrun.reports.html_table import html_table


def test_texts_are_escaped_and_numbers_short():
    page = html_table([{"name": "<b>", "value": 0.123456}, {"name": "c", "more": None}], total=5)
    assert "&lt;b&gt;" in page
    assert "0.1235" in page
    assert page.count("<tr>") == 3
    assert page.count("<th>") == 3
    assert "and 3 more" in page
