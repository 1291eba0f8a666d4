"""`ptrun export`: writes a trained model for other programs."""

from __future__ import annotations

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, named_checkpoint, split_words
from ptrun.process.signals import interrupt_raised
from ptrun.process.startup import loading_torch

HELP = """\
ptrun export PATH format=onnx|torch_export|safetensors [KEY=VALUE ...] [flags]

  PATH or checkpoint=PATH       a checkpoint file, or a run folder (its best checkpoint)
  format=onnx                   for onnxruntime and other programs; needs pip install "ptrun[onnx]"
  format=torch_export           a program of torch operations (.pt2), which torch runs without ptrun
  format=safetensors            the weights alone, without the computation
  output=FILE                   the file to write; by default MODEL-DATASET.onnx, .pt2 or .safetensors here
  with_preprocessing=true       the file also resizes and crops images; by default it scales pixels or numbers itself
  with_preprocessing=false      the file takes prepared inputs
  precision=fp16|bf16|int8      how weights are stored (fp16, bf16); int8: onnx with linear layers in int8
  license=TEXT                  written into the file's metadata, with class names, input, outputs and versions
  plugins=[FILE.py]             the file of your own components, which a checkpoint never names
  dataset.path=moved.csv        any setting of dataset, transform, metrics or train, in place of the stored one

The number of samples in a batch stays free. The file is run on samples of the test split in batches of 1, 2 and 7, by
onnxruntime, by torch in a fresh process, or in a new module. It is kept only if it computes what the checkpoint
computes; else the exit code is 1. Outputs are logits and probabilities, or standardized numbers and predictions in
the units of the data.

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def main(argv: list[str]) -> int:
    """Export a checkpoint. Returns the exit code."""
    parser = Parser("export", "format=onnx")
    parser.add_argument("overrides", nargs="*")
    add_quiet_flag(parser)
    add_config_dir_flag(parser)
    options = parser.parse(argv)
    if options.help or not options.overrides:
        print(HELP, end="")
        return 0
    from ptrun.config import load
    from ptrun.config.folders import conf_folders
    from ptrun.config.verb_settings import split_settings
    from ptrun.export.formats import require_possible

    folders = conf_folders(options.config_dir)
    paths, values = split_words(options.overrides)
    values |= named_checkpoint("export", paths, values)
    settings, changes = split_settings("export", values)
    require_possible(settings["format"], settings["precision"], settings["with_preprocessing"], settings["output"])

    load.import_components(settings["plugins"])
    with loading_torch():
        from ptrun.runs.sharing import export
        from ptrun.runs.sharing.export_parts import ExportRequest

    with interrupt_raised():
        export.run(ExportRequest(**settings, changes=changes, folders=folders, quiet=options.quiet))
    return 0
