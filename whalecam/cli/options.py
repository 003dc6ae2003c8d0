"""Options that several verbs share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from whalecam.config import (
    BOX_UNITS,
    CUES,
    EARLIER_RECIPES,
    MASK_OPTIONS,
    ORIENTATIONS,
    REGIONS,
    RESTRICT,
    RETRAIN_REMEDIES,
    Columns,
    MaskOptions,
    Thresholds,
    TrainOptions,
    clash_of,
    parts_of,
)
from whalecam.errors import DatasetError
from whalecam.text import percent, short
from whalecam.words import Words

FOLDER = click.Path(path_type=Path)
RUN = click.argument("run", type=FOLDER)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


GROUP = click.option(
    "--group",
    default="",
    help="What a split keeps together: folder, source, photographer, camera, day, place, or a column.  [default: the "
    "individual]",
)


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


class RemedyName(click.ParamType[str]):
    """A remedy out of RETRAIN_REMEDIES, or a training and a last layer joined by `+`."""

    name = f"{', '.join(RETRAIN_REMEDIES)}; or two, as in shuffle+head"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if clash := clash_of(str(value)):
            self.fail(clash, param, ctx)
        return str(value)


class CueName(click.ParamType[str]):
    """A name out of CUES, or a file that lists images."""

    name = f"{', '.join(CUES)} or a file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


def restriction_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--region and --weight, which are of RESTRICT alone; see `check_restricted`."""
    weight = (
        "Weight in the loss of evidence off the region, beside the cross-entropy.  [default: chosen on held-out images]"
    )
    for option in (
        click.option("--weight", type=click.FloatRange(0, min_open=True), help=weight),
        click.option(
            "--region",
            default=TrainOptions.region,
            show_default=True,
            type=click.Choice(REGIONS),
            help="Where restrict lets it look: the subject's mask, or boxes: fin, else fluke, else body.",
        ),
    ):
        verb = option(verb)
    return verb


def is_stated(name: str) -> bool:
    """Whether somebody gave an option of the present verb."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def check_restricted(remedy: str) -> None:
    """Raises DatasetError for options of a restriction that the remedy would not use."""
    for name in ("region", "weight"):
        if is_stated(name) and RESTRICT not in parts_of(remedy):
            raise DatasetError(f"--{name} is of the remedy {RESTRICT}. Leave it out, or add --remedy {RESTRICT}.")


def column_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--image-column, --label-column, --group-column."""
    for name, default, what in (
        ("group", Columns.group, "group"),
        ("label", Columns.label, "label"),
        ("image", Columns.image, "file name"),
    ):
        verb = click.option(f"--{name}-column", default=default, show_default=True, help=f"CSV column of the {what}.")(
            verb
        )
    return verb


def word_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--subject and --background: what pages, report and command line call these."""
    for name, default, example in (
        ("background", Words.background, "water or road"),
        ("subject", Words.subject, "animal or car"),
    ):
        help_ = f"What this is called, as in {example}.  [default: as the run has it, else {default}]"
        verb = click.option(f"--{name}", help=help_)(verb)
    return verb


def mask_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--masks, --boxes and how they are read, for `mask_options_of`."""
    default = MaskOptions()
    for option in (
        click.option(
            "--mask-class",
            default="",
            help="Values of the masks that are the subject, such as 1 or 1,2; any: all but 0.",
        ),
        click.option(
            "--mask-orientation",
            default=default.mask_orientation,
            show_default=True,
            type=click.Choice(ORIENTATIONS),
            help="Pixels that masks of images turned by EXIF lie in; auto: by their size.",
        ),
        click.option(
            "--box-confidence",
            default=default.box_confidence,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Leave out boxes that state a smaller confidence.",
        ),
        click.option(
            "--box-units",
            default=default.box_units,
            show_default=True,
            type=click.Choice(BOX_UNITS),
            help="Units of the boxes; auto: by the format or the values.",
        ),
        click.option(
            "--box-orientation",
            default=default.box_orientation,
            show_default=True,
            type=click.Choice(ORIENTATIONS),
            help="Pixels that boxes of images turned by EXIF lie in; auto: by the format or the sizes in the file.",
        ),
        click.option(
            "--boxes",
            multiple=True,
            type=FOLDER,
            help="Boxes of the subjects: CSV, MegaDetector, COCO, YOLO, VOC, CVAT, Label Studio …; may be repeated.",
        ),
        click.option("--masks", type=FOLDER, help="Folder of masks named like the images."),
    ):
        verb = option(verb)
    return verb


def mask_options_of(given: Mapping[str, object]) -> MaskOptions:
    """The values of `mask_options`, of which Click checked each."""
    fields: dict[str, Any] = {name: given[name] for name in MASK_OPTIONS}
    masks = str(fields["masks"]) if fields["masks"] else None
    return MaskOptions(**fields | {"masks": masks, "boxes": tuple(str(path) for path in fields["boxes"])})


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
        default = dict(Thresholds().noted())[name]
        verb = click.option(option, default=default, show_default=True, type=click.FloatRange(0, high), help=what)(verb)
    return verb


def summary(level: Thresholds) -> str:
    """The thresholds in words."""
    scores = f"attention {short(level.attention)}, reliance {short(level.reliance)}"
    return f"{scores}, at most {percent(level.false_rate)} false"
