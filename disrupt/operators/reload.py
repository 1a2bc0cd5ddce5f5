"""The operators' command ``disrupt reload``."""

from __future__ import annotations

from pathlib import Path

import click

from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError, UnavailableError
from disrupt.operators.options import data_dir_option
from disrupt.operators.printing import report


@click.command()
@data_dir_option
def reload(data_dir: Path) -> None:
    """Replace the running server by the installed version, dropping no call.

    Settings of its file and certificates are read anew. The installed
    version is tried first: where it would not start, nothing changes.
    Waits until the former processes have answered their last calls: about
    `connection_max_age_s`, and as long as a video that is under way.

    \b
    Exit codes: 0 done, 1 not done, or not whole: the message says which.

    \b
    Example: disrupt reload --data-dir data
    """
    try:
        answer = DataDirectory(data_dir).ask_supervisor("reload")
    except ValueError:
        raise DisruptError("The server ended before it answered. Its log says why.") from None
    except OSError as error:
        raise UnavailableError(f"No server runs in {data_dir}: {error}.") from None
    if "error" in answer:
        raise DisruptError(answer["error"])
    report(f"Version {answer['version']} has taken over.")
