"""What is measured on one image: its file, its size, its light, its sharpness, its water, its fingerprints."""

import hashlib
from pathlib import Path
from typing import Any, cast

import cv2
import imagehash
import numpy as np
from cleanvision.issue_managers.image_property import BlurrinessProperty, BrightnessProperty, calc_entropy
from numpy.typing import NDArray
from PIL import Image

from whalecam import data
from whalecam.analysis.findings.properties import NUMBERS, TEXTS, Properties
from whalecam.arrays import ByteArray, Sample
from whalecam.errors import DatasetError

SIDE = 256
"""Longest side, in pixels, that light, colour and water are measured at."""
RIM = 0.15
"""Where no animal is known, its water is the outer strip of the image of this share of each side."""
_blurriness, _brightness = BlurrinessProperty(), BrightnessProperty("dark")


def traits(path: Path, sample: Sample, animal: NDArray[np.float32] | None = None) -> Properties:
    """All but `stamp`. `animal`: (H, W) in [0, 1] of the image, 1 on the animal."""
    whole = Image.fromarray(sample.pixels)
    small = whole.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    values: dict[str, Any] = {"image": sample.image, "status": data.OK, "width": whole.width, "height": whole.height}
    values |= _file(path) | _brightness.calculate(small) | _blurriness.calculate(small)
    values["entropy"] = calc_entropy(small)
    values["colour"] = _colour(np.asarray(small))
    values["animal_sharpness"] = _animal(whole, animal)
    values |= _water(np.asarray(small), animal)
    values["digest"] = hashlib.blake2b(sample.pixels.tobytes(), digest_size=12).hexdigest() + f"{whole.size}"
    values["phash"] = str(imagehash.phash(small))
    return cast(Properties, {name: values[name] for name in (*TEXTS, *NUMBERS) if name != "stamp"})


def _file(path: Path) -> dict[str, Any]:
    try:
        header = data.read_header(path)
    except DatasetError:  # it was read a moment ago: somebody took it away
        header = data.Header("")
    sums = [sum(table) for table in header.tables] + [0, 0]
    name = hashlib.blake2b(repr(header.tables).encode(), digest_size=4).hexdigest() if header.tables else ""
    return {"format": header.format, "tables": name, "jpeg_luma": sums[0], "jpeg_chroma": sums[1]}


def _colour(pixels: ByteArray) -> float:
    red, green, blue = cv2.split(pixels)
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    return float(np.percentile(spread, 99))


def sharpness(grey: ByteArray) -> float:
    """How steep the steepest edges of an image (H, W) are: their step from one pixel to the next, as a share of the
    image's contrast. About 0.3 to 0.9 where it is sharp; an edge that is ten pixels wide has 0.1. NaN without any.
    """
    values = grey.astype(np.float64)
    if min(values.shape) < 2:
        return float("nan")
    steps = np.hypot(np.diff(values, axis=0)[:, :-1], np.diff(values, axis=1)[:-1])
    low, high = np.percentile(values, [2, 98])
    return float(np.percentile(steps, 99) / (high - low)) if high > low else float("nan")


def _animal(whole: Image.Image, animal: NDArray[np.float32] | None) -> float:
    """Sharpness within the smallest box around the animal; NaN where none is known."""
    if animal is None or not (animal > 0.5).any():
        return float("nan")
    rows, columns = (np.flatnonzero((animal > 0.5).any(axis=axis)) for axis in (1, 0))
    crop = whole.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)).convert("L")
    crop.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return sharpness(np.asarray(crop))


def _water(pixels: ByteArray, animal: NDArray[np.float32] | None) -> dict[str, float]:
    height, width = pixels.shape[:2]
    water = _rim(height, width)
    if animal is not None:
        outside = cv2.resize(animal, (width, height), interpolation=cv2.INTER_AREA) < 0.5
        water = outside if outside.any() else water
    lab = cv2.cvtColor(pixels[water][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    light, a, b = (float(value) for value in lab.mean(axis=0))
    return {"water_l": light, "water_a": a, "water_b": b, "water_spread": float(lab[:, 0].std())}


def _rim(height: int, width: int) -> NDArray[np.bool_]:
    rim = np.ones((height, width), bool)
    rim[round(RIM * height) : height - round(RIM * height), round(RIM * width) : width - round(RIM * width)] = False
    return rim if rim.any() else np.ones((height, width), bool)
