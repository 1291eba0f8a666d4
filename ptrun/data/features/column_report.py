"""Says of each column of a table what it was taken for and why, for the start of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ptrun.data.features.kinds import ColumnKind
from ptrun.data.formats.date_form import DAY_SECONDS
from ptrun.errors import join_words

MAX_LINES = 16  # columns with a line of their own


def report(
    encodings: Sequence[Mapping[str, Any]], kinds: Sequence[ColumnKind], left_out: Mapping[str, Sequence[str]]
) -> list[str]:
    """A sentence for each column, or for as many as fit, those out of the ordinary first; then what is left out."""
    why = {kind.name: kind.reason for kind in kinds}
    chosen = encodings
    if len(encodings) > MAX_LINES:
        chosen = sorted(encodings, key=lambda encoding: not _is_special(encoding, why))[:MAX_LINES]
    lines = [f"{encoding['name']}: {_describe(encoding, why[encoding['name']])}." for encoding in chosen]
    rest = [encoding for encoding in encodings if all(encoding is not other for other in chosen)]
    if rest:
        lines.append(f"And {len(rest)} more columns: {_count_kinds(rest)}.")
    reasons = [f"Left out ({reason}): {join_words(columns)}." for reason, columns in left_out.items()]
    return [*lines, *reasons]


def date_text(days: float) -> str:
    """A number of days since 1970 as a date."""
    text = str(np.datetime64(round(days * DAY_SECONDS), "s")).replace("T", " ")
    return text.removesuffix(":00").removesuffix(" 00:00")


def _is_special(encoding: Mapping[str, Any], why: Mapping[str, str]) -> bool:
    return bool(why[encoding["name"]] or encoding["kind"] == "date" or encoding["missing"])


def _describe(encoding: Mapping[str, Any], why: str) -> str:
    reason = f", {why}" if why else ""
    if encoding["kind"] == "numeric":
        text = f"numbers from {encoding['min']:.6g} to {encoding['max']:.6g}{reason}"
    elif encoding["kind"] == "date":
        waves = "".join(f", {wave}" for wave in encoding["waves"])
        text = f"dates from {date_text(encoding['min'])} to {date_text(encoding['max'])}{reason}, as a number{waves}"
    else:
        text = f"{len(encoding['categories'])} categories ({join_words(encoding['categories'], 4)}){reason}"
        if encoding["other"]:
            text += f"; the rarest ({encoding['other']}) share one feature, also with unknown ones"
    return text + _missing(encoding)


def _missing(encoding: Mapping[str, Any]) -> str:
    if not encoding["missing"]:
        return ""
    if encoding["kind"] == "categorical":
        return f"; missing in {encoding['missing']} training rows, a category of its own"
    return f"; missing in {encoding['missing']} training rows, set to the median and marked by an extra feature"


def _count_kinds(encodings: Sequence[Mapping[str, Any]]) -> str:
    nouns = {"numeric": "of numbers", "categorical": "of categories", "date": "of dates"}
    kinds = [encoding["kind"] for encoding in encodings]
    return ", ".join(f"{kinds.count(kind)} {noun}" for kind, noun in nouns.items() if kind in kinds)
