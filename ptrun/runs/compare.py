"""`ptrun compare`: what differs between runs, in their settings, results, and where they ran."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.config.composition import flat, is_harmless
from ptrun.errors import CheckpointError, ConfigError, join_words
from ptrun.loggers.records import read_records
from ptrun.reports.html_table import html_table
from ptrun.runs import find
from ptrun.runs.folder import LATEST, RECEIPT, STATUS, SUMMARY, RunDir

_RESULTS = ("parameters", "steps", "training_seconds", "peak_memory_bytes")  # of the summary
_ENVIRONMENT = ("ptrun", "code", "python", "packages", "hardware", "git")  # of the receipt
_PARTS = ("train", "val", "test")

Differences = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Comparison:
    """What differs between runs: key → its value in each of them, None where a run has none.

    settings: of the resolved configurations, without those that change no result. metrics: of the best epoch, of the
    test split, and what the training took. environment: versions, hardware and code.
    """

    runs: Sequence[Path]
    states: Sequence[str]
    settings: Differences
    metrics: Differences
    environment: Differences
    notes: Sequence[str]

    def __repr__(self) -> str:
        counts = f"{len(self.settings)} settings and {len(self.metrics)} metrics differ"
        return f"Comparison({len(self.runs)} runs: {counts})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        columns = [f"run {number}" for number in range(1, len(self.runs) + 1)]
        named = [*self.settings.items(), *self.metrics.items()]
        return html_table([{"": key, **dict(zip(columns, values, strict=True))} for key, values in named])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        runs = [{"run": str(path), "state": state} for path, state in zip(self.runs, self.states, strict=True)]
        parts = {"settings": self.settings, "metrics": self.metrics, "environment": self.environment}
        named = {
            part: {key: list(values) for key, values in differences.items()} for part, differences in parts.items()
        }
        return {"runs": runs, **named, "notes": list(self.notes)}

    def to_csv(self) -> str:
        """A line for each difference: what it is of, its key, and its value in each run."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["of", "key", *map(str, self.runs)])
        for part in ("settings", "metrics", "environment"):
            for key, values in getattr(self, part).items():
                writer.writerow([part, key, *("" if value is None else value for value in values)])
        return text.getvalue()


def compare(words: Sequence[str], output_dir: str) -> Comparison:
    """Compare two or more runs. Raises ConfigError for fewer, and CheckpointError for what is no run."""
    named = [_find(word, output_dir) for word in words]
    if len(named) < 2:
        raise ConfigError(
            f"ptrun compare: expected two runs or more, got {len(named)}. A run is a folder, as {output_dir}/latest; "
            "`ptrun runs` lists them."
        )
    runs = [path for path, _ in named]
    settings = _differences([_settings(path) for path in runs])
    receipts = [find.read_leniently(path, RECEIPT) for path in runs]
    harmless = sorted(key for key in settings if is_harmless(key))
    notes = [note for _, note in named if note] + _data_notes(receipts)
    if harmless:
        notes.append(f"Settings that change no result differ, too: {join_words(harmless, 8)}.")
    if len(set(runs)) < len(runs):
        notes.append("The same run is named more than once.")
    return Comparison(
        runs,
        [str(find.read_leniently(path, STATUS).get("state", "unknown")) for path in runs],
        {key: values for key, values in settings.items() if not is_harmless(key)},
        _differences([_metrics(path) for path in runs]),
        _differences([dict(_environment(receipt)) for receipt in receipts]),
        notes,
    )


def _find(word: str, output_dir: str) -> tuple[Path, str]:
    """The run that a word means, and a note on the choice: a path, `latest`, or the best run of a sweep."""
    path = Path(word).expanduser()
    if word == LATEST and not path.exists():
        path = Path(output_dir).expanduser() / LATEST
    if not RunDir(path).is_sweep():
        return find.find_run(str(path), output_dir), ""
    runs = find.sweep_runs(path)
    if not runs:
        raise CheckpointError(f"{path}: no job of this sweep has begun.")
    best, how = find.best_of_sweep(path)
    return best.resolve(), f"{word}: {how}"


def _settings(path: Path) -> dict[str, Any]:
    return dict(flat(RunDir(path).read_config()))


def _metrics(path: Path) -> dict[str, Any]:
    """What came of a run: the monitored value, the metrics of the best epoch, those of the test split, and the cost."""
    summary = find.read_leniently(path, SUMMARY)
    records = read_records(RunDir(path).metrics)
    best = summary.get("best_epoch")
    if best is None:  # not done yet: the best so far
        best = next((record.get("epoch") for record in reversed(records) if record.get("best")), None)
    record = next((record for record in records if record.get("epoch") == best), {})
    values = {key: value for key, value in record.items() if key.startswith("val/")}
    tests = {f"test/{name}": value for name, value in (summary.get("test") or {}).items()}
    epochs = {"monitor": summary.get("monitor"), "best epoch": best, "epochs": summary.get("epochs")}
    return {**values, **tests, **epochs, **{name: summary.get(name) for name in _RESULTS}}


def _environment(receipt: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _ENVIRONMENT:
        yield from flat(receipt.get(name), name)


def _differences(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Key → values, of the keys whose values are not the same in all runs; keys of one group stand together."""
    keys = list(dict.fromkeys(key for values in runs for key in values))
    groups = list(dict.fromkeys(map(_group, keys)))
    keys.sort(key=lambda key: groups.index(_group(key)))
    columns = {key: [values.get(key) for values in runs] for key in keys}
    return {key: values for key, values in columns.items() if any(value != values[0] for value in values[1:])}


def _group(key: str) -> str:
    return re.split(r"[./]", key, maxsplit=1)[0]


def _data_notes(receipts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether metrics are of different samples, by the fingerprints of the data."""
    prints = [receipt.get("data") or {} for receipt in receipts]
    parts = [part for part in _PARTS if len({data[part] for data in prints if part in data}) > 1]
    if not parts:
        return []
    splits = join_words(parts)
    return [f"The runs have different samples in: {splits}. Compare metrics of different samples with care."]
