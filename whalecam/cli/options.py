"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from whalecam.config import BOX_ORIENTATIONS, EARLIER_RECIPES, Columns, Thresholds
from whalecam.text import percent

FOLDER = click.Path(path_type=Path)
RUN = click.argument("run", type=FOLDER)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


class Recipe(click.Choice[str]):
    """A recipe of training, by its earlier name too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(super().convert(EARLIER_RECIPES.get(value, value), param, ctx))


class Channels(click.ParamType[tuple[float, float, float]]):
    """Three numbers, one for each of red, green and blue, separated by commas."""

    name = "R,G,B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        try:
            red, green, blue = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not three numbers separated by commas, such as 0.485,0.456,0.406.", param, ctx)
        return red, green, blue


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


def threshold_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--attention-threshold, --reliance-threshold and --false-rate, for `Thresholds.of`."""
    for name, (high, what) in {
        "false_rate": (1.0, "Of the images listed as relying on the background, the share that may be false."),
        "reliance_threshold": (
            1.0,
            "From this drop in probability on an image relies; only where no rate is controlled.",
        ),
        "attention_threshold": (10.0, "From this attention score on the network looks at the background."),
    }.items():
        option = f"--{name.replace('_', '-')}"
        default = Thresholds().noted()[name]
        verb = click.option(option, default=default, show_default=True, type=click.FloatRange(0, high), help=what)(verb)
    return verb


def summary(level: Thresholds) -> str:
    """The thresholds in words."""
    return f"attention {level.attention:g}, reliance {level.reliance:g}, at most {percent(level.false_rate)} false"
