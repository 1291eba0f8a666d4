"""`python -m ptrun` and the command `ptrun`. Handles stop signals from before the other imports on."""

import sys

from ptrun.process.signals import ignore_signals, leave_on_signals


def main() -> int:
    """Run the command line of this process and return the exit code."""
    leave_on_signals()
    from ptrun.cli import main as command_line

    code = command_line.main()
    ignore_signals()
    return code


if __name__ == "__main__":
    sys.exit(main())
