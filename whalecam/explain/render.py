"""Images made from arrays: overlays, thumbnails, outlines, packed masks. Pure.

OpenCV and matplotlib are imported where they draw: verbs that list and export read packed masks alone."""

import functools
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whalecam.arrays import ByteArray, FloatArray
from whalecam.config import MASK_GRID, THUMB_SIZE
from whalecam.data.geometry import Frame

COLOURMAPS: Mapping[str, str] = {
    "magma": "dark to light, even steps for the eye",
    "viridis": "blue to yellow, safe for colour-blind readers",
    "inferno": "black to yellow",
    "cividis": "made for colour-blind readers",
    "turbo": "rainbow; many steps, uneven to the eye",
}


@functools.cache
def lut(name: str) -> ByteArray:
    """A colour map as a table, uint8 (256, 3). Raises KeyError for one that is not in COLOURMAPS."""
    if name not in COLOURMAPS:
        raise KeyError(name)
    import matplotlib

    return np.asarray(matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3], np.uint8)


def overlay(
    pixels: ByteArray,
    values: FloatArray,
    frame: Frame,
    opacity: float = 0.6,
    *,
    threshold: float = 0.0,
    colours: str = "magma",
    top: float | None = None,
) -> ByteArray:
    """A photograph under its heat.

    Args:
        pixels: (H, W, 3).
        values: signed map (h, w); only its positive part is drawn, and nothing where it is not finite.
        frame: the part of the image the map belongs to; nothing is drawn outside it.
        opacity: of full heat, in [0, 1]; weaker heat is more transparent in proportion.
        threshold: share of `top` below which nothing is drawn.
        top: value at full colour; None: the map's own largest.

    Returns: uint8 (H, W, 3). A map without positive evidence leaves the image untouched.
    """
    positive = np.maximum(np.nan_to_num(np.asarray(values, np.float32), nan=0, posinf=0, neginf=0), 0)
    full = float(positive.max()) if top is None else top
    if full <= 0 or not positive.any():
        return pixels.copy()
    height, width = pixels.shape[:2]
    share = np.clip(_placed(positive, frame, width, height) / full, 0, 1)
    heat = lut(colours)[(share * 255).round().astype(np.uint8)]
    alpha = (opacity * share * (share >= threshold))[..., None]
    return np.asarray((pixels * (1 - alpha) + heat * alpha).round(), np.uint8)


def thumbnail(pixels: ByteArray, size: int = THUMB_SIZE) -> bytes:
    """WebP whose longer side is `size` pixels at most."""
    image = Image.fromarray(pixels)
    image.thumbnail((size, size), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=0)
    return buffer.getvalue()


def outline(pixels: ByteArray, mask: FloatArray) -> ByteArray:
    """The contour at 0.5 of a mask (H, W) drawn on its image (H, W, 3): white on a dark halo.

    Raises ValueError for a mask of another size than the image.
    """
    if np.shape(mask) != pixels.shape[:2]:
        raise ValueError(f"a mask {np.shape(mask)} does not lie on an image {pixels.shape[:2]}; resize it first")
    import cv2

    area = (np.asarray(mask) > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = pixels.copy()
    cv2.drawContours(drawn, contours, -1, (0, 0, 0), 3)
    cv2.drawContours(drawn, contours, -1, (255, 255, 255), 1)
    return drawn


def pack_mask(mask: FloatArray) -> bytes:
    """A mask (H, W) in [0, 1] → MASK_GRID × MASK_GRID bits, thresholded at 0.5."""
    import cv2

    small = cv2.resize(np.asarray(mask, np.float32), (MASK_GRID, MASK_GRID), interpolation=cv2.INTER_AREA)
    return np.packbits(small > 0.5).tobytes()


def unpack_mask(raw: bytes) -> NDArray[np.bool_]:
    """The inverse of `pack_mask`: bool (MASK_GRID, MASK_GRID)."""
    return np.unpackbits(np.frombuffer(raw, np.uint8)).reshape(MASK_GRID, MASK_GRID).astype(bool)


def _placed(values: NDArray[np.float32], frame: Frame, width: int, height: int) -> NDArray[np.float32]:
    """A map (h, w) upsampled bilinearly onto its frame of the image, (height, width); zero outside."""
    rows = _spread(height, values.shape[0], frame.top, frame.bottom)
    columns = _spread(width, values.shape[1], frame.left, frame.right)
    return np.asarray(rows @ values @ columns.T, np.float32)


def _spread(length: int, cells: int, start: float, stop: float) -> NDArray[np.float32]:
    """Weight of each cell in each pixel along one side, (length, cells): half-pixel centres, as align_corners=False."""
    at = ((np.arange(length) + 0.5) / length - start) / (stop - start)
    place = np.clip(at * cells - 0.5, 0, cells - 1)
    tent = np.clip(1 - np.abs(place[:, None] - np.arange(cells)), 0, None)
    return np.asarray(tent * ((at >= 0) & (at <= 1))[:, None], np.float32)
