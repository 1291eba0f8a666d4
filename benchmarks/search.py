"""Searches: the best validation loss and the epochs of random trials, of ptrun's TPE with ASHA, and of Optuna's own.

python benchmarks/search.py [--quick] [--csv FILE] [--rounds N] [--trials N] [--threads N] [--only DATASET...]
                            [--first-seed N] [--highest-rate LR]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from _table import Report, Unit, machine_line, parser, print_table, read

EPOCHS = 9
LOSS = Unit("val/loss", lambda value: value)
EPOCH = Unit("epochs", lambda value: value)
FIXED = ("model=simplenet", f"train.epochs={EPOCHS}", "train.monitor=val/loss", "plots=false", "device=cpu")
DATASETS = ("digits", "breast_cancer")
HIDDEN = ("[16]", "[32]", "[64]", "[128]")
BATCHES = ("16", "32", "64", "128")
LOWEST_RATE = 1e-5
AXES = (
    "optimizer.weight_decay=tag(log,interval(1e-6,0.1))",
    f"model.hidden_features={','.join(HIDDEN)}",
    f"train.batch_size={','.join(BATCHES)}",
)


@dataclass(frozen=True)
class Task:
    """What is searched: settings of every run, the highest learning rate, and how many configurations are tried."""

    words: list[str]
    highest_rate: float
    trials: int


@dataclass(frozen=True)
class Found:
    """What a search found: its lowest validation loss, the epochs of all its trials, and its seconds."""

    loss: float
    epochs: int
    seconds: float


def by_ptrun(folder: Path, task: Task, seed: int, *settings: str) -> Found:
    """Run `ptrun train -m` with these settings of a sweep, and read what its jobs found."""
    started = time.perf_counter()
    rates = f"optimizer.lr=tag(log,interval({LOWEST_RATE},{task.highest_rate:g}))"
    search = (*settings, f"sweep.trials={task.trials}", f"sweep.seed={seed}", f"sweep.dir={folder}", "sweep.test=none")
    command = [sys.executable, "-m", "ptrun", "train", "-m", *task.words, rates, *AXES, *search, "-q"]
    subprocess.run(command, check=False, capture_output=True)  # 1 when a trial diverged
    seconds = time.perf_counter() - started
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/summary.json")]
    losses = [summary["best_value"] for summary in summaries if summary["best_value"] is not None]
    return Found(min(losses), sum(summary["epochs"] for summary in summaries), seconds)


def by_optuna(folder: Path, task: Task, seed: int) -> Found:
    """Run Optuna's own loop with its TPE and its ASHA over the same trainings, in this process."""
    import optuna

    from ptrun.config.compose import Composer
    from ptrun.config.load import load_config
    from ptrun.engine.progress import Standing
    from ptrun.errors import DivergedError, Pruned
    from ptrun.runs import session

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    started, epochs, composer = time.perf_counter(), 0, Composer()

    def objective(trial: optuna.Trial) -> float:
        nonlocal epochs
        overrides = [
            *task.words,
            f"optimizer.lr={trial.suggest_float('lr', LOWEST_RATE, task.highest_rate, log=True)}",
            f"optimizer.weight_decay={trial.suggest_float('weight_decay', 1e-6, 0.1, log=True)}",
            f"model.hidden_features={trial.suggest_categorical('hidden', HIDDEN)}",
            f"train.batch_size={trial.suggest_categorical('batch_size', BATCHES)}",
        ]
        done = 0

        def why_prune(now: Standing) -> str:
            nonlocal done
            done = now.epoch
            trial.report(float(now.best_value or 0), now.epoch)
            return "pruned" if trial.should_prune() else ""

        config, as_written = load_config(composer, overrides)
        run_dir = folder / str(trial.number)
        try:
            result = session.run(
                session.TrainRequest(
                    config, as_written, overrides, ["ptrun"], (), run_dir, quiet=True, test=False, why_prune=why_prune
                )
            )
        except Pruned:
            epochs += done
            raise optuna.TrialPruned from None
        except DivergedError:
            epochs += done + 1
            raise optuna.TrialPruned from None
        epochs += EPOCHS
        return float(result.value or 0)

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    study.optimize(objective, n_trials=task.trials)
    return Found(study.best_value, epochs, time.perf_counter() - started)


def measure(dataset: str, task: Task, seeds: range, folder: Path) -> Mapping[str, list[Found]]:
    """Every search with each seed, in alternating order."""
    found: dict[str, list[Found]] = {}
    for seed in seeds:
        place = folder / f"{dataset}-{seed}"
        cases: dict[str, Callable[[], Found]] = {
            "random": partial(by_ptrun, place / "a", task, seed, "sweep=random"),
            "ptrun, tpe and asha": partial(by_ptrun, place / "b", task, seed, "sweep=tpe", "sweep.pruner=asha"),
            "Optuna, tpe and asha": partial(by_optuna, place / "c", task, seed),
        }
        for name in cases if seed % 2 == 0 else reversed(list(cases)):
            found.setdefault(name, []).append(cases[name]())
            print(f"  {dataset}, seed {seed}: {name}: {found[name][-1]}", file=sys.stderr)
    return {name: found[name] for name in ("random", "ptrun, tpe and asha", "Optuna, tpe and asha")}


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=5, threads=1)
    arguments.add_argument("--trials", type=int, default=40, help="configurations that each search tries")
    arguments.add_argument("--only", nargs="+", choices=DATASETS, default=DATASETS, help="data sets")
    arguments.add_argument("--first-seed", type=int, default=0, help="of the first round; the next ones follow")
    arguments.add_argument("--highest-rate", type=float, default=0.1, help="the end of the axis of learning rates")
    options = read(arguments)
    trials = 3 if options.quick else options.trials
    report = Report("Searches", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory() as temporary:
        for dataset in options.only[: 1 if options.quick else None]:
            words = [*FIXED, f"dataset={dataset}", f"device.threads={options.threads}"]
            seeds = range(options.first_seed, options.first_seed + options.rounds)
            found = measure(dataset, Task(words, options.highest_rate, trials), seeds, Path(temporary))
            lines = [("case", "val/loss", "range", "epochs", "seconds")]
            for name, results in found.items():
                losses, epochs = [one.loss for one in results], [one.epochs for one in results]
                seconds = statistics.median(one.seconds for one in results)
                median = statistics.median(losses), statistics.median(epochs)
                span = f"{min(losses):.4f} - {max(losses):.4f}"
                lines.append((name, f"{median[0]:.4f}", span, f"{median[1]:g}", f"{seconds:.0f}"))
                report.add(dataset, name, LOSS.label, median[0], low=min(losses), high=max(losses), rounds=len(losses))
                report.add(dataset, name, EPOCH.label, median[1])
            print(f"\n{dataset}: {trials} trials, median of {options.rounds}")
            print_table(lines)
            random, own = found["random"], found["ptrun, tpe and asha"]
            losses = [statistics.median(one.loss for one in results) for results in (own, random)]
            epochs = [statistics.median(one.epochs for one in results) for results in (own, random)]
            report.check(f"{dataset}: best val/loss minus that of random trials", losses[0] - losses[1], 0.0)
            report.check(f"{dataset}: epochs / those of random trials", epochs[0] / epochs[1], 0.5)
    report.write(options.csv)


if __name__ == "__main__":
    main()
