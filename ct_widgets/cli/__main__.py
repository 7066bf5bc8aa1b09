"""`python -m ct_widgets.cli`, for launchers such as torchrun that start modules."""

import sys

from ct_widgets.cli import main

sys.exit(main())
