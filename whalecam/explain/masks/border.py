"""The subject as what differs in colour from the image's border; needs no training."""

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.color import to_lab
from whalecam.explain.masks.sources import MaskMethod, MaskSources

WORKING = 96
CLUSTERS = 4
RIM = 0.06
CONFIDENCE = 0.3
SPREAD = 0.38
STEEPNESS = 20.0


def border_method(sources: MaskSources) -> MaskMethod:
    """Distance in Lab colour to the border's colour clusters × a centre prior, smoothed and made soft."""
    del sources
    return border


def border(sample: Sample) -> Mask | None:
    """A soft mask; None for an image that is one colour all over."""
    import cv2

    height, width = sample.pixels.shape[:2]
    scale = WORKING / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(sample.pixels, size, interpolation=cv2.INTER_AREA)
    lab = to_lab(np.asarray(small, np.uint8))
    salience = cv2.GaussianBlur(_distance(lab) * _centre(lab.shape[0], lab.shape[1]), (0, 0), 1.5)
    top = float(np.quantile(salience, 0.99))
    if top < 2.0:
        return None
    level, _ = cv2.threshold((np.clip(salience / top, 0, 1) * 255).astype(np.uint8), 0, 1, cv2.THRESH_OTSU)
    soft = 1 / (1 + np.exp(-STEEPNESS * (salience / top - level / 255)))
    full = cv2.resize(soft.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return Mask(full, CONFIDENCE, "border")


def _distance(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest colour cluster of the border (ΔE, Lab)."""
    import cv2

    height, width = lab.shape[:2]
    rim = max(1, round(RIM * min(height, width)))
    edge = np.ones((height, width), bool)
    edge[rim:-rim, rim:-rim] = False
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 0.5)
    _, _, centres = cv2.kmeans(lab[edge], CLUSTERS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    apart = np.linalg.norm(lab[:, :, None, :] - centres[None, None], axis=-1)
    return np.asarray(apart.min(axis=-1), np.float32)


def _centre(height: int, width: int) -> NDArray[np.float32]:
    """A Gaussian prior: photographers put the subject near the middle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / (2 * SPREAD**2)
    return np.asarray(np.exp(-away), np.float32)
