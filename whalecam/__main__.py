"""`python -m whalecam`."""

from whalecam.cli import main

main()
