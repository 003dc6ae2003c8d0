"""Which pixels did the model see? One function from image to network input, and its inverse as a frame."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, FloatArray
from whalecam.config import INTERPOLATIONS, RESIZES

FINER, CLOSE = 3, 720
"""At the least: pixels of a side for each of the network's, and pixels of a side in any case."""


@dataclass(frozen=True)
class Frame:
    """The rectangle of the image that the network input shows, relative to the image's sides.

    `squish` shows all of it (0, 0, 1, 1), `crop` a central square, `pad` reaches beyond the image.
    """

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Resize:
    """How an image becomes a square input.

    Attributes:
        kind: of RESIZES: `squish`, `crop` (the central square) or `pad`.
        share: of the sides of what `kind` shows, the central part that the network sees, in (0, 1]; timm's `crop_pct`.
        interpolation: of INTERPOLATIONS, as Pillow has them, with antialiasing.
    """

    kind: str
    share: float = 1.0
    interpolation: str = "bilinear"

    def __str__(self) -> str:
        """The text by which a run records it: `crop`, `crop 0.875`, `crop 0.875 bicubic`."""
        share = [] if self.share == 1 else [f"{self.share:.6g}"]
        filters = [] if self.interpolation == "bilinear" else [self.interpolation]
        return " ".join([self.kind, *share, *filters])


@functools.cache
def resize_of(text: str) -> Resize:
    """What the text of a `Resize` says. Raises ValueError for any other text."""
    kind, *more = text.split() or [""]
    if kind not in RESIZES:
        raise ValueError(f"no way to resize called '{text}'; there are {', '.join(RESIZES)}")
    share, interpolation = 1.0, "bilinear"
    for word in more:
        if word in INTERPOLATIONS:
            interpolation = word
        elif word.replace(".", "", 1).isdigit():
            share = float(word)
        else:
            raise ValueError(f"no interpolation called '{word}'; there are {', '.join(INTERPOLATIONS)}")
    if not 0 < share <= 1:
        raise ValueError(f"a crop share of {share:g}; it is above 0 and at most 1")
    return Resize(kind, share, interpolation)


def frame_of(width: int, height: int, resize: str) -> Frame:
    """The frame of an image of `width` × `height` pixels under the text of a `Resize`. Raises ValueError else."""
    how = resize_of(resize)
    x = y = 0.0
    if how.kind != "squish":
        side = min(width, height) if how.kind == "crop" else max(width, height)
        x, y = (1 - side / width) / 2, (1 - side / height) / 2
    if how.share != 1:
        x, y = (margin + (1 - 2 * margin) * (1 - how.share) / 2 for margin in (x, y))
    return Frame(x, y, 1 - x, 1 - y)


def to_input(pixels: ByteArray, size: int, resize: str) -> ByteArray:
    """Image (H, W, 3) → network input (size, size, 3), both uint8 RGB. Padding is black."""
    how = resize_of(resize)
    if pixels.shape[:2] == (size, size) and how.share == 1:
        return pixels
    resampling = Image.Resampling[how.interpolation.upper()]
    return np.asarray(_resized(Image.fromarray(pixels), size, resize, resampling))


TURNED = 5
"""From this EXIF orientation on, width and height change places."""


def needed(size: int) -> int:
    """How many pixels an image's sides must have, so that what becomes of it does not show that it had more.

    That is its network input of `size`, its thumbnail, and the mask network's closer look at a small animal: of 720
    pixels, an animal a tenth as long as the image still has with its surroundings all that this look takes in.
    """
    return max(FINER * size, CLOSE)


