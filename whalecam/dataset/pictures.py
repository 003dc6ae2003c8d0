"""Reading one image file, whatever it is, as an upright RGB or grey picture."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from whalecam.arrays import ByteArray, Sample
from whalecam.config import MAX_PIXELS
from whalecam.errors import DatasetError

MISSING, ZERO, NO_IMAGE = "missing file", "zero bytes", "not an image"
LARGE, TRUNCATED, UNREADABLE = "too large", "truncated", "unreadable"
ORIENTATION_TAG = 0x0112
BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError)


def read_sample(path: Path, image: str) -> Sample:
    """An upright RGB picture. Raises DatasetError whose message is one of the reasons of this module."""
    picture, orientation = _open(Path(path))
    return Sample(image, np.array(_coloured(picture)), orientation)


def read_grey(path: Path) -> ByteArray:
    """An upright grey picture, uint8 (H, W); for masks. Raises DatasetError as `read_sample`."""
    picture, _ = _open(Path(path))
    return np.array(_eight_bit(picture).convert("L"))


def _open(path: Path) -> tuple[Image.Image, int]:
    """Decode to the end and undo the EXIF rotation; returns the picture and the orientation it was stored in."""
    if not path.is_file():
        raise DatasetError(MISSING if not path.exists() else NO_IMAGE)
    try:
        if path.stat().st_size == 0:
            raise DatasetError(ZERO)
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DatasetError(LARGE)
            orientation = _orientation(picture)
            picture.load()
            return _upright(picture, orientation), orientation
    except Image.DecompressionBombError as error:
        raise DatasetError(LARGE) from error
    except UnidentifiedImageError as error:
        raise DatasetError(NO_IMAGE) from error
    except BROKEN as error:
        words = str(error).lower()
        cut = any(word in words for word in ("truncated", "unexpected end", "incomplete", "broken data stream"))
        raise DatasetError(TRUNCATED if cut else UNREADABLE) from error


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(ORIENTATION_TAG, 1)
    except BROKEN:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return picture.copy()
    turned = ImageOps.exif_transpose(picture)
    return turned if turned is not None else picture.copy()


def _eight_bit(picture: Image.Image) -> Image.Image:
    """16- and 32-bit greys → 8 bits by their own range of values, since Pillow would clip them."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.nan_to_num(np.asarray(picture, np.float64))
    top = 65535.0 if picture.mode.startswith("I") and values.max(initial=0) > 255 else max(values.max(initial=0), 255.0)
    return Image.fromarray((np.clip(values / top, 0, 1) * 255).round().astype(np.uint8))


def _coloured(picture: Image.Image) -> Image.Image:
    """RGB, with transparency laid over white as a browser would."""
    picture = _eight_bit(picture)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(ground, clear).convert("RGB")
    return picture.convert("RGB")
