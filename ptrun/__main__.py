"""`python -m ptrun` and the command `ptrun`: Ctrl-C gets its answer before anything else is imported."""

import sys

from ptrun.signals import leave_on_interrupt


def main() -> int:
    """Run the command line of this process and return the exit code."""
    leave_on_interrupt()
    from ptrun import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
