"""What is wrong with files and images: unusable rows, odd sizes, and images with little to see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.data import OK
from whalecam.data.formats import NEEDS_HEIF, NOT_READ
from whalecam.data.images import UNREADABLE
from whalecam.data.table import SEVERAL_LABELS
from whalecam.text import percent_of
from whalecam.words import Words

GREY = 3.0
"""Largest difference between two channels (of 255, 99th percentile) of an image without colour."""
BLURRY, SHARP = 0.29, 0.15
"""Below these an image is blurred: CleanVision's score, and `animal_sharpness` (228 real ones had 0.20 to 0.87)."""
SEVERE = ("missing file", "path outside the folder", "truncated", "zero bytes", "not an image", UNREADABLE)


@dataclass(frozen=True)
class Look:
    """One way in which an image can be hard to use.

    Attributes:
        says: what such images have in common, before "n of m images"; like `why` and `todo` with the fields of Words in
            braces.
        scores: properties of `measure` → score in [0, 1] per image; an image is affected below `below`.
    """

    says: str
    why: str
    todo: str
    scores: Callable[[pd.DataFrame], "pd.Series[float]"]
    below: float


def files(evidence: Evidence) -> list[Finding]:
    """Rows that cannot be used, by reason; then, where images were measured, one finding per way in LOOKS."""
    table = evidence.data.table
    faults = table[table["status"] != OK]
    faults = faults[faults["status"] != SEVERAL_LABELS]  # a finding on labels
    unusable = [_unusable(reason, rows, len(table)) for reason, rows in faults.groupby("status", sort=False)]
    if evidence.properties is None:
        return unusable
    seen = evidence.properties[evidence.properties["status"] == OK]
    seen = evidence.data.good().drop(columns=["path", "status"]).merge(seen.drop(columns="status"), on="image")
    looks = [_looking(code, look, seen, evidence.words) for code, look in LOOKS.items()] if len(seen) else []
    return [*unusable, *(finding for finding in looks if finding)]


def _unusable(reason: object, rows: pd.DataFrame, total: int) -> Finding:
    name, count = str(reason), len(rows)
    return Finding(
        "unusable",
        "high" if name in SEVERE or name.endswith((UNREADABLE, NOT_READ, NEEDS_HEIF)) else "medium",
        f"{name[:1].upper()}{name[1:]}: {count:,} of {total:,} rows cannot be used.",
        "Training and audit leave these rows out.",
        "Mend the files or the rows; the rest can be used meanwhile.",
        (name,),
        {"reason": name, "rows": count},
        rows.drop(columns="path"),
    )


def _looking(code: str, look: Look, seen: pd.DataFrame, words: Words) -> Finding | None:
    scores = look.scores(seen)
    affected = scores < look.below
    if not affected.any():
        return None
    columns = ["image", "label", "group", "width", "height"]
    rows = seen.loc[affected, columns].assign(score=scores[affected].round(4)).sort_values("score")
    return Finding(
        code,
        "low",
        f"{look.says.format_map(vars(words))}: {len(rows):,} of {len(seen):,} images "
        f"({percent_of(len(rows), len(seen))}).",
        look.why.format_map(vars(words)),
        look.todo.format_map(vars(words)),
        facts={"images": len(rows), "of": len(seen)},
        rows=rows,
    )


def _aspect(seen: pd.DataFrame) -> "pd.Series[float]":
    aspect: pd.Series[float] = seen["width"] / seen["height"]
    return aspect.where(aspect <= 1, 1 / aspect)


def _size(seen: pd.DataFrame) -> "pd.Series[float]":
    """1 in the middle of the usual range, below 0.5 outside: three interquartile ranges beyond either quartile."""
    side = np.sqrt(seen["width"] * seen["height"])
    low, high = np.percentile(side, [25, 75])
    # Images of one size have no range: then a tenth off is odd.
    reach = 3 * (high - low) if high > low else 0.1 * float(low)
    scores: pd.Series[float] = 1 - ((side - (low + high) / 2).abs() / (high - low + 2 * reach)).clip(0, 1)
    return scores


def _blurry(seen: pd.DataFrame) -> "pd.Series[float]":
    """Of the animal where one is known, since a calm sea is not a blurred image; else CleanVision's score.

    CleanVision's own measure does not do for an animal's box: it takes the box's rim for edges.
    """
    from cleanvision.issue_managers.image_property import BlurrinessProperty

    whole = BlurrinessProperty().get_scores(seen, "blurry", normalizing_factor=0.01, color_threshold=0.18)
    own: pd.Series[float] = seen["animal_sharpness"] / SHARP * BLURRY
    return own.clip(upper=1).fillna(whole["blurry_score"])


LOOKS: Mapping[str, Look] = {
    "odd_size": Look(
        "Size far from the usual",
        "A network sees the size through resizing, and may learn it.",
        "Look whether they are thumbnails or screenshots.",
        _size,
        0.5,
    ),
    "odd_aspect": Look(
        "Very long or very high",
        "Resizing squeezes them into a square, or cuts most of them off.",
        "Crop them to the {subject}.",
        _aspect,
        0.35,
    ),
    "dark": Look(
        "Dark throughout",
        "There is little to see for people and networks.",
        "Brighten them or leave them out.",
        lambda seen: seen["brightness_perc_99"],
        0.32,
    ),
    "light": Look(
        "White throughout",
        "There is little to see for people and networks.",
        "Leave them out.",
        lambda seen: 1 - seen["brightness_perc_5"],
        0.05,
    ),
    "low_information": Look(
        "Almost no information",
        "An even surface shows no {subject}.",
        "Look at them and leave them out.",
        lambda seen: (0.1 * seen["entropy"]).clip(upper=1),
        0.3,
    ),
    "blurry": Look(
        "Blurred (on the {subject}, where a mask or box is known)",
        "A network may tell sources, cameras or distances apart by sharpness.",
        "Look at them; give --boxes where an even {background} is taken for blur.",
        _blurry,
        BLURRY,
    ),
    "greyscale": Look(
        "Without colour",
        "Where one source or {label} is grey, being grey tells the label.",
        "Look whether they come from one source; if so, make all images grey.",
        lambda seen: (seen["colour"] > GREY).astype(float),
        0.5,
    ),
}
"""Thresholds and scores as in CleanVision's defaults, but for `greyscale`, which looks at the pixels, not at the file's
mode, and for `odd_size` among images of one size."""
