"""`python -m sunup.cli`."""

from . import main

main()
