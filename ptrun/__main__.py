"""`python -m ptrun`: the same as the command `ptrun`."""

import sys

from ptrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
