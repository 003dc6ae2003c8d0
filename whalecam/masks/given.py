"""Masks that people drew: PNG files named like the pictures, white on the animal."""

import logging
import os
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, Mask, Sample
from whalecam.dataset import read_grey
from whalecam.errors import DatasetError
from whalecam.masks.sources import MaskMethod, MaskSources

ASPECT_TOLERANCE = 0.02
CONFIDENCE = 1.0
log = logging.getLogger(__name__)


def given_method(sources: MaskSources) -> MaskMethod:
    """The mask drawn for a picture: white (255) on the animal, black on water, greys between.

    Its file is `<stem>.png` or `<image>.png`, in the folder or below it. Of another size but the same aspect it is
    scaled. One that cannot be used is logged with the reason and counts as none; nothing raises.
    """

    def given(sample: Sample) -> Mask | None:
        path = _path_of(sources, sample.image)
        values = _read(path, sample) if path else None
        return None if values is None else Mask(values, CONFIDENCE, "given")

    return given


def _read(path: Path, sample: Sample) -> NDArray[np.float32] | None:
    """The mask at the size of its picture, in [0, 1]; None, logged, where the file is none."""
    try:
        values = read_grey(path)
    except DatasetError as error:
        log.warning("mask %s is not used: %s", path.name, error)
        return None
    reason = _unfit(values, sample.shape)
    if reason:
        log.warning("mask %s is not used: %s", path.name, reason)
        return None
    height, width = sample.pixels.shape[:2]
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(values, np.float32) / np.float32(255)


def _unfit(values: ByteArray, shape: tuple[int, int]) -> str:
    """Why this cannot be the mask of a picture of this full size; empty where it can."""
    (high, wide), (height, width) = values.shape, shape
    if values.shape != (height, width) and abs(wide * height / (high * width) - 1) > ASPECT_TOLERANCE:
        return f"it is {wide} × {high} pixels, its picture {width} × {height}; both must have one shape"
    if values.max() == 1:
        return "its values are only 0 and 1 of 255; save the animal as 255"
    return ""


def _path_of(sources: MaskSources, image: str) -> Path | None:
    """The mask's file, never outside the folder, whatever the image is called."""
    home = sources.home
    usual = f"{os.path.splitext(image)[0]}.png"  # noqa: PTH122  for each of a million pictures, as is the next look
    if home is not None and usual in sources.at_home:
        return home / usual
    name = PurePosixPath(image.replace("\\", "/"))
    if home is None or not name.name or name.is_absolute() or ".." in name.parts:
        return None
    named = (name.with_suffix(".png"), f"{name}.png", f"{name.stem}.png")
    direct = next((path for path in (home / part for part in named) if _is_inside(path, home)), None)
    # A picture that names its own folder must not get the mask of a namesake in another one.
    if direct is not None or len(name.parts) > 1:
        return direct
    below = [path for path in sources.pngs_of(name.stem) + sources.pngs_of(name.name) if _is_inside(path, home)]
    if len(below) > 1:
        log.warning("mask of %s is not used: %d files in subfolders have its name", image, len(below))
    return below[0] if len(below) == 1 else None


def _is_inside(path: Path, home: Path) -> bool:
    try:
        if path.parent == home and not path.is_symlink():
            return path.is_file()
        return path.is_file() and path.resolve().is_relative_to(home)
    except (OSError, ValueError):
        return False
