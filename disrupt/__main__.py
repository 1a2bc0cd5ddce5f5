"""Run the command as ``python -m disrupt``."""

from disrupt.cli import main

main(prog_name="disrupt")
