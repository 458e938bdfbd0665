"""``python -m subemb`` is the ``subemb`` command."""

import sys

from .cli import main

if __name__ == "__main__":  # worker processes import this module again, and must not start the command again
    sys.exit(main())
