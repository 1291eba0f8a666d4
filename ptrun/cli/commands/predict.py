"""`ptrun predict`: applies a trained model to new inputs."""

from __future__ import annotations

from pathlib import Path

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, split_words
from ptrun.errors import ConfigError, DataError
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import loading_torch

HELP = """\
ptrun predict CHECKPOINT INPUT [KEY=VALUE ...] [flags]

  CHECKPOINT or checkpoint=PATH a checkpoint file, or a run folder (its best checkpoint)
  INPUT or input=PATH           images: a file, a folder, a pattern or a list of paths; other data: a file as in
                                training, without the target; - reads from standard input
  output=FILE                   .csv, .jsonl, .parquet or .npy (INPUT-predictions.csv); - writes to standard output
  what=class|probabilities|values|logits|embedding        what is written for each input
  top_k=3                       the three most probable classes
  keep=[id,name] or keep=all    columns of the input to write beside the predictions
  rolling=true                  for a series: a forecast from every row, not only one after the last
  interval=0.9                  for a series: columns low and high, between which nine of ten values should lie
  resize=true                   scale images to the size that the model was trained on
  on_bad_sample=stop            end at the first input that can't be read (otherwise it is reported in its row)
  checkpoint=[A,B] or ensemble=true (all runs of a sweep)   the average of several models, and where they disagree
  overwrite=true                replace an output file that exists
  device=cuda, train.eval_views=flip, ...       any setting of dataset, transform, device or train of the checkpoint

The same command after an interruption goes on where it was. Exit code 3 when an input could not be read.

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Predict. Returns the exit code."""
    parser = Parser("predict", "input=photos")
    parser.add_argument("words", nargs="*")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.words:
        print(HELP, end="")
        return 0
    from ptrun.config import load
    from ptrun.config.folders import conf_folders
    from ptrun.config.verb_settings import split_settings

    paths, values = split_words(options.words)
    values |= _named_by_place(paths, values)
    settings, changes = split_settings("predict", values)
    _check_paths(settings)
    load.import_components(settings["plugins"])
    with loading_torch():
        from ptrun.runs.prediction import predict
        from ptrun.runs.trained_model import Changes

    plugins = settings.pop("plugins")
    with interrupt_raised():
        request = predict.PredictRequest(
            **settings, changes=Changes(changes, plugins, conf_folders(options.config_dir)), quiet=options.quiet
        )
        predicted = predict.run(request)
    return DataError.exit_code if predicted.tally.bad else 0


def _named_by_place(paths: list[str], values: dict[str, object]) -> dict[str, object]:
    """Words alone: the checkpoint, then inputs. Raises ConfigError when one is missing."""
    named: dict[str, object] = {}
    if paths and "checkpoint" not in values:
        named["checkpoint"] = paths.pop(0)
    if paths and "input" not in values:
        named["input"] = paths if len(paths) > 1 else paths[0]
        paths = []
    if paths:
        raise ConfigError(f"ptrun predict: '{paths[0]}' is one argument too many: input= is given too.")
    missing = [key for key in ("checkpoint", "input") if key not in values and key not in named]
    if missing:
        raise ConfigError(
            f"ptrun predict: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, as in "
            "`ptrun predict checkpoint=outputs/latest input=photos`."
        )
    return named


def _check_paths(settings: dict[str, object]) -> None:
    """Raise before torch is imported for a checkpoint that does not exist."""
    from ptrun.checkpoint.names import not_found_error

    checkpoint = settings["checkpoint"]
    for path in checkpoint if isinstance(checkpoint, list) else [checkpoint]:
        if not Path(str(path)).expanduser().exists():
            raise not_found_error(Path(str(path)))
