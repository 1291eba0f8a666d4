"""Searches: the best validation loss and the epochs of random trials, of ptrun's TPE with ASHA, and of Optuna's own.

python benchmarks/search.py [--quick] [--csv FILE] [--rounds N] [--trials N] [--threads N]
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
from pathlib import Path

from _table import Report, Unit, machine_line, parser, print_table, read

EPOCHS = 9
LOSS = Unit("val/loss", lambda value: value)
EPOCH = Unit("epochs", lambda value: value)
FIXED = ("model=simplenet", f"train.epochs={EPOCHS}", "train.monitor=val/loss", "plots=false", "device=cpu")
DATASETS = ("digits", "breast_cancer")
HIDDEN = ("[16]", "[32]", "[64]", "[128]")
BATCHES = ("16", "32", "64", "128")
AXES = (
    "optimizer.lr=tag(log,interval(1e-5,0.1))",
    "optimizer.weight_decay=tag(log,interval(1e-6,0.1))",
    f"model.hidden_features={','.join(HIDDEN)}",
    f"train.batch_size={','.join(BATCHES)}",
)


@dataclass(frozen=True)
class Found:
    """What a search found: its lowest validation loss, the epochs of all its trials, and its seconds."""

    loss: float
    epochs: int
    seconds: float


def by_ptrun(folder: Path, words: list[str], *settings: str) -> Found:
    """Run `ptrun train -m` with these settings of a sweep, and read what its jobs found."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "ptrun", "train", "-m", *words, *AXES, *settings, f"sweep.dir={folder}", "-q"]
    subprocess.run([*command, "sweep.test=none"], check=False, capture_output=True)  # 1 when a trial diverged
    seconds = time.perf_counter() - started
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/summary.json")]
    losses = [summary["best_value"] for summary in summaries if summary["best_value"] is not None]
    return Found(min(losses), sum(summary["epochs"] for summary in summaries), seconds)


def by_optuna(folder: Path, words: list[str], trials: int, seed: int) -> Found:
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
            *words,
            f"optimizer.lr={trial.suggest_float('lr', 1e-5, 0.1, log=True)}",
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
    study.optimize(objective, n_trials=trials)
    return Found(study.best_value, epochs, time.perf_counter() - started)


def measure(dataset: str, trials: int, rounds: int, threads: int, folder: Path) -> Mapping[str, list[Found]]:
    """Every search with seeds 0, 1, ..., in alternating order."""
    words = [*FIXED, f"dataset={dataset}", f"device.threads={threads}"]
    found: dict[str, list[Found]] = {}
    for seed in range(rounds):
        place, count, at = folder / f"{dataset}-{seed}", f"sweep.trials={trials}", f"sweep.seed={seed}"
        cases: dict[str, Callable[[], Found]] = {
            "random": lambda place=place, count=count, at=at: by_ptrun(place / "a", words, "sweep=random", count, at),
            "ptrun, tpe and asha": lambda place=place, count=count, at=at: by_ptrun(
                place / "b", words, "sweep=tpe", "sweep.pruner=asha", count, at
            ),
            "Optuna, tpe and asha": lambda place=place, seed=seed: by_optuna(place / "c", words, trials, seed),
        }
        for name in cases if seed % 2 == 0 else reversed(list(cases)):
            found.setdefault(name, []).append(cases[name]())
            print(f"  {dataset}, seed {seed}: {name}: {found[name][-1]}", file=sys.stderr)
    return {name: found[name] for name in ("random", "ptrun, tpe and asha", "Optuna, tpe and asha")}


def main() -> None:
    """Measure and print the results."""
    arguments = parser(__doc__.splitlines()[0], rounds=5, threads=1)
    arguments.add_argument("--trials", type=int, default=40, help="configurations that each search tries")
    options = read(arguments)
    trials = 3 if options.quick else options.trials
    report = Report("Searches", machine_line(options.threads), options.quick)
    with tempfile.TemporaryDirectory() as temporary:
        for dataset in DATASETS[: 1 if options.quick else None]:
            found = measure(dataset, trials, options.rounds, options.threads, Path(temporary))
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
