"""The table of what was measured on images: its columns, what a folder holds of it, what it says of a data set."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np
import pandas as pd

from whalecam.data import OK, Dataset
from whalecam.store.run import parts_in

TEXTS = ("image", "stamp", "status", "format", "tables", "digest", "phash")
NUMBERS = (
    "width",
    "height",
    "jpeg_luma",
    "jpeg_chroma",
    "brightness",
    "brightness_perc_5",
    "brightness_perc_99",
    "entropy",
    "blurriness",
    "blurriness_grayscale_std",
    "animal_sharpness",
    "colour",
    "water_l",
    "water_a",
    "water_b",
    "water_spread",
)
"""`image` as in the CSV; `stamp` tells whether file or animal changed since; `status` as in the data set.
`width`, `height` upright, in pixels; `jpeg_*` sums of the quantisation tables, 0 where there are none; `tables` a hash
of them; `brightness*`, `entropy`, `blurriness*` as CleanVision measures them (raw values, the lower the worse, but for
`brightness_perc_5`); `animal_sharpness` the `sharpness` of the animal's box; `colour` the largest difference between
two channels of a pixel, 0 to 255, 99th percentile over the pixels; `water_*` mean Lab (0 to 255 each, as OpenCV has it)
of what is not animal, and the standard deviation of its lightness; `digest` a hash of the upright pixels; `phash` 64
bits in hexadecimal."""


class Properties(TypedDict):
    """What was measured on one image, as TEXTS and NUMBERS state; NaN where it cannot be measured."""

    image: str
    stamp: NotRequired[str]
    status: str
    format: str
    tables: str
    digest: str
    phash: str
    width: float
    height: float
    jpeg_luma: float
    jpeg_chroma: float
    brightness: float
    brightness_perc_5: float
    brightness_perc_99: float
    entropy: float
    blurriness: float
    blurriness_grayscale_std: float
    animal_sharpness: float
    colour: float
    water_l: float
    water_a: float
    water_b: float
    water_spread: float


def kept(folder: Path) -> pd.DataFrame:
    """What a folder holds of earlier measurements: the columns of `measure`; empty where it holds none."""
    parts = [pd.read_parquet(path) for path in parts_in(folder)]
    whole = [part for part in parts if {*TEXTS, *NUMBERS} <= set(part.columns)]
    return pd.concat(whole, ignore_index=True) if whole else typed(())


def with_faults(data: Dataset, properties: pd.DataFrame) -> Dataset:
    """The data set in which images that could not be read have their reason instead of `ok`."""
    bad = properties[properties["status"] != OK].set_index("image")["status"]
    status = data.table["image"].map(bad).where(data.table["status"] == OK)
    return replace(data, table=data.table.assign(status=status.fillna(data.table["status"]).astype(str)))


def typed(rows: Iterable[Properties]) -> pd.DataFrame:
    """Rows as a table with the columns' own types."""
    frame = pd.DataFrame(list(rows), columns=[*TEXTS, *NUMBERS])
    return frame.astype(dict.fromkeys(TEXTS, "str") | dict.fromkeys(NUMBERS, "float64"))


def unread(image: str, reason: str) -> Properties:
    """The row of an image that cannot be read: its reason, and nothing measured."""
    nothing = {**dict.fromkeys(TEXTS, ""), **dict.fromkeys(NUMBERS, np.nan)}
    return cast(Properties, {**nothing, "image": image, "status": reason})
