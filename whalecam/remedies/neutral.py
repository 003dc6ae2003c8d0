"""Replace the background by one colour, so that it tells nothing."""

import numpy as np

from whalecam.remedies.kinds import Case, Mended, inside


def neutral(case: Case) -> Mended:
    """The set's mean background wherever the mask is not, with a soft edge inside; untouched without a mask."""
    if case.mask is None or not (case.mask.values > 0.5).any():
        return Mended(None, case.label)
    keep = inside(case.mask.values)[..., None]
    pixels = keep * case.sample.pixels + (1 - keep) * np.array(case.water, np.float32)
    return Mended(pixels.round().astype(np.uint8), case.label)
