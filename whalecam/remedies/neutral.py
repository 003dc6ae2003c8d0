"""Replace the water by one grey, so that it tells nothing."""

import cv2
import numpy as np

from whalecam.remedies.kinds import Case, Mended

GREY = 128.0
EDGE = 0.01


def neutral(case: Case) -> Mended:
    """Mid-grey wherever the mask is 0, with an edge softened by 1 % of the diagonal; untouched without a mask."""
    if case.mask is None:
        return Mended(None, case.label)
    sigma = max(0.5, EDGE * float(np.hypot(*case.mask.values.shape)))
    keep = np.maximum(cv2.GaussianBlur(case.mask.values, (0, 0), sigma), case.mask.values)[..., None]
    pixels = keep * case.sample.pixels + (1 - keep) * GREY
    return Mended(pixels.round().astype(np.uint8), case.label)
