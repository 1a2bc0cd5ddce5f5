"""``disrupt examples``: write the pictures of the test bank as files."""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.examples import EXAMPLES

_COPY_PX = (384, 288)
_COPY_QUALITY = 50

_HELP = """Write the generated pictures of the test bank into DIRECTORY, to try uploads with.

Of each the picture, as PNG, and a copy, smaller and as JPEG. Every server that has the bank
`test` has these pictures, and lookups that name it find both files. They show shapes, nobody.
Files of the same names are replaced. Needs no server.

\b
Examples:
  disrupt examples pictures
  disrupt match --key-file platform.key --bank test pictures/*
"""


@click.command(help=_HELP, no_args_is_help=True)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def examples(directory: Path) -> None:
    """Write the files, and name each."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for example in EXAMPLES:
            picture = example.picture()
            for name, data in (
                (f"{example.name}.png", png(picture)),
                (f"{example.name}-copy.jpg", edited(picture)),
            ):
                (directory / name).write_bytes(data)
                click.echo(directory / name)
    except OSError as error:
        raise click.ClickException(f"Cannot write to {directory}: {error.strerror}.") from error


def png(picture: NDArray[np.uint8]) -> bytes:
    """Encode a picture, uint8 (height, width, 3), as PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def edited(picture: NDArray[np.uint8]) -> bytes:
    """Encode a smaller copy of a picture as JPEG."""
    file = io.BytesIO()
    copy = Image.fromarray(picture).resize(_COPY_PX, Image.Resampling.BILINEAR)
    copy.save(file, "JPEG", quality=_COPY_QUALITY)
    return file.getvalue()
