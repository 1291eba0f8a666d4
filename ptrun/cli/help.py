"""What `--help` of each command prints.

Invariant: text only, so that help needs nothing but this file.
"""

from ptrun.terminal import console

HELP = """\
ptrun {version}: train any PyTorch model on any data from YAML.

  ptrun train                                          a small network on handwritten digits, in seconds
  ptrun train model=simplenet train.epochs=5           choose a component, change a setting
  ptrun train experiment=digits_convnet                a recommended recipe (ptrun list experiments)
  ptrun train dataset=image_folder dataset.root=DIR model=transfer      your own images
  ptrun train dataset=table dataset.path=FILE.csv dataset.target=COLUMN your own table
  ptrun train -m model=convnet,simplenet optimizer.lr=0.1,0.01          a sweep: four runs, one table
  ptrun eval checkpoint=outputs/latest                 metrics, predictions and plots of a run
  ptrun resume                                         continue the newest run that was stopped
  ptrun verify outputs/latest                          is a run, or a checkpoint, undamaged?
  ptrun reproduce outputs/latest                       run it again and compare every number and weight
  ptrun list                                           everything there is to choose from
  ptrun list models convnet                            its keywords, defaults and meanings
  ptrun show model=convnet                             the composed, checked configuration, without running it
  ptrun doctor                                         what this machine has, and whether it works

Every command takes --help. Tab completion: eval "$(ptrun -sc install=bash)" (or zsh, fish).
Exit codes: 0 done, 2 configuration, 3 data, 4 checkpoint, 5 diverged, 6 memory or disk, 75 interrupted.
"""

TRAIN_HELP = """\
ptrun train [KEY=VALUE ...] [flags]

  model=convnet                 choose a component: {groups}
  model.dropout=0.2             change one of its settings (ptrun list models convnet)
  train.epochs=5 seed=1         change the training (below)
  experiment=NAME               a recipe: {experiments}
  resume=auto                   continue the unfinished run of this configuration, if there is one (ptrun resume --help)

Flags
  -m, --multirun                one run per combination of comma-separated values
  -q, --quiet                   print nothing but warnings and errors
  --debug                       show the traceback of an error
  --config-dir DIR              your own YAML files, which win over the shipped ones (./conf is found by itself)
  --config-name NAME            another root file than train.yaml
  --cfg job|hydra|all           print the composed configuration (with --package PKG, --resolve)
  --info KIND                   Hydra's own report: all, config, defaults, defaults-tree, plugins, searchpath
  -sc, --shell-completion       install=bash|zsh|fish

Settings
"""

EVAL_HELP = """\
ptrun eval checkpoint=PATH [split=test] [KEY=VALUE ...] [flags]

  checkpoint=PATH               a checkpoint file, or a run folder (its best checkpoint)
  split=train|val|test          which part of the data
  output_dir=DIR                where the folder of this evaluation is made
  dataset.path=new.csv          any setting of dataset, transform, device, metrics or train: changes the stored configuration
  dataset=image_folder dataset.root=DIR        other data of the same kind

Flags: -q, --quiet; --debug; --config-dir DIR
"""

RESUME_HELP = """\
ptrun resume [RUN] [KEY=VALUE ...] [flags]

  ptrun resume                                 continue the newest unfinished run below outputs
  ptrun resume outputs/latest                  a certain run (its folder, or a checkpoint in it)
  ptrun resume outputs/latest train.epochs=40  extend a run, finished or not
  ptrun train ... resume=auto                  continue the unfinished run of this very configuration, or start one

The run goes on in its own folder, from its newest good checkpoint, and ends with the same bits as one that was never
stopped (same machine, same number of threads). Settings that would change the numbers are refused by name.

Flags: --allow-change KEY (insist on such a change); -q, --quiet; --debug; --config-dir DIR
"""

VERIFY_HELP = """\
ptrun verify PATH [PATH ...] [plugins=[FILE.py]] [flags]

  ptrun verify outputs/latest                  a run folder: every checkpoint, the metrics, the receipt, the status
  ptrun verify model.pt                        one checkpoint file

A checkpoint is whole when every record's checksum agrees, it loads as data only, its numbers are finite, and its
weights have the names and shapes of the model that it declares. Prints one line a thing; exit code 4 when one is damaged.
For a model of your own, plugins=[FILE.py] names its file: a checkpoint never does.

Flags: --debug; --config-dir DIR
"""

REPRODUCE_HELP = """\
ptrun reproduce RUN [KEY=VALUE ...] [flags]

  ptrun reproduce outputs/latest               the finished run again, in a new folder, from its stored configuration
  ptrun reproduce RUN device.threads=2         where and on what it runs may be chosen: device, dataset, label, logger, plots
  ptrun reproduce RUN plugins=[FILE.py]        your own components, which a run folder never names

Compares every value of metrics.jsonl except times, the results on the test split, and the final weights bit for bit; says where
they first differ, and what is different in the surroundings. Exit code 0 when all is equal, 1 when something differs.

Flags: -q, --quiet; --debug; --config-dir DIR
"""


def print_train_help() -> int:
    """Print the help of `ptrun train` with its keys. Returns 0."""
    from ptrun.config import schema
    from ptrun.config.run_config import GROUPS

    print(
        TRAIN_HELP.format(groups=", ".join(GROUPS), experiments=", ".join(schema.names("experiment")) or "none"), end=""
    )
    keys = schema.read(schema.shipped_conf() / "train.yaml").keys.values()
    console.table(
        ["  key", "default", "type", "meaning"],
        [
            (f"  {k.name}", "null" if k.default is None else str(k.default).lower(), k.type.text, k.meaning)
            for k in keys
        ],
    )
    return 0
