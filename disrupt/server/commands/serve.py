"""The operators' command ``disrupt serve``, which starts without what other commands import."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from disrupt.isolation.child import LIBRARIES
from disrupt.server.commands.settings import settings, settings_options
from disrupt.server.config import Config


@click.command()
@click.option("--check", is_flag=True, help="Only say whether it could begin; change nothing.")
@settings_options
def serve(*, check: bool, **options: Any) -> None:  # noqa: ANN401 one for each setting
    """Run the server until SIGTERM or Ctrl-C; calls in flight are finished.

    On SIGHUP it reads its settings again, and changes to the version that is
    installed, while it goes on to answer.

    \b
    Prints `Disrupt is ready on HOST:PORT` once it answers; logs go to
    standard error.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or
    configuration.

    \b
    Example: disrupt serve --data-dir data
    """
    config = Config.load(settings(**options))
    # Libraries read these variables when they are loaded, and the C library when it starts.
    command = ["--check"] if check else sys.orig_argv[1:]
    arguments = [sys.executable, "-P", "-m", "disrupt.server", config.model_dump_json(), *command]
    os.execve(sys.executable, arguments, os.environ | LIBRARIES)  # noqa: S606 this package
