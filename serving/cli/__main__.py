"""`python -m serving.cli`: the command `radloop`."""

from serving.cli.main import run

run()
