"""`python -m ptrun` and the command `ptrun`. Handles Ctrl-C from before the other imports on."""

import sys

from ptrun.process.signals import leave_on_interrupt


def main() -> int:
    """Run the command line of this process and return the exit code."""
    leave_on_interrupt()
    from ptrun.cli import main as command_line

    return command_line.main()


if __name__ == "__main__":
    sys.exit(main())
