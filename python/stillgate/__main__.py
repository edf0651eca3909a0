"""`python -m stillgate`."""

import sys

from stillgate.cli.main import main

sys.exit(main())
