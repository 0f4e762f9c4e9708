"""``python -m falx``."""

import sys

from falx.cli.main import main

sys.exit(main())
