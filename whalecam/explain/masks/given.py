"""Masks that people drew: files named like the images."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, Mask, Sample
from whalecam.data import MaskFile, Shape, read_mask
from whalecam.data.geometry import TURNED, rotate_array
from whalecam.errors import DatasetError
from whalecam.explain.masks.sources import MaskMethod, MaskSources
from whalecam.explain.masks.values import MaskRule, Values, values_of

ASPECT_TOLERANCE = 0.02
CONFIDENCE = 1.0
UNDECIDED = "nothing shows whether it is stored or upright; state it: --mask-orientation"
log = logging.getLogger(__name__)


def given_method(sources: MaskSources) -> MaskMethod:
    """The mask drawn for an image, read as the rule of its folder says; of another size but the same aspect, scaled.

    `joining.joined` finds the files and the rule. A mask that cannot be used is logged with the reason and counts as
    none; nothing raises.
    """

    def given(sample: Sample) -> Mask | None:
        values = None
        for path, rule, orientation in _places(sample.image, sources):
            values = _read(path, sample, rule, orientation) if values is None else values
        return None if values is None else Mask(values, CONFIDENCE, "given")

    return given


def _places(image: str, sources: MaskSources) -> Iterator[tuple[Path, MaskRule, str]]:
    """The files of an image's mask, the most trusted first, and how each is read."""
    if path := sources.corrected.get(image):
        yield path, MaskRule(), "auto"
    if path := sources.given.get(image):
        yield path, sources.rule, sources.options.mask_orientation


@dataclass(frozen=True)
class Look:
    """What a mask file is, without its pixels.

    Attributes:
        values: what it contains; None where it cannot be read.
        reason: why it cannot be used; empty where it can.
        orientation: `stored` or `upright` for a mask of an image that EXIF turns; empty for others and where undecided.
        is_undecided: whether it could be both.
        smaller: its size and that of its image, in words, where it has fewer pixels; else empty.
    """

    values: Values | None
    reason: str = ""
    orientation: str = ""
    is_undecided: bool = False
    smaller: str = ""


def look(path: Path, shape: Shape | None, stated: str) -> Look:
    """Read a mask file and find out what it contains, and how it lies in an image of this shape, if known.

    Args:
        stated: `mask_orientation` of MaskOptions.
    """
    try:
        file = read_mask(path)
    except DatasetError as error:
        return Look(None, str(error))
    if shape is None:
        return Look(values_of(file))
    orientation, reason = orientation_of(file, shape, stated)
    return Look(values_of(file), reason, orientation, reason == UNDECIDED, _smaller(file.values, shape, orientation))


def orientation_of(file: MaskFile, shape: Shape, stated: str = "auto") -> tuple[str, str]:
    """`stored` or `upright` for an image that EXIF turns, else an empty text; and why the mask does not fit.

    A mask whose own file has an EXIF orientation is upright, as all its pixels here are. Of others the size decides,
    where the two differ, and what is stated where they do not.
    """
    upright = (shape.height, shape.width)
    if shape.orientation == 1:
        return "", "" if _fits(file.values, upright) else _unfit(file.values, upright)
    stored = upright[::-1] if shape.orientation >= TURNED else upright
    choices = {"upright": upright} if file.orientation != 1 else {"upright": upright, "stored": stored}
    if stated != "auto":
        choices = {name: sides for name, sides in choices.items() if name == stated}
    fitting = [name for name, sides in choices.items() if file.values.shape == sides]
    fitting = fitting or [name for name, sides in choices.items() if _fits(file.values, sides)]
    if not fitting:
        return "", _unfit(file.values, choices.get(stated, upright))
    return (fitting[0], "") if len(fitting) == 1 else ("", UNDECIDED)


def _fits(values: ByteArray, sides: Sequence[int]) -> bool:
    """Whether a mask has the size (height, width), or its aspect."""
    (high, wide), (height, width) = values.shape, sides
    return values.shape == (height, width) or abs(wide * height / (high * width) - 1) <= ASPECT_TOLERANCE


def _smaller(values: ByteArray, shape: Shape, orientation: str) -> str:
    """As in `80 × 60 pixels for an image of 160 × 120`; empty for a mask of all pixels of its image."""
    if values.size >= shape.width * shape.height:
        return ""
    is_turned = orientation == "stored" and shape.orientation >= TURNED
    width, height = (shape.height, shape.width) if is_turned else (shape.width, shape.height)
    return f"{values.shape[1]} × {values.shape[0]} pixels for an image of {width} × {height}"


def _unfit(values: ByteArray, sides: tuple[int, int]) -> str:
    (high, wide), (height, width) = values.shape, sides
    return f"it is {wide} × {high} pixels, its image {width} × {height}; both must have one shape"


def _read(path: Path, sample: Sample, rule: MaskRule, stated: str) -> NDArray[np.float32] | None:
    """The mask at the size of its image, in [0, 1]; None, logged, where the file is none."""
    try:
        file = read_mask(path)
    except DatasetError as error:
        _log_unused(path, str(error))
        return None
    height, width = sample.shape
    shape = Shape(width, height, sample.orientation)
    orientation, reason = orientation_of(file, shape, stated)
    if not reason and (fault := rule.fault_of(file)):
        reason = f"it {fault}"
    if reason:
        _log_unused(path, reason)
        return None
    return _scaled(_turned(file, rule, orientation, sample.orientation), sample)


def _log_unused(path: Path, reason: str) -> None:
    log.warning("mask %s is not used: %s", path.name, reason)


def _turned(file: MaskFile, rule: MaskRule, orientation: str, exif: int) -> ByteArray:
    greys = rule.greys(file)
    return np.ascontiguousarray(rotate_array(greys, exif)) if orientation == "stored" else greys


def _scaled(values: ByteArray, sample: Sample) -> NDArray[np.float32]:
    height, width = sample.pixels.shape[:2]
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(values, np.float32) / np.float32(255)
