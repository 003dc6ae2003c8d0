"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from whalecam.config import BOX_ORIENTATIONS, Columns

FOLDER = click.Path(path_type=Path)
RUN = click.argument("run", type=FOLDER)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")

BOX_ORIENTATION = click.option(
    "--box-orientation",
    type=click.Choice(BOX_ORIENTATIONS),
    help="Pixels that boxes of images turned by EXIF lie in; needed where there are such images.",
)


def column_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--image-column, --label-column, --group-column."""
    for name, default, what in (
        ("group", Columns.group, "individual"),
        ("label", Columns.label, "label"),
        ("image", Columns.image, "file name"),
    ):
        verb = click.option(f"--{name}-column", default=default, show_default=True, help=f"CSV column of the {what}.")(
            verb
        )
    return verb
