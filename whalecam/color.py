"""Between RGB and CIE L*a*b*, in which lightness and colour can be changed one without the other."""

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray, FloatArray


def to_lab(rgb: ByteArray) -> NDArray[np.float32]:
    """RGB, uint8 (H, W, 3) → CIE L*a*b*, float32 (H, W, 3): L in [0, 100]."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def to_rgb(lab: FloatArray) -> ByteArray:
    """CIE L*a*b*, (H, W, 3) → RGB, uint8; what no screen can show is clipped."""
    import cv2

    rgb = cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(rgb * 255 + 0.5, 0, 255), np.uint8)