def mask_to_input(values: FloatArray, size: int, resize: str) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Mask (H, W) in [0, 1] → the same in the network's input, and where the input shows the image at all.

    Both float32, shape (size, size), in [0, 1]; None in place of the second where the input is all image. A pixel
    half on padding holds the mask's mean over its other half, so that `mask · seen` and `(1 − mask) · seen` are the
    animal and the water that were seen; 0 where nothing was.
    """
    values = np.asarray(values, np.float32)
    how = resize_of(resize)
    if how.kind == "squish":
        whole = (
            values
            if values.shape == (size, size) and how.share == 1
            else _resized(Image.fromarray(values), size, resize)
        )
        return np.clip(np.asarray(whole, np.float32), 0, 1), None
    seen = np.ones_like(values)
    mask, shown = (np.asarray(_resized(Image.fromarray(a), size, resize), np.float32) for a in (values, seen))
    share = np.divide(mask, shown, out=np.zeros_like(mask), where=shown > 0)
    return np.clip(share, 0, 1), np.clip(shown, 0, 1)


def from_input(pixels: ByteArray, width: int, height: int, resize: str) -> ByteArray:
    """Network input (S, S, 3) → what it shows of an image of `width` × `height`, in the image's own proportions."""
    image = Image.fromarray(pixels)
    kind = resize_of(resize).kind
    if kind == "crop" or width == height:
        return pixels
    if kind == "squish":
        scale = image.width / max(width, height)
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(image.resize(shape, Image.Resampling.BILINEAR))
    frame, side = frame_of(width, height, resize), image.width
    left, top = (
        max(0.0, -start / (stop - start) * side)
        for start, stop in ((frame.left, frame.right), (frame.top, frame.bottom))
    )
    return np.asarray(image.crop((round(left), round(top), side - round(left), side - round(top))))


def rotate_box(
    box: tuple[float, float, float, float], width: int, height: int, orientation: int
) -> tuple[float, float, float, float]:
    """A box (x1, y1, x2, y2) in pixels of the stored file → pixels of the upright image.

    Args:
        width, height: of the file as stored.
        orientation: EXIF orientation, 1 to 8; anything else counts as 1.
    """
    x1, y1, x2, y2 = box
    mirrored_x, mirrored_y = (width - x2, width - x1), (height - y2, height - y1)
    return {
        2: (mirrored_x[0], y1, mirrored_x[1], y2),
        3: (mirrored_x[0], mirrored_y[0], mirrored_x[1], mirrored_y[1]),
        4: (x1, mirrored_y[0], x2, mirrored_y[1]),
        5: (y1, x1, y2, x2),
        6: (mirrored_y[0], x1, mirrored_y[1], x2),
        7: (mirrored_y[0], mirrored_x[0], mirrored_y[1], mirrored_x[1]),
        8: (y1, mirrored_x[0], y2, mirrored_x[1]),
    }.get(orientation, (x1, y1, x2, y2))


def rotate_array(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An array (H, W, …) of the stored file → the same upright.

    Args:
        orientation: EXIF orientation, 1 to 8; anything else counts as 1.
    """
    if orientation >= TURNED:
        values = values.swapaxes(0, 1)
    axes = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.flip(values, axes) if axes else values


def _resized(
    image: Image.Image, size: int, resize: str, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    frame = frame_of(*image.size, resize)
    if resize_of(resize).kind == "pad":
        return _padded(image, size, frame, resampling)
    width, height = image.size
    box = (frame.left * width, frame.top * height, frame.right * width, frame.bottom * height)
    return image.resize((size, size), resampling, box=box)


def _padded(image: Image.Image, size: int, frame: Frame, resampling: Image.Resampling) -> Image.Image:
    """The long side first: a square canvas at full size would not fit in memory for a panorama."""
    scale = size / min(1.0, frame.right - frame.left, frame.bottom - frame.top)
    long = math.ceil(scale)
    width, height = (long, image.height) if image.width > image.height else (image.width, long)
    thin = image.resize((width, height), resampling)
    beyond = (max(0.0, -frame.left * width), max(0.0, -frame.top * height))
    # One whole pixel more than needed, since an odd difference of the sides puts the frame's edge within a pixel.
    x, y = (math.floor(margin) + 1 if margin else 0 for margin in beyond)
    canvas = Image.new(image.mode, (width + 2 * x, height + 2 * y))
    canvas.paste(thin, (x, y))
    left, top = x + frame.left * width, y + frame.top * height
    box = (left, top, canvas.width - left, canvas.height - top)
    return canvas.resize((size, size), resampling, box=box)
