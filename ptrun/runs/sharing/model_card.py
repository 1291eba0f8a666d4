"""The model card of a published checkpoint, in Markdown: data, results, limits, how to use it (arXiv:1810.03993)."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.errors import join_words
from ptrun.runs.sharing.plain_torch import loading_line
from ptrun.runs.show_checkpoint import rows
from ptrun.terminal.format import format_metric, metrics_table

_SHOWN = ("model", "data", "inputs", "outputs", "trained", "best", "verdict")
_FOLDERS = re.compile(r"(?<![\w.:/~])~?/(?:[^/,=\]'\"]+/)*(?=[^/,=\]'\"])")  # of an absolute path
_Z = 1.96  # standard deviations on either side that hold 95 % of a normal distribution
_FEW_SAMPLES = 100  # of a class in training, or of the test split


def model_card(description: Mapping[str, Any], about: Mapping[str, Any], file_name: str) -> str:
    """The text of the card. description: of the published file; about: what the run folder said; may be empty."""
    description = {**description, "data": _without_folders(description["data"])}
    data = description["data"]
    parts = [
        f"# {description['model']['name']} trained on {data['dataset']}",
        "\n".join(f"- **{name}**: {text}" for name, text in rows(description) if name in _SHOWN),
        "## Results",
        _results(about.get("test")),
        "## Limits",
        "\n".join(f"- {limit}" for limit in limits(description, about.get("test"))),
        "## Use",
        _use(description, file_name),
    ]
    if about.get("command"):
        parts += ["## How it was made", _origin(about)]
    return "\n\n".join(parts) + "\n"


def limits(description: Mapping[str, Any], test: Mapping[str, Any] | None) -> list[str]:
    """What the numbers do not show, as far as the run knows it."""
    data = description["data"]
    sentences = [
        "It was tested on data from the same source as its training data; on other data it can be worse.",
        f"It reads inputs of shape {data['input_shape']} that are prepared as in training.",
    ]
    if data["classes"]:
        count = len(data["classes"])
        sentences.append(f"It assigns one of its {count} classes to every input, even to one that belongs to none.")
        sentences += _rare_classes(data)
    elif data["targets"]:
        error_bars = (
            "Its intervals (`interval=0.9`) are those of its validation, and no guarantee"
            if data.get("has_interval")
            else "It gives no error bars"
        )
        sentences.append(f"{error_bars}; values outside of the range of the training targets are extrapolated.")
    if test is None:
        return [*sentences, "No test results are known."]
    return [*sentences, *_precision(test), *_worst_class(test)]


def _without_folders(data: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about the data with names of files in place of paths, which say nothing elsewhere."""
    location = {key: Path(value).name if isinstance(value, str) else value for key, value in data["location"].items()}
    return {**data, "location": location}


def without_folders(command: str) -> str:
    """A command with the names of files and folders in place of absolute paths, which may name a person."""
    return shlex.join(_FOLDERS.sub("", word) for word in shlex.split(command))


def _rare_classes(data: Mapping[str, Any]) -> list[str]:
    counts = data["class_counts"] or []
    rare = [f"{name} ({count})" for name, count in zip(data["classes"], counts, strict=False) if count < _FEW_SAMPLES]
    return [f"Classes with fewer than {_FEW_SAMPLES} training samples: {join_words(rare, 12)}."] if rare else []


def _precision(test: Mapping[str, Any]) -> list[str]:
    """How exactly the accuracy is known: its 95 % interval (Wilson, 1927), which also holds near 0 and 100 %."""
    accuracy, count = test["metrics"].get("accuracy"), test["num_samples"]
    if accuracy is None:
        return [f"It was tested on {count:,} samples."]
    center = (accuracy + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(accuracy * (1 - accuracy) / count + (_Z / (2 * count)) ** 2)
    low, high = (format_metric("accuracy", value) for value in (center - half, center + half))
    return [f"The test split has {count:,} samples: the accuracy on such data lies between {low} and {high} (95 %)."]


def _worst_class(test: Mapping[str, Any]) -> list[str]:
    recalls = {
        name: scores["recall"] for name, scores in (test.get("per_class") or {}).items() if scores["recall"] is not None
    }
    if len(set(recalls.values())) < 2:
        return []
    worst = min(recalls, key=lambda name: recalls[name])
    return [f"It finds the class {worst} least often: {format_metric('recall', recalls[worst])} of its test samples."]


def _results(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return "Not known for these weights."
    columns, table, notes = metrics_table(test)
    lines = [_row(columns), _row(["---"] * len(columns)), *(_row(cells) for cells in table), "", *notes]
    return "\n".join([f"On the {test['split']} split, {test['num_samples']:,} samples:", "", *lines]).rstrip()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _use(description: Mapping[str, Any], file_name: str) -> str:
    return f"""\
With ptrun {description["versions"].get("ptrun", "")}:

```sh
ptrun predict checkpoint={file_name} input=NEW_DATA
ptrun show {file_name}
```

In plain torch, with a `network` of the same layers:

```python
import torch
weights = torch.load("{file_name}", weights_only=True)["model"]
{loading_line("network", "weights", description["model"]["name"])}
```"""


def _origin(about: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in (about.get("packages") or {}).items())
    commit = (about.get("git") or {}).get("commit")
    code = f"\n\nCode: commit `{commit}`." if commit else ""
    return f"```sh\n{about['command']}\n```\n\nStarted {about.get('started')}, with {packages}.{code}"
