"""Masks that people drew: PNG files named like the images, white on the animal."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, Mask, Sample
from whalecam.data import read_mask
from whalecam.errors import DatasetError
from whalecam.explain.masks.sources import MaskMethod, MaskSources
from whalecam.explain.masks.values import WANTED, fault_of

ASPECT_TOLERANCE = 0.02
CONFIDENCE = 1.0
log = logging.getLogger(__name__)


def given_method(sources: MaskSources) -> MaskMethod:
    """The mask drawn for an image: white (255) on the animal, black on water, greys between.

    Its file is `<stem>.png` or `<image>.png`, in the folder or below it. Of another size but the same aspect it is
    scaled. One that cannot be used is logged with the reason and counts as none; nothing raises. Before an audit
    `joining.joined` looks at the folder and refuses what is no folder of masks by grey value.
    """

    def given(sample: Sample) -> Mask | None:
        path = None if sample.image in sources.withheld else path_of(sources, sample.image)
        values = _read(path, sample) if path else None
        return None if values is None else Mask(values, CONFIDENCE, "given")

    return given


@dataclass(frozen=True)
class Look:
    """What a mask file is.

    Attributes:
        values: its greys, uint8 (H, W); None where it cannot be used.
        reason: why it cannot; empty where it can.
        code: what it contains instead of grey values, the reason in that case; else empty.
        low, high: its smallest and largest grey, where they count.
    """

    values: ByteArray | None
    reason: str = ""
    code: str = ""
    low: int = 255
    high: int = 0

    def without_values(self) -> "Look":
        """The same without the pixels, for keeping many."""
        return replace(self, values=None)


def _read(path: Path, sample: Sample) -> NDArray[np.float32] | None:
    """The mask at the size of its image, in [0, 1]; None, logged, where the file is none."""
    seen = look(path, sample.shape)
    if seen.values is None:
        log.warning("mask %s is not used: %s", path.name, seen.reason)
        return None
    values, (height, width) = seen.values, sample.pixels.shape[:2]
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(values, np.float32) / np.float32(255)


def look(path: Path, shape: tuple[int, int] | None) -> Look:
    """Read a mask file and say whether it can be the mask of an image of this full (height, width), if known."""
    try:
        file = read_mask(path)
    except DatasetError as error:
        return Look(None, str(error))
    code = fault_of(file)
    if code:
        return Look(None, f"it {code}; {WANTED}", code)
    ends = int(file.values.min()), int(file.values.max())
    reason = _unfit(file.values, shape) if shape else ""
    return Look(None if reason else file.values, reason, "", *ends)


def _unfit(values: ByteArray, shape: tuple[int, int]) -> str:
    """Why this cannot be the mask of an image of this full size; empty where it can."""
    (high, wide), (height, width) = values.shape, shape
    if values.shape == (height, width) or abs(wide * height / (high * width) - 1) <= ASPECT_TOLERANCE:
        return ""
    text = f"it is {wide} × {high} pixels, its image {width} × {height}; both must have one shape"
    return f"{text}, upright as displayed" if (wide, high) == (height, width) else text


def path_of(sources: MaskSources, image: str) -> Path | None:
    """The mask's file, never outside the folder, whatever the image is called."""
    home = sources.home
    usual = f"{os.path.splitext(image)[0]}.png"  # noqa: PTH122  for each of a million images, as is the next look
    if home is not None and usual in sources.at_home:
        return home / usual
    name = PurePosixPath(image.replace("\\", "/"))
    if home is None or not name.name or name.is_absolute() or ".." in name.parts:
        return None
    named = (name.with_suffix(".png"), f"{name}.png", f"{name.stem}.png")
    direct = next((path for path in (home / part for part in named) if _is_inside(path, home)), None)
    # An image that names its own folder must not get the mask of a namesake in another one.
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
