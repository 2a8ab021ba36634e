"""`python3 weights.pyz < job.json`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
