"""`python -m sunup.local.cli`."""

from . import main

main()
