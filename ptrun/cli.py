"""argv → command. Light imports only: help, lists and errors must not wait for torch.

Invariant: a PtrunError ends the process with its exit code and its sentences, never with a traceback
unless `--debug` asks for one.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ptrun import __version__, console
from ptrun.errors import ConfigError, Interrupted, PtrunError, ResourceError, is_out_of_memory, nearest
from ptrun.signals import READER_GONE, STOPPED_BY_KEYBOARD, interrupt_raised
from ptrun.startup import resting_collector
from ptrun.usage import EVAL_HELP, HELP, REPRODUCE_HELP, RESUME_HELP, TRAIN_HELP, VERIFY_HELP

if TYPE_CHECKING:
    from ptrun.settings import RunConfig

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    try:
        return _dispatch(argv)
    except PtrunError as error:
        if debug:
            raise
        console.error(error.problems if isinstance(error, ConfigError) else str(error))
        return error.exit_code
    except KeyboardInterrupt as error:
        console.error("Stopped by the keyboard.")
        return Interrupted.exit_code if isinstance(error.__cause__, Interrupted) else STOPPED_BY_KEYBOARD
    except BrokenPipeError:  # `ptrun list | head`; not 0, because what was not printed may have been bad news
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (MemoryError, RuntimeError) as error:
        if debug or not is_out_of_memory(error):
            raise
        console.error(
            "Out of memory. Try a smaller train.batch_size (with train.grad_accumulation the optimizer still sees the large batch), or a smaller model."
        )
        return ResourceError.exit_code
    except OSError as error:
        if debug or error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or "A file of the run"
        console.error(
            f"{where}: can't be written or read ({error.strerror}). Free some space, check the permissions, or choose another output_dir."
        )
        return ResourceError.exit_code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP.format(version=__version__), end="")
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"ptrun {__version__}")
        return 0
    if argv[0] in ("-sc", "--shell-completion"):
        return _complete(argv[1:])
    command = COMMANDS.get(argv[0])
    if command is None:
        raise ConfigError(
            f"There is no command '{argv[0]}'.{nearest(argv[0], COMMANDS)} Commands: {', '.join(COMMANDS)}. `ptrun --help` shows examples."
        )
    return command(argv[1:])


def _train(argv: list[str]) -> int:
    options = _parse(argv)
    if options.help:
        return _train_help()
    if options.shell_completion:
        return _complete([options.shell_completion])
    from ptrun import composition, request
    from ptrun.composition import Composer

    composer = Composer(options.config_name, request.conf_folders(options.config_dir))
    if options.cfg:
        composer.show(options.cfg, options.overrides, options.package, options.resolve)
        return 0
    if options.info:
        composer.info(options.info, options.overrides)
        return 0
    command = ["ptrun", "train", *argv]
    for file in composition.shadowed(composer.folders):
        if not options.quiet:
            print(f"note: {file} replaces the shipped file of that name.")
    if options.multirun:
        from ptrun.commands import sweep

        with interrupt_raised():
            return sweep.run(composer, options.overrides, command, options.quiet)
    word = next((text for text in options.overrides if text.startswith("resume=")), None)
    if word is not None and word != "resume=auto":
        return _resume([word.partition("=")[2], *(each for each in argv if each != word)])
    asked = request.read(composer, [text for text in options.overrides if text != word])
    if word is not None and _continued(asked.config, composer.folders, options, command):
        return 0

    with resting_collector():
        from ptrun.commands import train

    train.run(
        train.Request(asked.config, asked.asked, options.overrides, command, composer.folders, quiet=options.quiet)
    )
    return 0


def _continued(config: RunConfig, folders: tuple[Path, ...], options: argparse.Namespace, command: list[str]) -> bool:
    """Whether resume=auto found a run to continue, and did."""
    from ptrun.commands import resume

    request = resume.Request(None, {}, options.allow_change, command, folders, config.plugins, quiet=options.quiet)
    if resume.automatic(config, request) is not None:
        return True
    if not options.quiet:
        print(f"resume=auto: no unfinished run of this configuration below {config.output_dir}; a new one starts.")
    return False


def _resume(argv: list[str]) -> int:
    options = _parse(argv)
    if options.help:
        print(RESUME_HELP, end="")
        return 0
    from ptrun import request

    folders = request.conf_folders(options.config_dir)
    runs, changes, output_dir, files = _run_and_changes("resume", options.overrides)
    _load_plugins(files)
    with resting_collector():
        from ptrun.commands import resume

    command = ["ptrun", "resume", *argv]
    run = runs[0] if runs else None
    resume.run(resume.Request(run, changes, options.allow_change, command, folders, files, output_dir, options.quiet))
    return 0


def _verify(argv: list[str]) -> int:
    options = _parse(argv)
    paths = [word for word in options.overrides if "=" not in word or Path(word).exists()]
    if options.help or not paths:
        print(VERIFY_HELP, end="")
        return 0
    from ptrun import composition, request

    values = composition.parse_values([word for word in options.overrides if word not in paths])
    files = [str(file) for file in values.pop("plugins", [])]
    if values:
        raise ConfigError(f"verify: {next(iter(values))} can't be set here; only plugins=[FILE.py].")
    _load_plugins(files)
    from ptrun.commands import verify

    return verify.run(paths, files, request.conf_folders(options.config_dir))


def _reproduce(argv: list[str]) -> int:
    options = _parse(argv)
    if options.help or not options.overrides:
        print(REPRODUCE_HELP, end="")
        return 0
    from ptrun import request

    runs, changes, output_dir, files = _run_and_changes("reproduce", options.overrides)
    folders = request.conf_folders(options.config_dir)
    _load_plugins(files)
    with resting_collector():
        from ptrun.commands import reproduce

    command = ["ptrun", "reproduce", *argv]
    return reproduce.run(
        reproduce.Request(runs[0] if runs else "", changes, command, folders, files, output_dir, options.quiet)
    )


def _run_and_changes(verb: str, words: Sequence[str]) -> tuple[list[str], dict[str, Any], str, list[str]]:
    """At most one run, the changed settings, output_dir, and the plugins' files. Raises ConfigError."""
    from ptrun import composition

    runs = [word for word in words if "=" not in word]
    if len(runs) > 1:
        raise ConfigError(f"{verb}: expected one run, got {len(runs)}: {' '.join(runs)}.")
    changes = composition.parse_values([word for word in words if "=" in word])
    output_dir = str(changes.pop("output_dir", "outputs"))
    return runs, changes, output_dir, [str(file) for file in changes.pop("plugins", [])]


