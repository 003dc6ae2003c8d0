"""Crop to the animal, so that little water is left to learn from."""

import numpy as np

from whalecam.remedies.kinds import Case, Mended

MARGIN = 0.15


def crop(case: Case) -> Mended:
    """The mask's bounding box with a margin of 15 % of its longer side; untouched without a mask."""
    if case.mask is None or not (case.mask.values > 0.5).any():
        return Mended(None, case.label)
    rows, columns = np.where(case.mask.values > 0.5)
    height, width = case.mask.values.shape
    pad = round(MARGIN * max(np.ptp(rows), np.ptp(columns)) + 1)
    top, bottom = max(0, rows.min() - pad), min(height, rows.max() + pad + 1)
    left, right = max(0, columns.min() - pad), min(width, columns.max() + pad + 1)
    return Mended(np.ascontiguousarray(case.sample.pixels[top:bottom, left:right]), case.label)
