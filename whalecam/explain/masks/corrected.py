"""Masks that people drew for single images, as files that say by themselves how they lie in their image."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray
from whalecam.data import Shape, read_mask
from whalecam.data.geometry import rotate_array
from whalecam.data.images import ORIENTATION_TAG
from whalecam.errors import DatasetError
from whalecam.explain.masks.given import orientation_of
from whalecam.explain.masks.values import rule_of, values_of

BACKWARDS = {6: 8, 8: 6}
"""EXIF orientation → the one that undoes it, where that is another."""


def mask_png(subject: NDArray[np.bool_], orientation: int = 1) -> bytes:
    """A mask as a PNG file of one bit a pixel, white on the subject, read by every audit as it is meant.

    Args:
        subject: (H, W), upright, of the image's full size.
        orientation: the image's EXIF orientation, which the file then has too: its pixels lie as the image's do.

    Raises DatasetError for a mask without any subject.
    """
    if not subject.any():
        raise DatasetError(
            "The mask is empty. Paint the subject, or reject the mask where the image shows none (button Wrong mask)."
        )
    stored = rotate_array(subject, BACKWARDS.get(orientation, orientation))
    tags = Image.Exif()
    tags[ORIENTATION_TAG] = orientation
    buffer = io.BytesIO()
    more = {"exif": tags.tobytes()} if orientation != 1 else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, "PNG", **more)
    return buffer.getvalue()


def read_subject(path: Path, shape: Shape, stated: str = "auto", mask_class: str = "") -> NDArray[np.bool_]:
    """Where the subject is by a mask file, upright, at the full size of its image.

    Args:
        shape: of the image.
        stated, mask_class: `mask_orientation` and `mask_class` of MaskOptions.

    Raises DatasetError for a file that is no mask, that fits the image in no way, or that may be meant in several.
    """
    file = read_mask(path)
    orientation, reason = orientation_of(file, shape, stated)
    if reason:
        raise DatasetError(f"The mask {path.name} cannot be used: {reason}.")
    is_plain = not mask_class and len(np.unique(file.values)) == 1  # nothing but subject, or none of it
    greys = file.values if is_plain else rule_of([(path.name, values_of(file))], mask_class).greys(file)
    return resized(rotate_array(greys, shape.orientation) if orientation == "stored" else greys, shape)


def resized(greys: ByteArray, shape: Shape) -> NDArray[np.bool_]:
    """A mask in grey at the full size of its image, cut at one half."""
    if greys.shape != (shape.height, shape.width):
        image = Image.fromarray(np.ascontiguousarray(greys))
        greys = np.asarray(image.resize((shape.width, shape.height), Image.Resampling.BILINEAR))
    return np.asarray(greys > 127)