def _load_plugins(files: Sequence[str]) -> None:
    """Import the components, and with them torch, and then the user's own files."""
    with resting_collector():
        from ptrun import catalog, plugins

    assert catalog.MODULES  # the shipped names first, so that a plugin that takes one is told
    plugins.load(files)


def _show(argv: list[str]) -> int:
    options = _parse(argv)
    if options.help:
        return _train_help()
    from ptrun import request
    from ptrun.commands import show
    from ptrun.composition import Composer

    composer = Composer(options.config_name, request.conf_folders(options.config_dir))
    return show.run(request.read(composer, options.overrides).config)


def _eval(argv: list[str]) -> int:
    options = _parse(argv)
    if options.help or not options.overrides:
        print(EVAL_HELP, end="")
        return 0
    from ptrun import composition, request, schema
    from ptrun.config import check_section

    folders = request.conf_folders(options.config_dir)
    values = composition.parse_values(options.overrides)
    own = schema.read(schema.shipped_conf() / "eval.yaml").keys
    settings = check_section({key: value for key, value in values.items() if key in own}, own)
    changes = {key: value for key, value in values.items() if key not in own}

    _load_plugins(settings["plugins"])
    with resting_collector():
        from ptrun.commands import evaluate

    command = ["ptrun", "eval", *argv]
    with interrupt_raised():
        evaluate.run(
            evaluate.Request(**settings, changes=changes, command=command, folders=folders, quiet=options.quiet)
        )
    return 0


def _list(argv: list[str]) -> int:
    from ptrun import schema
    from ptrun.commands import catalogue

    options = _parse(argv)
    if options.help:
        print(f"ptrun list [{' | '.join(catalogue.KINDS)}] [NAME]")
        return 0
    own = schema.user_conf()
    return catalogue.run(options.overrides, (own,) if own else ())


def _doctor(argv: list[str]) -> int:
    from ptrun.commands import doctor

    return doctor.run(argv)


def _complete(argv: list[str]) -> int:
    """Hydra's completion, behind the sub-command: `ptrun train mod<Tab>` is completed as `ptrun mod<Tab>`."""
    request = argv[0] if argv else "install=bash"
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if request.startswith("query=") and (len(words) < 2 or (len(words) == 2 and not line.endswith(" "))):
        started = words[1] if len(words) == 2 else ""
        print(("\n" if request == "query=fish" else " ").join(name for name in COMMANDS if name.startswith(started)))
        return 0
    if len(words) >= 2:
        os.environ["COMP_LINE"] = line.replace(f" {words[1]}", "", 1) if line.endswith(" ") or len(words) > 2 else line
    from ptrun.composition import Composer
    from ptrun.request import conf_folders

    root = "eval" if len(words) > 1 and words[1] == "eval" else "train"
    Composer(root, conf_folders(None)).completion(request)
    return 0


def _train_help() -> int:
    from ptrun import schema
    from ptrun.settings import GROUPS

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


class _Parser(argparse.ArgumentParser):
    """argparse whose mistakes are ConfigErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise ConfigError(
            f"{message[0].upper()}{message[1:]}. Settings have no dashes: KEY=VALUE, as in train.epochs=5. `ptrun train --help` lists the flags."
        )


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name", default="train")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument(
        "-i",
        "--info",
        nargs="?",
        const="all",
        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    )
    parser.add_argument("-sc", "--shell-completion")
    parser.add_argument("--allow-change", action="append", default=[])
    return parser.parse_intermixed_args(list(argv))


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "eval": _eval,
    "resume": _resume,
    "verify": _verify,
    "reproduce": _reproduce,
    "list": _list,
    "show": _show,
    "doctor": _doctor,
}

if __name__ == "__main__":
    sys.exit(main())
