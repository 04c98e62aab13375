"""`python -m pknd`."""

from __future__ import annotations

import sys

from pknd.main import main

if __name__ == "__main__":
    sys.exit(main())
